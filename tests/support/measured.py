"""Programs in processes of their own, and the most memory that they held."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

# Not getrusage's or wait4's word: they count what this process held when it started the other.
PEAK = "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"  # kB
COMMAND = f"import sys; from clipspect.cli import main; status = main(sys.argv[1:])\n{PEAK}; sys.exit(status)"


class Measured(NamedTuple):
    """What a program printed, and the most memory that it held."""

    output: str
    peak_bytes: int


def run_code(code: str, *arguments: object) -> Measured:
    """Run Python code that must end well."""
    return _run(f"{code}\n{PEAK}", arguments)


def run_command(*words: object) -> Measured:
    """Run a command of clipspect that must end well."""
    return _run(COMMAND, words)


def _run(code: str, arguments: tuple[object, ...]) -> Measured:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    *lines, peak = done.stdout.splitlines(keepends=True)
    return Measured("".join(lines), int(peak) * 1024)
