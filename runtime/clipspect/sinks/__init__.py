"""Where results go: JSON lines, CSV, overlays, sorted folders, MQTT."""
