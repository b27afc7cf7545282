"""The tests in box/ run where clipspect is installed, from there: see support/installed.py."""

collect_ignore = ["box"]
