"""A control group of this machine with a limit of CPU time, as a container has one."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_ROOT = Path("/sys/fs/cgroup")
_PERIOD = 100_000  # microseconds


@contextmanager
def limited(cores: float) -> Iterator[Path]:
    """The group's folder; skips where none may be made."""
    parent = _ROOT if (_ROOT / "cgroup.controllers").exists() else _ROOT / "cpu"
    group = parent / f"clipspect-test-{os.getpid()}"
    quota = round(cores * _PERIOD)
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"needs the right to make a control group of CPU time ({error})")
    try:
        try:
            if (group / "cpu.max").exists():
                (group / "cpu.max").write_text(f"{quota} {_PERIOD}")
            else:
                (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
                (group / "cpu.cfs_quota_us").write_text(str(quota))
        except OSError as error:
            pytest.skip(f"needs a controller of CPU time in new control groups ({error})")
        yield group
    finally:
        group.rmdir()


def run_in(group: Path | None, code: str) -> str:
    """What Python code prints, in the group or outside."""
    enter = f"echo $$ > {group}/cgroup.procs && " if group is not None else ""
    command = f"{enter}exec {shlex.quote(sys.executable)} -c {shlex.quote(code)}"  # the shell becomes that process
    return subprocess.run(["/bin/sh", "-c", command], stdout=subprocess.PIPE, text=True, check=True).stdout
