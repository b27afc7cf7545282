"""Command lines of exports that several tests run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from clipspect_models import DEMO_BUNDLE

# The command line in a process of its own that says at its end how much memory it held, in kB. Not getrusage's word:
# that counts what this process held when it started the other.
MEASURED = (
    "import sys; from clipspect.cli import main; status = main(sys.argv[1:])\n"
    "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]); sys.exit(status)"
)


def peak_bytes(*words: object) -> int:
    """Run a command that must end well; the most memory that it held."""
    command = [sys.executable, "-c", MEASURED, *map(str, words)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.split()[-1]) * 1024


def demo_command(out: Path) -> list[str]:
    """The arguments of an export of the demo model."""
    weights = DEMO_BUNDLE.with_name("demo.safetensors")
    backbone = weights.with_suffix(".json")
    return ["export", "winclip", "--out", str(out), "--backbone", str(backbone), "--weights", str(weights)]
