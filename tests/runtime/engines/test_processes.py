"""Engines and processes: after a fork, and within a container's share of the processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import handmade
from support.control_groups import limited, run_in

SIDE, DIM = handmade.SIDE, handmade.DIM


@pytest.fixture(params=["onnxruntime", "openvino"])
def engine(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return str(request.param)


FORK = """
import os, sys, time, signal
import numpy as np
from pathlib import Path
from clipspect.base.errors import BackendError
from clipspect.engines import open_backend
backend = open_backend("{engine}", Path("{graph}"), threads=2)
inputs = dict(image=np.full((1, {side}, {side}, 3), 51, np.uint8), text_features=np.ones((2, 1, {dim}), np.float32))
before = backend.run(inputs)["score"][0]
child = os.fork()
if child == 0:
    try:
        backend.run(inputs)
    except BackendError as error:
        print(error, flush=True)
    backend.close()
    sys.exit(7)  # as a service's worker ends, which frees what it holds
until = time.monotonic() + 20
done, status = os.waitpid(child, os.WNOHANG)
while not done and time.monotonic() < until:
    time.sleep(0.02)
    done, status = os.waitpid(child, os.WNOHANG)
if not done:
    os.kill(child, signal.SIGKILL)
    sys.exit("the child hangs")
print(os.getpid(), child, os.waitstatus_to_exitcode(status), backend.run(inputs)["score"][0] == before)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system with fork")
def test_a_forked_process_is_refused_and_neither_hangs_nor_crashes_and_the_parent_goes_on(
    engine: str, tiny_bundle: Path
) -> None:
    code = FORK.format(engine=engine, graph=tiny_bundle / "model.onnx", side=SIDE, dim=DIM)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    refusal, last = done.stdout.splitlines()
    parent, child, status, same = last.split()
    assert f"the {engine} backend was loaded in process {parent}, and this is process {child}: " in refusal
    assert refusal.endswith("load the bundle in the process that inspects")
    assert (status, same) == ("7", "True")


THREADS = """
import os
from pathlib import Path
from clipspect.engines import open_backend
before = len(os.listdir("/proc/self/task"))
backend = open_backend("{engine}", Path("{graph}"))
if backend.name == "openvino":
    print(backend._request.get_compiled_model().get_property("INFERENCE_NUM_THREADS"))
else:
    print(1 + len(os.listdir("/proc/self/task")) - before)  # the caller's thread works, too
"""


def test_a_containers_quota_bounds_the_threads_of_engines_that_see_all_cores(engine: str, tiny_bundle: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    code = THREADS.format(engine=engine, graph=tiny_bundle / "model.onnx")
    with limited(1.0) as group:
        assert int(run_in(group, code)) == 1
    assert int(run_in(None, code)) > 1
