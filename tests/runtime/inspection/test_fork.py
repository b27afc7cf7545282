"""A service that loads first and forks then: the children are told, and nothing hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os, sys
import numpy as np
import clipspect
frame = np.zeros((2000, 2000, 3), np.uint8)  # so large that several threads resize it
inspector = clipspect.load(sys.argv[1], backend="onnxruntime", threads=2)
inspector.inspect(frame)  # the threads are there now, and no child has them
uses = {
    "inspect": lambda: inspector.inspect(frame),
    "inspect_batch": lambda: inspector.inspect_batch([frame, frame]),
    "stream": lambda: list(inspector.stream([frame, frame])),
}
for name, use in uses.items():
    if os.fork() == 0:
        try:
            use()
        except clipspect.BackendError as error:
            print(name, "refused:", error, flush=True)
        os._exit(0)
    os.wait()
print(inspector.inspect(frame).score)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system with fork")
def test_an_inspector_in_a_forked_process_refuses_and_in_the_first_one_goes_on(tiny_bundle: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tiny_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    *refusals, score = done.stdout.splitlines()
    assert [line.split()[:2] for line in refusals] == [
        [name, "refused:"] for name in ("inspect", "inspect_batch", "stream")
    ]
    assert all("an engine's threads do not survive a fork" in line for line in refusals)
    assert float(score) == 0
