"""`clipspect eval`: false rejects and escapes, at the limit that passes all good images and at the recipe's own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

import clipspect
from clipspect import Limits
from clipspect.inspection.result import decide
from clipspect.recipes.recipe import write_recipe
from clipspect_lab.evaluation.verdict_tables import verdict_lines
from clipspect_lab.evaluation.verdicts import class_verdicts, verdicts_document
from support import handmade
from support.calibrated import calibrate_object
from support.eval_command import Capture, evaluated, run

LIMITS = Limits(0.43, 0.95)
IMAGES = st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.43, 0.5, 0.95, 1.0])), max_size=30)


@pytest.fixture
def limited_bundle(tmp_path: Path) -> Path:
    root = handmade.write_bundle(tmp_path / "limited.bundle")
    recipe = dataclasses.replace(handmade.make_recipe(), limits=LIMITS)
    write_recipe(root / "recipes/object.safetensors", recipe)
    return root


@given(IMAGES)
def test_the_counts_are_those_of_the_verdicts(images: list[tuple[bool, float]]) -> None:
    labels, scores = [bad for bad, _ in images], [score for _, score in images]
    found = class_verdicts(labels, scores, [decide(score, LIMITS) for score in scores], LIMITS)
    good, bad = ([s for b, s in images if b == wanted] for wanted in (False, True))
    own = verdicts_document(found)["recipes_limits"]
    assert (own["false_rejects"] or {}).get("count") == (sum(s >= 0.95 for s in good) if good else None)
    assert (own["escape_rate"] or {}).get("count") == (sum(s < 0.43 for s in bad) if bad else None)
    assert (own["not_failed"] or {}).get("count") == (sum(s < 0.95 for s in bad) if bad else None)
    passing = found.all_good_pass
    assert (passing is None) == (not good)
    if passing is not None:
        assert (passing.good.passed, passing.good.failed) == (len(good), 0)
        assert passing.defective.passed == sum(s <= max(good) for s in bad)


def test_invalid_images_are_counted_apart() -> None:
    found = class_verdicts(
        [False, False, True, True], [0.1, 1.0, 0.1, 1.0], ["pass", "invalid", "invalid", "fail"], LIMITS
    )
    own = verdicts_document(found)["recipes_limits"]
    assert own["invalid"] == {"good": 1, "defective": 1}
    assert (own["false_rejects"]["count"], own["false_rejects"]["of"]) == (0, 1)
    assert (own["escape_rate"]["count"], own["escape_rate"]["of"]) == (0, 1)


def test_at_the_limit_that_passes_all_good_images_invalid_ones_count_and_that_is_said() -> None:
    found = class_verdicts([False, False, True], [0.1, 1.0, 0.5], ["pass", "invalid", "invalid"], LIMITS)
    assert found.all_good_pass is not None
    assert (found.all_good_pass.good.passed, found.all_good_pass.defective.passed) == (2, 1)
    (said,) = (
        line for line in verdict_lines({"classes": [{"name": "parts", **verdicts_document(found)}]}) if "F1 is" in line
    )
    assert said.endswith("Invalid images count by their scores here, too.")


def test_both_limits_are_in_the_document_the_terminal_and_the_markdown(
    limited_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = (limited_bundle, mvtec, "--layout", "mvtec", "--classes", "cable", "--out", tmp_path / "out")
    (row,) = evaluated(capsys, *arguments)["classes"]
    verdicts = {"good": [], "scratch": [], "dent": []}
    scores: dict[str, list[float]] = {"good": [], "scratch": [], "dent": []}
    with clipspect.load(limited_bundle) as inspector:
        for path in (mvtec / "cable/test").glob("*/*.png"):
            result = inspector.inspect(path)
            verdicts[path.parent.name].append(result.verdict)
            scores[path.parent.name].append(result.score)
    bad = verdicts["scratch"] + verdicts["dent"]
    own, passing = row["recipes_limits"], row["all_good_pass"]
    assert (own["review"], own["reject"]) == (LIMITS.review, LIMITS.reject)
    assert own["good_not_passed"]["count"] == 2 - verdicts["good"].count("pass")
    assert own["not_failed"]["count"] == 4 - bad.count("fail") > own["escape_rate"]["count"] == bad.count("pass")
    assert passing["limit"] == pytest.approx(max(scores["good"]))
    assert passing["escape_rate"]["at_most"] == pytest.approx(beta.ppf(0.95, 1, 4))
    assert passing["good_to_come_rejected_at_most"] == pytest.approx(beta.ppf(0.95, 1, 2))
    assert passing["best_f1"]["f1"] == pytest.approx(row["figures"]["image_f1_max"])
    assert run(*arguments) == 0
    for text in (capsys.readouterr().out, (tmp_path / "out/results.md").read_text()):
        assert "Escapes at the lowest limit that passes all good images" in text
        assert "At the recipe's limits" in text
        assert "0 of 4" in text
        assert "530,000" in text  # PPM


def test_a_recipe_without_limits_has_figures_at_the_other_alone(
    tiny_bundle: Path, mvtec: Path, capsys: Capture
) -> None:
    found = evaluated(capsys, tiny_bundle, mvtec, "--layout", "mvtec")
    assert [row["recipes_limits"] for row in found["classes"]] == [None, None]
    assert all(row["all_good_pass"]["escape_rate"]["count"] == 0 for row in found["classes"])


def test_without_valid_defective_images_the_escape_rate_is_unknown() -> None:
    found = class_verdicts([False, True, True], [0.1, 0.5, 1.0], ["pass", "invalid", "invalid"], LIMITS)
    document = verdicts_document(found)
    assert document["recipes_limits"]["escape_rate"] is None
    assert document["recipes_limits"]["words"][0].startswith("escape rate: unknown")
    shown = "\n".join(verdict_lines({"classes": [{"name": "parts", **document}]}))
    assert shown.count("unknown") == 2  # escapes, and those that do not fail


def test_limits_of_another_engine_are_widened_and_of_another_bundle_say_nothing(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--classes", "cable", "--backend", "onnxruntime")
    calibrate_object(tiny_bundle, LIMITS, "openvino")
    (row,) = evaluated(capsys, *arguments)["classes"]
    own = row["recipes_limits"]
    assert own["review"] < LIMITS.review < LIMITS.reject < own["reject"]
    calibrate_object(tiny_bundle, LIMITS, bundle="0" * 64)
    for _ in range(2):  # the second time from what is kept
        found = evaluated(capsys, *arguments, "--out", tmp_path / "out")
        assert found["classes"][0]["recipes_limits"] is None
        assert found["classes"][0]["figures"] == row["figures"]
        assert "say nothing of these scores" in found["notes"][0]
