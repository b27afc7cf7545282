"""The bundle on disk: its manifest, hashes, precision records and presets; and its graphs in an engine."""
