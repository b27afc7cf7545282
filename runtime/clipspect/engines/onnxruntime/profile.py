"""onnxruntime's own profile: a file of every operator's times, which is read and removed."""

from __future__ import annotations

import atexit
import json
from contextlib import ExitStack
from pathlib import Path

from clipspect.base.temporary import temporary_folder

_KERNEL = "_kernel_time"  # ends the name of an operator's event; others are of its fences, and of the whole run


def profile_prefix() -> str:
    """Where onnxruntime is to write: it puts the date and ".json" behind. The folder goes with the process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return str(stack.enter_context(temporary_folder()) / "runs")


def times_by_operator(path: Path) -> dict[str, float]:
    """Milliseconds by operator, of all runs together. The file goes."""
    events = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    times: dict[str, float] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            operator = event["args"]["op_name"]
            times[operator] = times.get(operator, 0.0) + event["dur"] / 1e3
    return times
