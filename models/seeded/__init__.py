"""CLIP weights drawn from seeds, for tests and benchmarks: the same on every machine, and of no use in a factory."""
