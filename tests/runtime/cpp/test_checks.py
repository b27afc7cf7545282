"""Whether a frame is one that the limits speak of: the C++ header measures and judges it as the Python runtime does."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from clipspect.frame.quality import measure
from clipspect.recipes.calibration import Calibration, PartScore, Range, Scorer
from clipspect.recipes.checks import CHECKS, invalid_reasons, size_note
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import Recipe, write_recipe
from clipspect_models import DEMO_BUNDLE
from support import handmade
from support.command_line import run
from support.cpp_answers import compare
from support.cpp_programs import call

Pixels = npt.NDArray[np.uint8]
SIZES = ((640, 480), (646, 480), (480, 640))
DIM = 4


def drawn_frames() -> list[Pixels]:
    """Of many sizes, even and odd, and of all kinds of light, in the model's size."""
    rng = np.random.default_rng(0)
    frames = [np.full((9, 7, 3), level, np.uint8) for level in (0, 3, 16, 128, 250, 251, 255)]
    for height, width, span in itertools.product((4, 5, 13, 64), (4, 7, 32), (2, 60, 256)):
        low = rng.integers(0, 257 - span)
        frames.append(rng.integers(low, low + span, (height, width, 3), dtype=np.uint8))
    return [*frames, np.asarray(Image.fromarray(handmade.spotted()).resize((32, 32)))]


FRAMES = drawn_frames()
EMBEDDINGS = np.random.default_rng(1).normal(size=(len(FRAMES), DIM)).astype(np.float32)
EMBEDDINGS /= np.linalg.norm(EMBEDDINGS, axis=1, keepdims=True)


def found(built: Path, recipe: Recipe, folder: Path, *, embeddings: bool = True) -> list[dict[str, Any]]:
    """What the header says of each of FRAMES, taken for frames of SIZES one after the other."""
    write_recipe(folder / f"{recipe.name}.safetensors", recipe)
    frames = [
        {
            "pixels": pixels.ravel().tolist(),
            "height": pixels.shape[0],
            "width": pixels.shape[1],
            "size": SIZES[place % len(SIZES)],
            "embedding": EMBEDDINGS[place].tolist() if embeddings else [],
        }
        for place, pixels in enumerate(FRAMES)
    ]
    (folder / "frames.json").write_text(json.dumps(frames), encoding="utf-8")
    out = call(built / "checks", folder / f"{recipe.name}.safetensors", folder / "frames.json")[0]
    return [json.loads(line) for line in out.splitlines()]


def calibrated(**changes: Any) -> Recipe:
    recipe = handmade.make_recipe("nut", limits=Limits(0.4, 0.6))
    scorer = Scorer("b" * 64, recipe.tensors_digest, "openvino", "cpu", "fp32", "0")
    calibration = Calibration("2026-11-27T12:00:00+00:00", scorer, (PartScore("1.png", 0.6, 0.5),), **changes)
    return dataclasses.replace(recipe, calibration=calibration)


def ranges(share: float) -> dict[str, Any]:
    """Checks that about so large a share of FRAMES passes on each side, and the means that they are of."""
    qualities = [measure(pixels[None]) for pixels in FRAMES]
    layout = np.mean([quality.layout for quality in qualities], axis=0)
    embedding = EMBEDDINGS.sum(axis=0) / np.linalg.norm(EMBEDDINGS.sum(axis=0))
    far = np.sqrt(np.mean((np.array([quality.layout for quality in qualities]) - layout) ** 2, axis=1))
    own = CHECKS.keys() - {"layout", "embedding"}
    values = {name: [float(getattr(quality, name)) for quality in qualities] for name in own}
    values |= {"layout": far.tolist(), "embedding": (1 - EMBEDDINGS @ embedding).tolist()}
    checks = {}
    for name, check in sorted(CHECKS.items()):
        low, high = np.quantile(values[name], [1 - share, share]).tolist()
        smallest, largest = min(values[name]), max(values[name])
        checks[name] = Range(low if check.below else None, high if check.above else None, 0.001, smallest, largest)
    return {"checks": checks, "layout": tuple(layout.tolist()), "embedding": tuple(embedding.tolist())}


def test_the_quality_of_a_frame_has_the_same_digits(built: Path, tmp_path: Path) -> None:
    for pixels, answer in zip(FRAMES, found(built, handmade.make_recipe("nut"), tmp_path), strict=True):
        expected = vars(measure(pixels[None]))
        layout = answer["quality"].pop("layout")
        assert answer["quality"] == {name: value for name, value in expected.items() if name != "layout"}
        assert layout == pytest.approx(expected["layout"], rel=0, abs=1e-12)


@pytest.mark.parametrize("share", [0.6, 0.75])
@pytest.mark.parametrize("embeddings", [True, False])
def test_a_frame_is_invalid_for_the_same_reasons(built: Path, tmp_path: Path, share: float, embeddings: bool) -> None:
    recipe = calibrated(**ranges(share), frame_sizes=SIZES[:1])
    answers = found(built, recipe, tmp_path, embeddings=embeddings)
    for place, (pixels, answer) in enumerate(zip(FRAMES, answers, strict=True)):
        size = SIZES[place % len(SIZES)]
        embedding = EMBEDDINGS[place] if embeddings else None
        assert answer["reasons"] == list(invalid_reasons(measure(pixels[None]), size, embedding, recipe.calibration))
        assert answer["note"] == size_note(size, SIZES[:1])
    said = {reason.split()[0] for answer in answers for reason in answer["reasons"]}
    assert said >= {*CHECKS, "aspect:", "the"}
    assert embeddings or all("embedding nan is above" in " ".join(answer["reasons"]) for answer in answers)


def test_without_a_calibration_frames_with_nothing_to_see_are_invalid(built: Path, tmp_path: Path) -> None:
    for recipe in (handmade.make_recipe("nut"), calibrated()):
        answers = found(built, recipe, tmp_path)
        expected = [list(invalid_reasons(measure(pixels[None]), (1, 1), None, recipe.calibration)) for pixels in FRAMES]
        assert [answer["reasons"] for answer in answers] == expected
        words = " ".join(itertools.chain(*expected))
        assert all(f"the frame is {what} (" in words for what in ("black", "white", "of one colour"))


def test_references_of_another_size_are_said(built: Path, tmp_path: Path) -> None:
    recipe = handmade.make_recipe("nut", references={"sizes": [list(size) for size in SIZES[:2]]})
    notes = [answer["note"] for answer in found(built, recipe, tmp_path)]
    assert notes == [size_note(SIZES[place % len(SIZES)], SIZES[:2]) for place in range(len(FRAMES))]
    assert notes[0] == ""
    assert notes[2] != ""


def test_a_record_says_why_a_frame_is_invalid(built: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    images = {name: tmp_path / f"{name}.png" for name in ("black", "white", "constant", "spotted")}
    for name, level in (("black", 2), ("white", 255), ("constant", 120)):
        Image.new("RGB", (64, 48), (level,) * 3).save(images[name])
    Image.fromarray(handmade.spotted()).save(images["spotted"])
    records = compare(built, tiny_bundle, "object", list(images.values()), tmp_path / "maps")
    assert [record["verdict"] for record in records] == ["invalid"] * 3 + [None]


def test_a_recipe_that_was_calibrated_in_python_judges_photographs_as_there(
    built: Path, photos: list[Path], tmp_path: Path
) -> None:
    recipe, good = tmp_path / "gear.safetensors", sorted((Path(DEMO_BUNDLE).parent / "demo_images").glob("*-good.jpg"))
    of_photos = "--judge", "photos", "--references", *good[:2], "--out", recipe
    assert run("recipe", "demo", "gear", *of_photos, "--backend", "openvino") == 0
    assert run("calibrate", "demo", recipe, "--good", *good[2:], "--anyway", "--backend", "openvino") == 0
    others = [photo for photo in photos if photo.name in {"wide.png", "line.png", "small.png"}]
    records = compare(built, Path(DEMO_BUNDLE), str(recipe), [*good[:2], photos[0], *others], tmp_path / "maps")
    assert {record["verdict"] for record in records} >= {"invalid", "pass"}
    assert all(record["limits"]["reject_promise"]["parts"] == len(good) - 2 for record in records)
    assert all(
        record["notes"] for record in records if (record["item"]["width"], record["item"]["height"]) != (240, 240)
    )
