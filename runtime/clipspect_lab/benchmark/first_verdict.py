"""A fresh process that loads a bundle and inspects one image: `clipspect bench` times it from outside.

Run as `python -m clipspect_lab.benchmark.first_verdict` with one argument, a JSON object of bundle, recipe,
require_signature, backend, image and options. It answers with one JSON line: the score, and the most memory that the
process has held.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(request: str) -> None:
    from clipspect.inspection.load import load

    asked = json.loads(request)
    options = {"require_signature": asked["require_signature"], **asked["options"]}
    with load(asked["bundle"], asked["recipe"], asked["backend"], verdicts=False, **options) as inspector:
        result = inspector.inspect(asked["image"])
        print(json.dumps({"score": result.score, "peak_bytes": peak_memory()}), flush=True)


def peak_memory() -> int | None:
    """The most memory that this process has held so far, in bytes; None where the system does not say."""
    status = Path("/proc/self/status")
    if status.exists():  # its own: the figure of getrusage starts at that of the process that started this one
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


if __name__ == "__main__":
    main(sys.argv[1])
