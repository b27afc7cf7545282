"""What every contender speaks: a process that answers each line on stdin with one JSON line on stdout.

It stands in the environment that its engine needs, so it imports nothing but the standard library and NumPy.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

Inspect = Callable[[Any], tuple[float, Any]]  # uint8 RGB (H, W, 3) at model size to score and anomaly map (H, W)
SAMPLE = 37  # every so many pixels of the map go into the answer, for the comparison


def serve(inspect: Inspect, image_file: str, about: str) -> None:
    """Answer "run" with the milliseconds from the pixels to score and map, and "memory" with the peak in bytes."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    image = np.load(image_file)

    def answer(document: dict[str, Any]) -> None:
        print(json.dumps(document), file=answers, flush=True)

    score, anomaly_map = inspect(image)
    answer({"about": about, "score": score, "map": np.asarray(anomaly_map)[::SAMPLE, ::SAMPLE].ravel().tolist()})
    for line in sys.stdin:
        if line.strip() == "run":
            start = perf_counter()
            inspect(image)
            answer({"ms": (perf_counter() - start) * 1e3})
        elif line.strip() == "memory":
            answer({"bytes": peak_memory()})


def peak_memory() -> int:
    """The most memory that this process has held so far, in bytes (Linux)."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
