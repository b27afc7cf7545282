"""examples/opencv_loop.py: every frame of a video, in the right order of channels."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import clipspect
from clipspect_models import DEMO_IMAGES
from support.installed import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not find_spec("cv2"), reason="needs opencv-python-headless: pip install --editable '.[dev]'"),
]

PICTURES = ["gear-chip.jpg", "twill-burn.jpg", "gear-chip-good.jpg"]
TINT = np.array([1.0, 0.6, 0.2])  # so that red and blue are not nearly the same


def opencv_loop(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "examples" / "opencv_loop.py", *arguments]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, check=False)


def test_every_frame_of_a_lossless_video_has_the_score_of_its_picture(tmp_path: Path) -> None:
    frames = [(np.asarray(Image.open(DEMO_IMAGES / name).convert("RGB")) * TINT).astype(np.uint8) for name in PICTURES]
    with av.open(str(tmp_path / "line.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    done = opencv_loop("demo", "object", tmp_path / "line.mkv")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [int(line[0]) for line in lines] == [0, 1, 2]
    with clipspect.load("demo", "object", "onnxruntime") as inspector:
        expected = [result.score for result in inspector.inspect_batch(frames)]
        swapped = [result.score for result in inspector.inspect_batch([frame[..., ::-1] for frame in frames])]
    assert [float(line[1]) for line in lines] == pytest.approx(expected, abs=1e-3)
    assert np.abs(np.subtract(swapped, expected)).max() > 0.01  # else the order of channels would not be tested


def test_what_opencv_cannot_open_is_said(tiny_bundle: Path, tmp_path: Path) -> None:
    done = opencv_loop(tiny_bundle, "object", tmp_path / "nothing.mp4")
    assert done.returncode == 1
    assert "OpenCV cannot open it" in done.stderr.splitlines()[-1]
