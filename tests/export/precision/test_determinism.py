"""The same image gets the same numbers, to the bit: docs/determinism.md says when, and these tests when it is so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from clipspect.base.errors import UnavailableError
from clipspect.bundle.bundle import Bundle
from clipspect.inspection.load import load

WAYS = """
import hashlib, sys
import numpy as np
import clipspect

bundle, backend, precision, threads = sys.argv[1:]
chance = np.random.default_rng(3)
frames = [chance.integers(0, 256, (200 + 90 * number, 300 + 70 * number, 3), np.uint8) for number in range(4)]
inspector = clipspect.load(bundle, "object", backend=backend, precision=precision, threads=int(threads))

def digest(results):
    numbers = (np.float64(result.score).tobytes() + result.anomaly_map.tobytes() for result in results)
    return hashlib.sha256(b"".join(numbers)).hexdigest()

for _ in range(3):
    print(digest(map(inspector.inspect, frames)))
print(digest(inspector.inspect_batch(frames)))
for batch in (1, 3):
    print(digest(outcome.result for outcome in inspector.stream(frames, batch)))
print(digest(inspector.inspect_batch([frames[0], frame])[1] for frame in frames))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "precision"),
    [
        ("onnxruntime", "fp32"),
        ("onnxruntime", "int8"),
        ("openvino", "fp32"),
        ("openvino", "bf16"),
        ("openvino", "int8"),
    ],
)
def test_an_image_has_the_same_numbers_alone_in_batches_and_streams_with_other_threads_and_in_other_processes(
    backend: str, precision: str, int8_bundle: Bundle
) -> None:
    try:
        load(int8_bundle, "object", backend, precision=precision).close()
    except UnavailableError as error:
        pytest.skip(str(error))
    command = [sys.executable, "-c", WAYS, str(int8_bundle.path), backend, precision]
    printed = [
        subprocess.run([*command, threads], capture_output=True, text=True, check=True, timeout=300).stdout.split()
        for threads in ("1", "2")
    ]
    digests = [digest for lines in printed for digest in lines]
    assert len(digests) == 14
    assert len(set(digests)) == 1
