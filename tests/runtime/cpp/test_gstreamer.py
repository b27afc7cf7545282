"""The example of GStreamer answers what Python answers to the same frames."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipspect
from clipspect_models import DEMO_BUNDLE, DEMO_IMAGES
from support.cpp_answers import TOLERANCE
from support.cpp_programs import call

NO_LEAKS = "detect_leaks=0"
LEAKS = "fast_unwind_on_malloc=0"  # whole stacks: else what GLib allocates when it is loaded cannot be told from a leak
PACKAGES = "libgstreamer1.0-dev", "libgstreamer-plugins-base1.0-dev", "gstreamer1.0-plugins-base"
WIDTH, HEIGHT, STRIDE = 239, 180, 720  # GStreamer pads rows to four bytes


@pytest.fixture(scope="module")
def program(built: Path) -> Path:
    if not (built / "gstreamer").exists() or not (plugins() / "libgstrawparse.so").exists():
        pytest.skip(f"needs pkg-config, {', '.join(PACKAGES)} (Debian's names)")
    return built / "gstreamer"


def plugins() -> Path:
    command = ["pkg-config", "--variable=pluginsdir", "gstreamer-1.0"]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


@pytest.mark.parametrize("leaks", [NO_LEAKS, pytest.param(LEAKS, marks=pytest.mark.slow)])
def test_frames_with_padded_rows_get_pythons_scores_and_regions(program: Path, tmp_path: Path, leaks: str) -> None:
    paths = [DEMO_IMAGES / "gear-chip.jpg", DEMO_IMAGES / "twill-burn.jpg", DEMO_IMAGES / "gear-chip-good.jpg"]
    frames = [np.asarray(Image.open(path).convert("RGB").resize((WIDTH, HEIGHT))) for path in paths]
    padded = np.zeros((len(frames), HEIGHT, STRIDE), np.uint8)
    padded[:, :, : 3 * WIDTH] = np.reshape(frames, (len(frames), HEIGHT, 3 * WIDTH))
    padded.tofile(tmp_path / "frames.rgb")
    pipeline = f"filesrc location={tmp_path}/frames.rgb ! rawvideoparse format=rgb width={WIDTH} height={HEIGHT}"
    out, _ = call(program, DEMO_BUNDLE, "object", pipeline, asan_options=leaks)
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["item"]["number"] for record in records] == [0, 1, 2]
    with clipspect.load("demo", "object", "openvino") as inspector:
        for frame, record in zip(frames, records, strict=True):
            expected = inspector.inspect(frame)
            assert record["score"] == pytest.approx(expected.score, abs=TOLERANCE)
            assert len(record["regions"]) == len(expected.regions)
    assert np.ptp([record["score"] for record in records]) > 0.05  # they are not one frame three times


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ("videotestsrc ! nothing", 'no element "nothing"'),
        ("filesrc location=/nowhere ! rawvideoparse", "the pipeline failed: Resource not found."),
        ("videotestsrc num-buffers=0", "the pipeline ended without a frame"),
    ],
)
def test_a_pipeline_that_gives_no_frame_is_an_error(program: Path, pipeline: str, message: str) -> None:
    out, said = call(program, DEMO_BUNDLE, "object", pipeline, status=1, asan_options=NO_LEAKS)
    assert out == b""
    assert message in said.splitlines()[-1]
