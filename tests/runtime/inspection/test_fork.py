"""A service that loads first and forks then: the children are told, and nothing hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import handmade

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


LOCKED = """
import multiprocessing, os, sys, threading
import numpy as np
import clipspect
frame = np.zeros((300, 300, 3), np.uint8)
inspector = clipspect.load(sys.argv[1], recipe="one", backend=sys.argv[2])
second = inspector.with_recipe("two")
stop = threading.Event()

def busy():
    while not stop.is_set():
        second.inspect(frame)
        inspector.with_recipe("one").close()

threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()
stream = inspector.stream([frame] * 4)
next(stream)

def tried(name):
    try:
        uses[name]()
    except clipspect.BackendError:
        return f"{name} refused"
    return f"{name} done"

uses = {
    "inspect": lambda: second.inspect(frame),
    "stream": lambda: list(second.stream([frame])),
    "stream of the other": lambda: list(stream),
    "use_recipe": lambda: inspector.use_recipe("two"),
    "with_recipe": lambda: inspector.with_recipe("two"),
    "close": lambda: (second.close(), inspector.close()),
    "load": lambda: clipspect.load(sys.argv[1], recipe="one", backend=sys.argv[2]).inspect(frame),
}
context = multiprocessing.get_context("fork")
for name in uses:
    with context.Pool(1) as pool:
        print(pool.map_async(tried, [name]).get(60)[0], flush=True)
stop.set()
for thread in threads:
    thread.join()
print(len(list(stream)), inspector.inspect(frame).score)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system with fork")
@pytest.mark.parametrize(("engine", "loaded"), [("onnxruntime", "done"), ("openvino", "refused")])
def test_a_worker_that_was_forked_while_other_threads_held_the_locks_never_waits(
    engine: str, loaded: str, tmp_path: Path
) -> None:
    bundle = handmade.write_bundle(tmp_path / "two.bundle", recipes=("one", "two"))
    command = [sys.executable, "-c", LOCKED, str(bundle), engine]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    *said, last = done.stdout.splitlines()
    refused = ("inspect", "stream", "stream of the other", "use_recipe", "with_recipe")
    assert said == [*(f"{name} refused" for name in refused), "close done", f"load {loaded}"]
    assert last == "3 0.0"
