"""Image sizes other than the method's, rectangles among them: from the graphs to what a box makes of the bundle."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import clipspect
from clipspect.bundle.bundle import Bundle
from clipspect.cli import main
from clipspect_export.methods.anomalyclip.graph import AnomalyClip
from clipspect_export.methods.anomalyclip.reference import AnomalyClipReference
from clipspect_export.methods.aprilgan.graph import AprilGan
from clipspect_export.methods.aprilgan.reference import AprilGanReference
from clipspect_export.methods.crane.graph import Crane
from clipspect_export.methods.crane.reference import CraneReference
from clipspect_export.methods.winclip.graph import WinClip
from clipspect_export.methods.winclip.reference import WinClipReference
from clipspect_export.towers.clip import Clip, build_clip
from clipspect_export.towers.config import Interpolation
from clipspect_export.towers.positions import at_image_size, of_size
from support.golden_dense import images_and_text, small_clip, small_stages
from support.lots import run_lot
from support.wide_bundle import export, wide_bundle

WIDE, TALL = (32, 56), (48, 16)


def resized(size: tuple[int, int], **changes: Any) -> Clip:
    clip = small_clip(**changes)
    config = of_size(clip.config, size)
    return build_clip(config, at_image_size(clip.state_dict(), config, Interpolation("bicubic", antialias=True)))


def models(clip: Clip) -> dict[str, tuple[Any, Any]]:
    """By method, the graph and the eager reference."""
    tower, config, stages = clip.visual, clip.config, small_stages()
    return {
        "winclip": (WinClip(tower, config, (1, 2)), WinClipReference(tower, config, (1, 2))),
        "anomalyclip": (
            AnomalyClip(tower, config, layers=(24,), sigma=2),
            AnomalyClipReference(tower, config, layers=(24,), sigma=2),
        ),
        "aprilgan": (AprilGan(tower, config, stages), AprilGanReference(tower, config, stages)),
        "crane": (Crane(tower, config, sigma=2), CraneReference(tower, config, sigma=2)),
    }


@pytest.mark.parametrize("size", [WIDE, TALL])
@pytest.mark.parametrize("method", ["winclip", "anomalyclip", "aprilgan", "crane"])
def test_graph_and_eager_reference_agree_on_a_rectangle(method: str, size: tuple[int, int]) -> None:
    clip = resized(size)
    pixels, text = images_and_text(clip, 2, 3)
    graph, reference = models(clip)[method]
    with torch.inference_mode():
        found = graph(pixels, text)
    assert found[1].shape == (2, *size)
    torch.testing.assert_close(tuple(found[:3]), tuple(reference(pixels, text)), atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wide_bundle(tmp_path_factory)


def test_a_square_given_by_its_sides_is_the_same_bundle(tmp_path: Path) -> None:
    digests = []
    for number, size in enumerate([[], ["--image-size", "64x64"], ["--image-size", "64"]]):
        out = tmp_path / f"{number}.bundle"
        assert export(tmp_path, out, *size) == 0
        files = ("model.onnx", "fewshot.onnx", "model.onnx.data", "check.safetensors")
        digests.append([hashlib.sha256((out / name).read_bytes()).hexdigest() for name in files])
    assert digests[0] == digests[1] == digests[2]


def test_a_box_inspects_with_a_rectangle(wide: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = Bundle.open(wide).manifest.image
    assert (image.height, image.width) == (64, 96)
    random = np.random.default_rng(0)
    good, defect = tmp_path / "set" / "good", tmp_path / "set" / "defect"
    for folder in (good, defect):
        folder.mkdir(parents=True)
        for number in range(3):
            pixels = random.integers(0, 256, (48, 72, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    engine = ["--backend", "onnxruntime"]
    assert main(["verify", str(wide), *engine]) == 0
    recipe = clipspect.make_recipe(
        wide, "two", like="nut", references=sorted(good.iterdir())[:2], backend="onnxruntime"
    )
    with clipspect.load(wide, recipe, "onnxruntime") as inspector:
        result = inspector.inspect(good / "0.png")
        assert result.model_map.shape == (64, 96)
        assert result.anomaly_map.shape == (48, 72)
        assert inspector.inspect(defect / "0.png").score > result.score
    assert main(["eval", str(wide), str(tmp_path / "set"), "--layout", "folder", "--recipe", "nut", *engine]) == 0
    assert run_lot(wide, tmp_path / "set", *engine) == 0
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("64x90", "an image of 64 x 90 pixels does not divide into patches of 16: take --image-size 64x96"),
        ("64x16", "scale 2 does not fit: windows are 1 to 1 patches wide on a grid of 4 x 1"),
    ],
)
def test_a_size_that_does_not_fit_is_refused_in_one_line(
    size: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(tmp_path, tmp_path / "x.bundle", "--image-size", size) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x.bundle").exists()


@pytest.mark.parametrize("size", ["64x", "0", "x96", "64x96x3", "-64", "1.5"])
def test_a_size_that_is_none_is_refused(size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(tmp_path, tmp_path / "x.bundle", f"--image-size={size}") == 1
    assert "expected HEIGHTxWIDTH in pixels, such as 448x672" in capsys.readouterr().err
