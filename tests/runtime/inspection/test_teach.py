"""Teaching: good photographs become references and limits, and the limits keep their promise for parts to come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy import stats

import clipspect
from clipspect.base.errors import ImageError, RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.inspection.teach import teach
from clipspect.recipes.gallery import thin
from clipspect.recipes.make import make_recipe
from clipspect.recipes.promise import limit_for
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


def distances(parts: npt.NDArray[np.float64], references: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of each part, unit rows, from the nearest reference: a score."""
    nearest: npt.NDArray[np.float64] = 1 - (parts @ references.T).max(axis=1)
    return nearest


def test_k_centre_over_the_parts_that_calibrate_would_break_the_promise_and_over_a_third_it_does_not() -> None:
    """Parts that are far from all others would become references, and none like them would be left to calibrate."""
    splits, rate, parts, references = 1000, 0.1, 60, 8
    rng = np.random.default_rng(0)

    def drawn(count: int) -> npt.NDArray[np.float64]:
        rows = rng.normal([3, 0, 0, 0], 1, (count, 4))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    broken = {"all": 0, "a third": 0}
    for _ in range(splits):
        good, to_come = drawn(parts), drawn(2000)
        for name, candidates in (("all", parts), ("a third", parts // 3)):
            chosen = thin(good[:candidates].astype(np.float32), references).kept
            rest = np.delete(good, chosen, axis=0) if name == "all" else good[candidates:]
            limit, promise = limit_for(distances(rest, good[chosen]), rate, 0.95)
            broken[name] += np.mean(distances(to_come, good[chosen]) >= limit) > promise.rate
    most = stats.binom.ppf(1 - 1e-5, splits, 0.05)
    assert broken["a third"] <= most + 10  # 2,000 parts to come are not all
    assert broken["all"] > 3 * most


def test_with_defective_parts_the_judge_is_taken_that_fails_most_of_them(tmp_path: Path) -> None:
    """Defects of another colour and the same brightness: the words, which see brightness alone, catch none."""
    bundle = handmade.write_memory_bundle(tmp_path / "b")
    rng = np.random.default_rng(0)
    good = 120 + rng.integers(-3, 4, (60, 4, 4, 3)) + np.array([60, 0, -60])
    defective = good[:8].copy()
    defective[:, 1, 2] = defective[:, 1, 2, ::-1]
    photos, others = (list(part.repeat(8, 1).repeat(8, 2).astype(np.uint8)) for part in (good, defective))
    taught = teach(bundle, "nut", photos, defective=others, references=4, false_reject_rate=0.05, backend="onnxruntime")
    assert set(taught.caught) == {"both", "photos"}
    assert taught.recipe.judge == max(taught.caught, key=lambda judge: taught.caught[judge])
    assert taught.caught[taught.recipe.judge] == 8
    every = teach(bundle, "nut", photos, defective=others, false_reject_rate=0.05, backend="onnxruntime")
    assert every.caught["words"] == 0
    assert every.recipe.judge != "words"
    asked = teach(bundle, "nut", photos, defective=others, judge="words", backend="onnxruntime")
    assert (asked.recipe.judge, asked.caught) == ("words", {})
