"""Calibration: limits from good parts, one number a part, and what is refused before anything is scored."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import clipspect
from clipspect.base.errors import ImageError, RecipeError
from clipspect.frame.item import Item
from clipspect.inspection.inspector import Inspector
from clipspect.recipes.defects import defects_of
from clipspect.recipes.promise import limits_from_scores
from clipspect.recipes.recipe import Recipe, write_recipe

RATES = {"false_reject_rate": 0.1, "uncertain": 0.2, "confidence": 0.9}  # 22 parts are needed


@pytest.fixture
def inspector(tiny_bundle: Path) -> Iterator[Inspector]:
    with clipspect.load(tiny_bundle, backend="onnxruntime") as loaded:
        yield loaded


def write(path: Path, value: int, size: tuple[int, int] = (9, 6)) -> Path:
    """A grey image: its score, and its map everywhere, is value / 255."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)
    return path


def good_folder(folder: Path, values: Sequence[int]) -> Path:
    for number, value in enumerate(values):
        write(folder / f"{number:02}.png", value)
    return folder


def names(recipe: Recipe) -> list[str]:
    assert recipe.calibration is not None
    return [Path(part.name).name for part in recipe.calibration.parts]


def test_limits_are_those_of_the_parts_scores_and_say_what_they_were_made_of(
    inspector: Inspector, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).permutation(np.arange(20, 60)).tolist()
    photographs = clipspect.sources.files(good_folder(tmp_path / "good", values))
    steps = []
    recipe = clipspect.calibrate(inspector, photographs, **RATES, progress=lambda *told: steps.append(told))
    scores = [inspector.inspect(item.frame).score for item in photographs]
    limits, expected = recipe.limits, limits_from_scores(scores, 0.1, 0.2, 0.9)
    assert limits is not None
    assert (limits.review, limits.reject) == (expected.review, expected.reject)
    assert (limits.review_promise, limits.reject_promise) == (expected.review_promise, expected.reject_promise)
    assert (limits.map, limits.map_promise) == (limits.review, limits.review_promise)  # the map is the score everywhere
    calibration = recipe.calibration
    assert calibration is not None
    assert [part.score for part in calibration.parts] == scores == [part.map_maximum for part in calibration.parts]
    assert [part.worst_frame for part in calibration.parts] == [str(item.frame) for item in photographs]
    assert (calibration.frame_sizes, calibration.group, calibration.estimate) == (((9, 6),), None, False)
    scorer = calibration.scorer
    assert (scorer.bundle, scorer.tensors) == (inspector.bundle.digest, inspector.recipe.tensors_digest)
    assert (scorer.backend, scorer.device, scorer.precision) == ("onnxruntime", "cpu", "fp32")
    assert steps[-1] == ("good parts", 40, 40)
    with inspector.with_recipe(recipe) as judging:
        verdicts = [judging.inspect(item.frame).verdict for item in photographs]
        assert verdicts.count("fail") == expected.reject_promise.rank - 1
        assert verdicts.count("pass") == 40 - (expected.review_promise.rank - 1)
        assert judging.map_limit == limits.map


def test_every_change_of_limits_is_in_the_history_and_survives_the_file(inspector: Inspector, tmp_path: Path) -> None:
    photographs = list(clipspect.sources.files(good_folder(tmp_path / "good", range(20, 60))))
    first = clipspect.calibrate(inspector, photographs, **RATES)
    inspector.use_recipe(first)
    second = clipspect.calibrate(inspector, photographs[:30], **RATES, why="the ten last were wet")
    write_recipe(inspector.bundle.path / "recipes/object.safetensors", second)
    with clipspect.load(inspector.bundle.path, backend="onnxruntime") as again:
        one, two = again.recipe.history
        assert again.recipe.calibration == second.calibration
        assert again.limits == second.limits
    assert (one.old, one.new, two.old) == (None, two.old, one.new)
    assert second.limits is not None
    assert two.new == {"review": second.limits.review, "reject": second.limits.reject, "map": second.limits.map}
    assert one.why.startswith("calibrated on 40 good parts, 0 struck; asked: at most 10 % rejected, 20 % not passed")
    assert two.why == "the ten last were wet"
    assert "@" in one.who


def test_frames_of_one_part_count_once_by_their_maximum(inspector: Inspector, tmp_path: Path) -> None:
    for part in range(30):
        for frame in range(3):
            write(tmp_path / f"good/part{part}_frame{frame}.png", 20 + 3 * part + (2 - frame))
    photographs = clipspect.sources.files(tmp_path / "good")
    recipe = clipspect.calibrate(inspector, photographs, group=r"part(\d+)_", **RATES)
    assert recipe.calibration is not None
    assert names(recipe) == [str(part) for part in range(30)]
    assert {part.frames for part in recipe.calibration.parts} == {3}
    assert [round(part.score * 255) for part in recipe.calibration.parts] == [22 + 3 * part for part in range(30)]
    assert {Path(part.worst_frame).name for part in recipe.calibration.parts} == {
        f"part{part}_frame0.png" for part in range(30)
    }
    assert recipe.limits is not None
    assert recipe.limits.reject_promise is not None
    assert recipe.limits.reject_promise.parts == 30
    whole_match = clipspect.calibrate(inspector, photographs, group=r"part\d+", **RATES)
    assert names(whole_match)[0] == "part0"
    with pytest.raises(RecipeError, match=r"part0_frame0.png: the group '\^lot' finds no part in this path"):
        clipspect.calibrate(inspector, photographs, group="^lot", **RATES)
    with pytest.raises(RecipeError, match=r"group '\(': not a regular expression"):
        clipspect.calibrate(inspector, photographs, group="(", **RATES)


def test_a_group_is_looked_for_below_the_source_only(inspector: Inspector, tmp_path: Path) -> None:
    for part in range(25):
        write(tmp_path / f"lot 9/good/lot {part}/1.png", 20 + part)
    photographs = clipspect.sources.files(tmp_path / "lot 9" / "good")
    assert names(clipspect.calibrate(inspector, photographs, group=r"lot (\d+)", **RATES)) == [
        str(part) for part in range(25)
    ]


def test_a_struck_part_stays_as_struck_and_counts_no_more(inspector: Inspector, tmp_path: Path) -> None:
    photographs = list(clipspect.sources.files(good_folder(tmp_path / "good", range(20, 60))))
    bad = str(photographs[-1].frame)
    before = clipspect.calibrate(inspector, photographs, **RATES)
    after = clipspect.calibrate(inspector, photographs, strike=[bad], **RATES)
    without = clipspect.calibrate(inspector, photographs[:-1], **RATES)
    assert after.limits == without.limits != before.limits
    assert after.calibration is not None
    assert [part.name for part in after.calibration.parts if part.struck] == [bad]
    assert len(after.calibration.parts) == 40
    assert "39 good parts, 1 struck" in after.history[-1].why
    with pytest.raises(RecipeError, match=r"strike other.png: no good part or file has this name"):
        clipspect.calibrate(inspector, photographs, strike=["other.png"], **RATES)
    with pytest.raises(RecipeError, match="strike: expected a list"):
        clipspect.calibrate(inspector, photographs, strike=bad, **RATES)
    with pytest.raises(RecipeError, match="with 21 good parts the best"):
        clipspect.calibrate(inspector, photographs[:22], strike=[str(photographs[0].frame)], **RATES)


def test_a_file_of_a_group_strikes_its_part(inspector: Inspector, tmp_path: Path) -> None:
    for number in range(50):
        write(tmp_path / f"good/{number // 2}-{number % 2}.png", 20 + number)
    photographs = clipspect.sources.files(tmp_path / "good")
    for name in (str(tmp_path / "good/7-1.png"), "7"):
        recipe = clipspect.calibrate(inspector, photographs, group=r"^(\d+)-", strike=[name], **RATES)
        assert recipe.calibration is not None
        assert [part.name for part in recipe.calibration.parts if part.struck] == ["7"]


def test_too_few_parts_are_refused_before_anything_is_scored_and_taken_anyway_with_what_they_are_worth(
    inspector: Inspector, tmp_path: Path
) -> None:
    photographs = clipspect.sources.files(good_folder(tmp_path / "good", range(20, 60)))
    steps = []
    with pytest.raises(RecipeError) as caught:
        clipspect.calibrate(inspector, photographs, progress=lambda step, *_: steps.append(step))
    words = "with 40 good parts the best that can be promised is 7.2 % (95 %); 299 are needed for 1 %: "
    words += "give more, ask for less (--false-reject-rate, --uncertain), or take the largest score (--anyway)"
    assert str(caught.value) == words
    assert set(steps) == {"reading photographs"}
    recipe = clipspect.calibrate(inspector, photographs, anyway=True)
    limits = recipe.limits
    assert limits is not None
    assert limits.reject_promise is not None
    assert recipe.calibration is not None
    assert limits.reject == limits.review == math.nextafter(recipe.calibration.parts[-1].score, 1)
    assert (limits.reject_promise.rank, limits.reject_promise.kept) == (1, False)
    assert limits.reject_promise.rate == pytest.approx(1 - 0.05 ** (1 / 40))


def test_defective_parts_are_scored_beside_and_change_nothing(inspector: Inspector, tmp_path: Path) -> None:
    good = clipspect.sources.files(good_folder(tmp_path / "good", range(20, 60)))
    defective = clipspect.sources.files(good_folder(tmp_path / "defective", [50, 200]))
    alone = clipspect.calibrate(inspector, good, **RATES)
    with pytest.raises(RecipeError, match=r"00\.png is given as defective and shows the same as .*30\.png, which is"):
        clipspect.calibrate(inspector, good, defective=defective, **RATES)
    defective = clipspect.sources.files(good_folder(tmp_path / "defective", [100, 200]))
    beside = clipspect.calibrate(inspector, good, defective=defective, **RATES)
    assert beside.limits == alone.limits
    assert beside.calibration is not None
    assert [round(part.score * 255) for part in beside.calibration.defects] == [100, 200]


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"good": []}, RecipeError, "there is no good part to calibrate on"),
        ({"good": [], "anyway": True}, RecipeError, "there is no good part to calibrate on"),
        ({"good": "good"}, ImageError, "for a folder give clipspect.sources.files"),
        ({"good": np.zeros((4, 4), np.uint8)}, ImageError, "expected several photographs"),
        ({"good": [np.zeros((4, 4), np.uint8)] * 2}, RecipeError, "the same photograph twice: caller#0 and caller#1"),
        ({"good": ["missing.png", "gone.png"]}, ImageError, "missing.png: no such file (and 1 more that cannot be"),
        ({"good": [], "false_reject_rate": 0}, RecipeError, "false reject rate: expected more than 0"),
        ({"good": [], "confidence": math.nan}, RecipeError, "confidence: expected more than 0"),
    ],
)
def test_what_cannot_be_calibrated_on_is_refused_in_one_line(
    inspector: Inspector, given: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)) as caught:
        clipspect.calibrate(inspector, **given)
    assert "\n" not in str(caught.value)


def test_a_damaged_photograph_is_named_before_anything_is_scored(inspector: Inspector, tmp_path: Path) -> None:
    folder = good_folder(tmp_path / "good", range(20, 60))
    (folder / "17.png").write_bytes((folder / "17.png").read_bytes()[:40])
    steps = []
    with pytest.raises(ImageError, match=r"17\.png: "):
        clipspect.calibrate(
            inspector, clipspect.sources.files(folder), **RATES, progress=lambda step, *_: steps.append(step)
        )
    assert set(steps) == {"reading photographs"}


def test_defective_parts_are_judged_as_a_run_judges_them_their_frames_included(
    inspector: Inspector, tmp_path: Path
) -> None:
    good = clipspect.sources.files(good_folder(tmp_path / "good", [*range(100, 128), *range(129, 140)]))
    for name, value in (("a-1", 0), ("b-1", 250), ("b-2", 150), ("c-1", 151), ("d-1", 128)):
        write(tmp_path / f"bad/{name}.png", value)  # 0 and 250 are black and unlike good ones
    bad = clipspect.sources.files(tmp_path / "bad")
    recipe = clipspect.calibrate(inspector, good, defective=bad, group=r"^(\w+)", **RATES)
    assert recipe.calibration is not None
    found = {part.name: part for part in recipe.calibration.defects}
    with inspector.with_recipe(recipe) as judging:
        verdicts = {Path(str(item.frame)).stem: judging.inspect(item.frame).verdict for item in bad}
    assert verdicts == {"a-1": "invalid", "b-1": "invalid", "b-2": "fail", "c-1": "fail", "d-1": "pass"}
    assert [part.invalid for part in found.values()] == [True, False, False, False]
    assert (round(255 * found["b"].score), found["b"].frames, Path(found["b"].worst_frame).name) == (150, 2, "b-2.png")
    defects = defects_of(recipe)
    assert defects is not None
    assert (defects.parts, defects.failed, defects.invalid, defects.escaped.count) == (4, 2, 1, 1)
    assert recipe.calibration.checked_parts == 39


def test_items_of_any_source_are_calibrated_on_by_their_own_names(inspector: Inspector) -> None:
    items = [Item("camera", number, None, np.full((6, 9), 20 + number, np.uint8)) for number in range(30)]
    recipe = clipspect.calibrate(inspector, iter(items), **RATES)
    assert recipe.calibration is not None
    assert recipe.calibration.parts[3].name == "camera#3"
