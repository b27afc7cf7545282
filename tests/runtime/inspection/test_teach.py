"""Teaching: good photographs become references and limits, and the limits keep their promise for parts to come."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import clipspect
from clipspect.base.errors import BackendError, ImageError, RecipeError
from clipspect.base.progress import quiet
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import RECIPES
from clipspect.engines.graph import BOTH
from clipspect.frame.quality import measure
from clipspect.frame.region_of_interest import Area, RegionOfInterest
from clipspect.frame.resize import to_model_size
from clipspect.inspection.chosen_references import farthest, split
from clipspect.inspection.photographs import read_photographs
from clipspect.inspection.teach import teach
from clipspect.recipes.judge import JUDGES
from clipspect.recipes.make import make_recipe
from clipspect.recipes.recipe import write_recipe
from clipspect.sinks.report_pictures import WorstPictures
from support import handmade


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 pictures of 16 colours each."""
    drawn = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 3), np.uint8)
    for number, picture in enumerate(drawn):
        path = tmp_path / f"good/{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture.repeat(12, 0).repeat(16, 1)).save(path)
    return tmp_path / "good"


def test_few_photographs_are_in_memory_at_once_however_many_threads_an_engine_has(full_bundle: Path) -> None:
    reading = set()

    def look(step: str, done: int, total: int) -> None:
        reading.update(thread.name for thread in threading.enumerate() if "photographs" in thread.name)

    drawn = np.random.default_rng(0).integers(0, 256, (24, 4, 4, 3), np.uint8)
    large = [picture.repeat(200, 0).repeat(200, 1) for picture in drawn]  # so that many are read at once
    teach(full_bundle, "nut", large, judge="words", backend="onnxruntime", threads=24, progress=look)
    assert 0 < len(reading) <= 8


def test_of_a_cropped_region_references_differ_in_what_is_seen_of_them(full_bundle: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    shown = rng.integers(90, 160, (3, 4, 4, 3), np.uint8)
    for number in range(12):  # what lies around differs most where the part is the first of three
        left = (
            rng.choice(np.array([0, 255], np.uint8), (4, 4, 3)) if number % 3 == 0 else np.full((4, 4, 3), 99, np.uint8)
        )
        right = np.clip(shown[number % 3] + rng.integers(-2, 3, (4, 4, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(np.hstack([left, right]).repeat(8, 0).repeat(8, 1)).save(tmp_path / f"{number:02}.png")
    square = Area((((32, 0), (64, 0), (64, 32), (32, 32)),))
    bundle = Bundle.open(full_bundle)
    photographs = read_photographs(sorted(tmp_path.glob("*.png")), bundle.manifest.image)

    def chosen(region: RegionOfInterest | None) -> set[int]:
        graph = bundle.manifest.graphs[BOTH]
        found, _ = farthest(bundle, graph, photographs, 3, "onnxruntime", {}, quiet, region)
        return {int(Path(photograph.name).stem) % 3 for photograph in found}

    assert chosen(RegionOfInterest((64, 32), square, mode="crop")) == {0, 1, 2}
    assert chosen(None) != {0, 1, 2}
    taught = teach(
        full_bundle,
        "nut",
        sorted(tmp_path.glob("*.png")),
        region_of_interest=RegionOfInterest((64, 32), square, mode="crop"),
    )
    assert taught.recipe.references is not None
    assert taught.recipe.references["box"] == [64, 32, 32, 0, 64, 32]


def test_references_and_parts_that_calibrate_are_apart_and_every_time_the_same(full_bundle: Path, folder: Path) -> None:
    photographs = clipspect.sources.files(folder)
    taught = teach(full_bundle, "nut", photographs, backend="onnxruntime", references=4)
    recipe = taught.recipe
    assert recipe.calibration is not None
    assert recipe.references is not None
    calibrating = {part.name for part in recipe.calibration.parts}
    assert (len(taught.references), taught.left_aside, len(calibrating)) == (4, 6, 20)
    assert calibrating.isdisjoint(taught.references)
    assert [file["name"] for file in recipe.references["files"]] == [Path(name).name for name in taught.references]
    again = teach(full_bundle, "nut", reversed(list(photographs)), backend="onnxruntime", references=4)
    assert set(again.references) == set(taught.references)
    assert again.recipe.limits == recipe.limits
    assert taught.alike is None
    with clipspect.load(full_bundle, recipe, "onnxruntime") as inspector:
        assert inspector.limits == recipe.limits
        assert {inspector.inspect(path).verdict for path in calibrating} == {"pass"}


def test_the_references_are_the_candidates_that_k_centre_takes(full_bundle: Path, folder: Path) -> None:
    """Of two kinds of parts among the candidates, two references show one of each."""
    for number in range(20):
        colour = np.full((48, 64, 3), (200, 30 + number, 30) if number % 2 else (30, 30 + number, 200), np.uint8)
        Image.fromarray(colour).save(folder / f"{number:02}.png")
    for number in range(20, 30):
        (folder / f"{number}.png").unlink()
    taught = teach(full_bundle, "nut", clipspect.sources.files(folder), backend="onnxruntime", references=2)
    assert sorted(int(Path(name).stem) % 2 for name in taught.references) == [0, 1]


def test_words_alone_calibrate_on_all_photographs(full_bundle: Path, tiny_bundle: Path, folder: Path) -> None:
    photographs = clipspect.sources.files(folder)
    taught = teach(full_bundle, "nut", photographs, object="metal nut", references=0, backend="onnxruntime")
    assert (taught.references, taught.left_aside, taught.recipe.object) == ((), 0, "metal nut")
    assert taught.recipe.calibration is not None
    assert len(taught.recipe.calibration.parts) == 30
    of_its_only_recipe = teach(tiny_bundle, "nut", photographs, backend="onnxruntime").recipe
    assert (of_its_only_recipe.name, of_its_only_recipe.object) == ("nut", "object")
    assert teach(full_bundle, "bolt", photographs, backend="onnxruntime").recipe.object == "bolt"
    with pytest.raises(RecipeError, match="it takes no words; use the recipe that it came with"):
        teach(tiny_bundle, "nut", photographs, object="metal nut", backend="onnxruntime")


def test_few_parts_are_taken_and_the_promise_says_what_they_are_worth(full_bundle: Path, folder: Path) -> None:
    limits = teach(full_bundle, "nut", clipspect.sources.files(folder), backend="onnxruntime").recipe.limits
    assert limits is not None
    assert limits.reject_promise is not None
    assert (limits.reject_promise.asked, limits.reject_promise.kept, limits.reject_promise.parts) == (0.01, False, 20)


def test_frames_of_one_part_are_either_references_or_calibrate(full_bundle: Path, folder: Path) -> None:
    photographs = list(clipspect.sources.files(folder))
    taught = teach(full_bundle, "nut", photographs, group=r"^(\d)", references=1, backend="onnxruntime")
    assert taught.recipe.calibration is not None
    assert [part.frames for part in taught.recipe.calibration.parts] == [10, 10]
    assert Path(taught.references[0]).name[0] not in {part.name for part in taught.recipe.calibration.parts}
    assert taught.left_aside == 9


def test_two_that_look_nearly_the_same_are_told(tiny_bundle: Path, folder: Path) -> None:
    pixels = np.asarray(Image.open(folder / "07.png"))
    Image.fromarray(np.clip(pixels.astype(int) + 1, 0, 255).astype(np.uint8)).save(folder / "07 again.png")
    photographs = clipspect.sources.files(folder)
    first, second = teach(tiny_bundle, "nut", photographs, backend="onnxruntime").alike or ("", "")
    assert {Path(first).name, Path(second).name} == {"07.png", "07 again.png"}
    assert teach(tiny_bundle, "nut", photographs, group=r"^(\d+)", backend="onnxruntime").alike is None


@pytest.mark.parametrize(("count", "references"), [(1, None), (0, None), (5, 5), (5, 9)])
def test_too_few_parts_for_both_are_refused(
    full_bundle: Path, folder: Path, count: int, references: int | None
) -> None:
    photographs = list(clipspect.sources.files(folder))[:count]
    with pytest.raises(RecipeError, match=f"{count} good parts are too few for"):
        teach(full_bundle, "nut", photographs, references=references, backend="onnxruntime")


def test_an_unreadable_photograph_is_named_before_any_engine_is_opened(full_bundle: Path, folder: Path) -> None:
    (folder / "03.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"03\.png"):
        teach(full_bundle, "nut", clipspect.sources.files(folder), backend="no such engine")


def test_the_recipe_is_that_of_make_recipe_with_limits(full_bundle: Path, folder: Path) -> None:
    taught = teach(full_bundle, "nut", clipspect.sources.files(folder), references=3, backend="onnxruntime")
    made = make_recipe(Bundle.open(full_bundle), "nut", object="nut", references=list(map(Path, taught.references)))
    assert taught.recipe.tensors_digest == made.tensors_digest
    assert len(taught.recipe.history) == 1


def test_with_defective_parts_the_judge_is_taken_that_fails_most_of_them(tmp_path: Path) -> None:
    """Defects of another colour and the same brightness: the words, which see brightness alone, catch none."""
    bundle = handmade.write_memory_bundle(tmp_path / "b")
    rng = np.random.default_rng(0)
    good = 120 + rng.integers(-3, 4, (60, 4, 4, 3)) + np.array([60, 0, -60])
    defective = good[:8].copy()
    defective[:, 1, 2] += np.array([-40, 0, 40])
    photos, others = (list(part.repeat(8, 1).repeat(8, 2).astype(np.uint8)) for part in (good, defective))
    steps: list[tuple[str, int, int]] = []
    pictures = {judge: (WorstPictures(), WorstPictures(lowest=True)) for judge in JUDGES}
    taught = teach(
        bundle,
        "nut",
        photos,
        defective=others,
        references=4,
        false_reject_rate=0.05,
        backend="onnxruntime",
        pictures=pictures,
        progress=lambda *told: steps.append(told),
    )
    assert steps.count(("good parts", 40, 40)) == 2  # each judge is taught once, the winner as well
    assert [len(kept.pictures) for kept in pictures[taught.recipe.judge]] == [10, 8]
    assert set(taught.caught) == {"both", "photos"}
    assert taught.recipe.judge == max(taught.caught, key=lambda judge: taught.caught[judge])
    assert taught.caught[taught.recipe.judge] == 8
    every = teach(bundle, "nut", photos, defective=others, false_reject_rate=0.05, backend="onnxruntime")
    assert every.caught["words"] == 0
    assert every.recipe.judge != "words"
    asked = teach(bundle, "nut", photos, defective=others, judge="words", backend="onnxruntime")
    assert (asked.recipe.judge, asked.caught) == ("words", {})


def test_a_judge_that_cannot_be_made_is_said_and_the_others_are_compared(tmp_path: Path, folder: Path) -> None:
    """Without a text encoder, and with two recipes to take words from, there are no words."""
    bundle = handmade.rewritten(handmade.write_memory_bundle(tmp_path / "b"), text_encoder=None)
    write_recipe(bundle / RECIPES / "other.safetensors", handmade.make_recipe("other"))
    bad = [np.ascontiguousarray(np.asarray(Image.open(path))[::-1]) for path in sorted(folder.iterdir())[:2]]
    taught = teach(bundle, "nut", clipspect.sources.files(folder), defective=bad, backend="onnxruntime")
    assert (taught.recipe.judge, list(taught.caught)) == ("photos", ["photos"])
    assert list(taught.not_tried) == ["both", "words"]
    assert "there is several recipes to take them from" in taught.not_tried["words"]
    with pytest.raises(RecipeError, match="several recipes to take them from"):
        teach(bundle, "nut", clipspect.sources.files(folder), backend="onnxruntime")
    with pytest.raises(BackendError, match="no backend 'none'"):  # where none can be made, why the usual one cannot
        teach(bundle, "nut", clipspect.sources.files(folder), object="nut", defective=bad, backend="none")


@pytest.mark.parametrize(
    ("defective", "error", "words"),
    [
        (lambda folder: [folder / "07.png"], RecipeError, "07.png is given as defective and shows the same as"),
        (lambda folder: [np.asarray(Image.open(folder / "07.png"))], RecipeError, "caller#0 is given as defective"),
        (lambda _: [np.full((9, 9), 7, np.uint8)] * 2, RecipeError, "the same photograph twice: caller#0 and caller#1"),
        (lambda _: ["no.png"], ImageError, "no.png: no such file"),
        (lambda _: np.zeros((9, 9, 3), np.uint8), ImageError, "expected several photographs"),
    ],
)
def test_defective_photographs_that_cannot_be_are_refused_before_any_engine_is_opened(
    full_bundle: Path, folder: Path, defective: Callable[[Path], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)) as caught:
        teach(full_bundle, "nut", clipspect.sources.files(folder), defective=defective(folder), backend="no engine")
    assert "\n" not in str(caught.value)


def test_references_that_nothing_would_compare_with_are_refused(
    full_bundle: Path, tiny_bundle: Path, folder: Path
) -> None:
    for bundle, judge, why in (
        (full_bundle, "words", "words alone are to judge"),
        (tiny_bundle, None, "this bundle has no graph to compare with references"),
    ):
        with pytest.raises(RecipeError, match=f"4 references are asked for, and {why}"):
            teach(bundle, "nut", clipspect.sources.files(folder), references=4, judge=judge)


def test_what_frames_must_be_like_is_learned_from_all_good_photographs(full_bundle: Path, folder: Path) -> None:
    """One of the candidates is the only dark one: no limit comes from it, and frames like it are valid."""
    spec = Bundle.open(full_bundle).manifest.image
    for path in sorted(folder.iterdir()):  # which are candidates hangs on what they show
        light, dark = path.read_bytes(), np.asarray(Image.open(path)) // 4
        Image.fromarray(dark).save(path)
        candidates = split(read_photographs(clipspect.sources.files(folder), spec), None)[1]
        if str(path) in {photograph.name for photograph in candidates}:
            break
        path.write_bytes(light)
    taught = teach(full_bundle, "nut", clipspect.sources.files(folder), backend="onnxruntime")
    calibration = taught.recipe.calibration
    assert calibration is not None
    assert str(path) not in {part.name for part in calibration.parts}
    assert (len(calibration.parts), calibration.checked_parts) == (20, 30)
    measured = [measure(to_model_size(Image.open(file), spec)[None]) for file in sorted(folder.iterdir())]
    assert calibration.layout == pytest.approx(np.mean([found.layout for found in measured], axis=0))
    assert calibration.checks["brightness"].smallest == min(found.brightness for found in measured)
    with clipspect.load(full_bundle, taught.recipe, "onnxruntime") as inspector:
        assert inspector.inspect(dark).verdict != "invalid"


def test_a_bundle_that_is_open_is_not_hashed_again(full_bundle: Path, folder: Path) -> None:
    opened = Bundle.open(full_bundle)
    (full_bundle / "check.safetensors").unlink()  # whoever verifies the bundle again finds it missing
    assert teach(opened, "nut", clipspect.sources.files(folder), backend="onnxruntime").recipe.limits is not None
