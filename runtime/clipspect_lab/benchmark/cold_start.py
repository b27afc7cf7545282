"""A fresh process that loads a bundle and inspects one frame: how long that takes, and the memory that it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from clipspect.base.errors import BackendError
from clipspect.bundle.bundle import Bundle

_START_SECONDS = 600


@dataclass(frozen=True)
class ColdStart:
    """Of a process that inspects one frame."""

    seconds: float
    peak_bytes: int | None


def start_cold(
    bundle: Bundle,
    recipe: str | os.PathLike[str],
    backend: str,
    image: str | os.PathLike[str],
    options: Mapping[str, Any],
) -> ColdStart:
    """Load the bundle with the recipe, a name or a file, in a process of its own, and inspect the image.

    Raises BackendError where it gives no verdict.
    """
    request = {
        "bundle": os.fspath(bundle.path),
        "require_signature": None if bundle.key is None else os.fspath(bundle.key.path),
        "recipe": os.fspath(recipe),
        "backend": backend,
        "image": os.fspath(image),
        "options": dict(options),
    }
    command = [sys.executable, "-m", "clipspect_lab.benchmark.first_verdict", json.dumps(request)]
    start = perf_counter()
    with (
        tempfile.TemporaryFile("w+", errors="replace") as complaints,  # a pipe that nobody reads would fill up
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True) as process,
    ):
        assert process.stdout is not None
        end = threading.Timer(_START_SECONDS, process.kill)
        end.start()
        try:
            line = process.stdout.readline()
            seconds = perf_counter() - start
            process.wait()
        finally:
            end.cancel()
        complaints.seek(0)
        complaint = complaints.read()
    if not line.strip():
        last = complaint.strip().splitlines()[-1:] or [f"status {process.returncode}"]
        raise BackendError(f"{backend} in a fresh process gave no verdict ({last[0]}): run clipspect doctor")
    return ColdStart(seconds, json.loads(line)["peak_bytes"])
