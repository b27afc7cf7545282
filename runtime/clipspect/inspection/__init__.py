"""From frames to results: the inspector, the stream, anomaly maps, regions, verdicts, and verification on the box."""
