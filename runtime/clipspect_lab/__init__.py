"""Evaluation, comparison, benchmark and the demo: what one does before and beside the line. The extra `lab`."""
