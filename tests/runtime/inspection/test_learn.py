"""Learning from answers: limits are raised and promises stay, galleries grow, one left out is judged by the rest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import clipspect
from clipspect.base.errors import ImageError, RecipeError
from clipspect.frame.region_of_interest import Area, RegionOfInterest
from clipspect.inspection.answered import AnsweredPart
from clipspect.inspection.learn import learn
from clipspect.recipes.calibration import Calibration
from clipspect.recipes.history import digests_before
from clipspect.recipes.limits import Limits
from clipspect.recipes.make import make_recipe
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.region import with_region
from clipspect.recipes.text_correction import corrected, learned_parts, words_scores

RATES = {"false_reject_rate": 0.1, "uncertain": 0.1, "confidence": 0.9}
STRICT = {"false_reject_rate": 0.06, "uncertain": 0.06, "confidence": 0.9}  # of 40 parts the largest score


def save(path: Path, pixels: npt.NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def grain(path: Path, value: int) -> Path:
    """About as bright as the value, and its brightest pixel is its score."""
    pixels = np.random.default_rng(value).integers(value - 20, value + 1, (6, 9), np.uint8)
    pixels[2, 3] = value
    return save(path, pixels.repeat(8, 0).repeat(8, 1))


def limits_of(recipe: Recipe) -> Limits:
    assert recipe.limits is not None
    return recipe.limits


def calibration_of(recipe: Recipe) -> Calibration:
    assert recipe.calibration is not None
    return recipe.calibration


@pytest.fixture
def bright(tiny_bundle: Path, tmp_path: Path) -> tuple[Path, Recipe]:
    """A recipe of 40 parts, of scores up to 139 / 255."""
    good = [grain(tmp_path / f"good/{value}.png", value) for value in range(100, 140)]
    with clipspect.load(tiny_bundle, backend="onnxruntime") as inspector:
        return tiny_bundle, clipspect.calibrate(inspector, good, **STRICT)


def answered(path: Path, number: int, *, defective: bool = False) -> AnsweredPart:
    return AnsweredPart(f"{number:032x}", path, defective, who=f"ann@{number}")


def test_good_parts_raise_the_limits_and_promise_nothing_more(bright: tuple[Path, Recipe], tmp_path: Path) -> None:
    bundle, recipe = bright
    parts = [answered(grain(tmp_path / f"line/{value}.png", value), value) for value in (144, 142)]
    parts.append(answered(grain(tmp_path / "line/150.png", 150), 150, defective=True))
    learned = learn(bundle, recipe, parts, source="results.jsonl")
    assert (learned.now.failed, learned.now.good, learned.now.passed, learned.now.defective) == (2, 2, 0, 1)
    found = learned.proposals["limits"]
    changed = found.recipe
    assert limits_of(changed).reject > 143 / 255 > limits_of(recipe).reject
    assert limits_of(changed).reject_promise == limits_of(recipe).reject_promise
    assert [Path(part.name).name for part in calibration_of(changed).answered] == ["144.png", "142.png"]
    assert calibration_of(changed).parts == calibration_of(recipe).parts
    last = changed.history[-1]
    assert last.why.startswith(
        "learned (limits) from 2 good and 1 defective parts, answered by ann@142, ann@144, ann@150"
    )
    assert last.why.endswith(f"of results.jsonl: {144:032x}, {142:032x}, {150:032x}")
    assert last.before == recipe.digest
    assert digests_before(changed) >= {recipe.digest, changed.digest}
    assert set(learned.not_tried) == {"gallery", "words"}
    with pytest.raises(RecipeError, match=f"{144:032x}: it was learned from already"):
        learn(bundle, changed, parts[:1])


def test_one_left_out_is_judged_by_limits_that_do_not_know_it(bright: tuple[Path, Recipe], tmp_path: Path) -> None:
    """The largest score is the limit, and the largest that is answered does not raise it above itself."""
    bundle, recipe = bright
    promise = limits_of(recipe).reject_promise
    assert promise is not None
    assert promise.rank == 1
    parts = [answered(grain(tmp_path / f"line/{value}.png", value), value) for value in (144, 148)]
    counts = learn(bundle, recipe, parts).proposals["limits"].counts
    assert (counts.good, counts.failed) == (2, 1)  # 144 passes at the limit that 148 made; 148 does not at that of 144


def test_a_limit_that_lets_an_answered_defect_pass_is_not_recommended(
    bright: tuple[Path, Recipe], tmp_path: Path
) -> None:
    bundle, recipe = bright
    good = [answered(grain(tmp_path / f"line/{value}.png", value), value) for value in (147, 148)]
    bad = answered(grain(tmp_path / "line/143.png", 143), 143, defective=True)
    learned = learn(bundle, recipe, [*good, bad])
    assert (learned.now.passed, learned.proposals["limits"].counts.passed) == (0, 1)
    assert learned.best is None
    assert learn(bundle, recipe, good).best == "limits"


def spots(folder: Path, count: int, first: int = 0) -> list[Path]:
    drawn = np.random.default_rng(0).integers(0, 256, (first + count, 4, 4, 3), np.uint8)[first:]
    return [save(folder / f"{number}.png", picture.repeat(12, 0).repeat(16, 1)) for number, picture in enumerate(drawn)]


def test_good_parts_join_the_gallery_and_limits_come_anew(full_bundle: Path, tmp_path: Path) -> None:
    references, good = spots(tmp_path / "references", 3), spots(tmp_path / "good", 30, 3)
    recipe = make_recipe(full_bundle, "nut", references=references, backend="onnxruntime")
    with clipspect.load(full_bundle, recipe, "onnxruntime") as inspector:
        recipe = clipspect.calibrate(inspector, good, **RATES)
    parts = [answered(path, number) for number, path in enumerate(spots(tmp_path / "line", 3, 40))]
    without = learn(full_bundle, recipe, parts)
    assert "give the parts that calibrated again, with --good PATH" in without.not_tried["gallery"]
    learned = learn(full_bundle, recipe, parts, good, ways=["gallery"])
    grown = learned.proposals["gallery"].recipe
    assert grown.references is not None
    assert [file["name"] for file in grown.references["files"]][3:] == ["0.png", "1.png", "2.png"]
    promise = limits_of(grown).reject_promise
    assert promise is not None
    assert (promise.parts, promise.asked, promise.confidence) == (30, 0.1, 0.9)
    assert calibration_of(grown).scorer.tensors == grown.tensors_digest != recipe.tensors_digest
    with clipspect.load(full_bundle, grown) as inspector:
        assert inspector.inspect(parts[0].picture).verdict == "pass"
        with pytest.raises(RecipeError, match=r"0\.png and 2 others are in the gallery"):
            clipspect.calibrate(inspector, [part.picture for part in parts], anyway=True)
    with pytest.raises(RecipeError, match="was calibrated on 30 photographs, and 29 of them are in --good"):
        learn(full_bundle, recipe, parts, good[1:])
    more = learn(full_bundle, recipe, parts, [*references, *good, *spots(tmp_path / "more", 5, 50)], ways=["gallery"])
    assert more.proposals["gallery"].recipe.limits == grown.limits  # references and others in the folder do not count
    both = learn(full_bundle, recipe, [*parts, answered(good[0], 7)], ways=["limits"])
    assert both.left_out == (f"{7:032x}: limits come from it already",)


def test_parts_that_raised_limits_are_not_forgotten_by_what_changes_scores(full_bundle: Path, tmp_path: Path) -> None:
    good, line = spots(tmp_path / "good", 30, 3), spots(tmp_path / "line", 3, 40)
    recipe = make_recipe(full_bundle, "nut", references=spots(tmp_path / "references", 3), backend="onnxruntime")
    with clipspect.load(full_bundle, recipe, "onnxruntime") as inspector:
        recipe = clipspect.calibrate(inspector, good, **RATES, strike=[str(good[0])])
    parts = [answered(path, number) for number, path in enumerate([*line, good[0]])]
    first = learn(full_bundle, recipe, [parts[0], parts[3]], ways=["limits"])
    assert first.left_out == (f"{3:032x}: it was struck from the calibration",)
    raised = first.proposals["limits"].recipe
    later = learn(full_bundle, raised, parts[1:3], good)
    assert set(later.proposals) == {"limits"}
    assert (
        "answers that were learned from before (1) would raise limits no more: calibrate" in later.not_tried["gallery"]
    )
    with clipspect.load(full_bundle, raised) as inspector:
        again = clipspect.calibrate(inspector, good, **RATES)
    anew = learn(full_bundle, again, parts[:3], good, ways=["gallery"])
    assert anew.now.good == anew.proposals["gallery"].counts.good == 3


def test_words_do_not_learn_where_the_image_shows_more_than_is_judged(tiny_bundle: Path, tmp_path: Path) -> None:
    square = RegionOfInterest((72, 48), Area((((0, 0), (60, 0), (60, 40), (0, 40)),)))
    with clipspect.load(tiny_bundle, backend="onnxruntime") as inspector:
        wanted = with_region(inspector.recipe, square)
    good = [grain(tmp_path / f"good/{value}.png", value) for value in range(100, 140)]
    with clipspect.load(tiny_bundle, wanted, "onnxruntime") as inspector:
        recipe = clipspect.calibrate(inspector, good, **STRICT)
    parts = [
        answered(grain(tmp_path / f"{value}.png", value), value, defective=value > 142) for value in range(141, 145)
    ]
    learned = learn(tiny_bundle, recipe, parts, good)
    assert "which speaks of more than the region of interest" in learned.not_tried["words"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda parts: [], "too few answers: there are none"),
        (
            lambda parts: [dataclasses.replace(parts[0], defective=True)],
            "limits: too few answers: no part was answered",
        ),
        (lambda parts: [parts[0], dataclasses.replace(parts[0], id="b", defective=True)], "show the same, and one is"),
        (lambda parts: [dataclasses.replace(parts[0], sha256="0" * 64)], "was changed since answer"),
        (lambda parts: [dataclasses.replace(parts[0], picture=Path("no.png"))], "no.png: the picture of answer"),
        (lambda parts: [parts[1]], "its frame is invalid (the frame is black"),
    ],
)
def test_answers_that_nothing_can_be_learned_from_are_refused_in_one_line(
    bright: tuple[Path, Recipe], tmp_path: Path, change: Callable[[list[AnsweredPart]], list[AnsweredPart]], words: str
) -> None:
    black = save(tmp_path / "line/black.png", np.zeros((6, 9), np.uint8))
    parts = [answered(grain(tmp_path / "line/144.png", 144), 0), answered(black, 1)]
    with pytest.raises((RecipeError, ImageError)) as caught:
        learn(*bright, change(parts))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_picture_that_scores_otherwise_is_another_one(bright: tuple[Path, Recipe], tmp_path: Path) -> None:
    bundle, recipe = bright
    part = answered(grain(tmp_path / "line/144.png", 144), 0)
    with clipspect.load(bundle, recipe) as inspector:
        score = inspector.inspect(part.picture).score
    known = dataclasses.replace(part, recipe=recipe.digest, engine=("onnxruntime", "cpu", "fp32"), score=score)
    assert learn(bundle, recipe, [known]).now.good == 1
    with pytest.raises(RecipeError, match=r"scores 0\.57.*, its record .* says 0\.4: it is not the picture"):
        learn(bundle, recipe, [dataclasses.replace(known, score=0.4)])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"calibration": None}, "was not calibrated on good parts"),
        ({"by_hand": True}, "were given by hand"),
        ({"estimate": True}, "was not calibrated on good parts"),
        ({"parts": ()}, "does not say what the parts show"),
    ],
)
def test_a_recipe_that_learning_cannot_begin_with_is_refused(
    bright: tuple[Path, Recipe], tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    bundle, recipe = bright
    calibration = calibration_of(recipe)
    if changes == {"parts": ()}:
        changes = {"parts": tuple(dataclasses.replace(part, contents=()) for part in calibration.parts)}
    other = None if "calibration" in changes else dataclasses.replace(calibration, **changes)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=words):
        learn(bundle, dataclasses.replace(recipe, calibration=other), [answered(tmp_path / "x.png", 0)])


COOKIES = Path(__file__).parents[2] / "photos" / "cookies"


def test_the_formula_is_the_score_of_a_graph_with_corrected_words() -> None:
    good, damaged = sorted((COOKIES / "good").iterdir())[:2], sorted((COOKIES / "damaged").iterdir())[:2]
    with clipspect.load("demo", backend="onnxruntime") as inspector:
        results = [inspector.inspect(path) for path in (*good, *damaged)]
        embeddings = np.array([result.embedding for result in results], np.float64)
        learned = corrected(inspector.recipe, embeddings[1:], np.array([False, True, True]), ("a", "b", "c"))
        scores = [result.score for result in results]
        assert words_scores(inspector.recipe, embeddings) == pytest.approx(scores, abs=1e-5)
        with inspector.with_recipe(learned) as other:
            expected = other.inspect(good[0]).score
    assert abs(expected - scores[0]) > 0.1
    assert words_scores(learned, embeddings[:1])[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_parts_that_the_words_know_already_are_learned_from_again_and_no_figure_counts_them() -> None:
    good, damaged = sorted((COOKIES / "good").iterdir()), sorted((COOKIES / "damaged").iterdir())
    parts = [answered(path, number) for number, path in enumerate(good[8:11])]
    parts += [answered(path, 10 + number, defective=True) for number, path in enumerate(damaged[:3])]
    known = [*parts[:2], *parts[3:5]]
    with clipspect.load("demo", backend="onnxruntime") as inspector:
        recipe = clipspect.calibrate(inspector, good[:8], anyway=True)
    first = learn("demo", recipe, known, good[:8], ways=["words"])
    assert (first.now.good, first.now.defective, first.uncounted) == (2, 2, 0)
    taught = first.proposals["words"].recipe
    again = learn("demo", taught, parts, good[:8])
    for counts in (again.now, again.proposals["words"].counts, again.proposals["limits"].counts):
        assert (counts.good, counts.defective) == (1, 1)
    assert again.uncounted == 4
    assert len(learned_parts(again.proposals["words"].recipe)) == 6
    alone = learn("demo", taught, known, ways=["limits"])
    assert (alone.now.good, alone.now.defective, alone.uncounted, alone.best) == (0, 0, 4, None)


@pytest.mark.slow
def test_words_learn_of_cookies_and_one_left_out_is_judged_as_an_engine_judges_it() -> None:
    good, damaged = sorted((COOKIES / "good").iterdir()), sorted((COOKIES / "damaged").iterdir())
    with clipspect.load("demo", backend="onnxruntime") as inspector:
        recipe = clipspect.calibrate(inspector, good[:8], anyway=True)
    parts = [answered(path, number) for number, path in enumerate(good[8:11])]
    parts += [answered(path, 10 + number, defective=True) for number, path in enumerate(damaged[:3])]
    proposal = learn("demo", recipe, parts, good[:8], ways=["words"]).proposals["words"]
    verdicts = []
    for number, part in enumerate(parts):
        apart = learn("demo", recipe, parts[:number] + parts[number + 1 :], good[:8], ways=["words"]).proposals["words"]
        with clipspect.load("demo", apart.recipe, "onnxruntime") as inspector:
            verdicts.append(inspector.inspect(part.picture).verdict)
    assert (proposal.counts.good, proposal.counts.defective) == (3, 3)
    assert proposal.counts.failed == verdicts[:3].count("fail")
    assert proposal.counts.passed == verdicts[3:].count("pass")
