"""Measurement system analysis: how repeatable scores and verdicts are, and how they agree with an expert."""
