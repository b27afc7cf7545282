"""Which candidate is recommended, by scores that are given."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from clipspect.bundle.bundle import Bundle
from clipspect_lab.advice.candidates import Candidate
from clipspect_lab.advice.recommend import recommend
from clipspect_lab.advice.trial import Trial
from support import handmade

Scores = npt.NDArray[np.float64]

RNG = np.random.default_rng(0)
GOOD = RNG.normal(size=40)
CLEAR, CHANCE = RNG.normal(4, 1, 20), RNG.normal(size=20)
NONE = np.zeros(0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.open(handmade.write_bundle(tmp_path_factory.mktemp("advice") / "b.bundle"))


def trial(
    bundle: Bundle,
    milliseconds: float,
    defective: Scores,
    good: Scores = GOOD,
    *,
    judge: str = "photos",
    shots: int = 4,
) -> Trial:
    candidate = Candidate(bundle, "b.bundle", judge, shots, {})
    return Trial(candidate, "", "onnxruntime", "cpu", "fp32", good, defective, milliseconds, None, 0.01)


def test_the_best_is_taken_where_it_is_told_from_all_others(bundle: Bundle) -> None:
    best, fast = trial(bundle, 100, CLEAR), trial(bundle, 1, CHANCE)
    found = recommend([fast, best])
    assert found.trial is best
    assert found.alike == (best,)
    assert "tell it from all others" in found.reason


def test_of_those_not_told_apart_the_cheapest_is_taken_and_the_best_is_named(bundle: Bundle) -> None:
    best, nearly = trial(bundle, 100, CLEAR + 4, shots=16), trial(bundle, 10, np.append(CLEAR[:-1] + 4, 1.0))
    chance = trial(bundle, 1, CHANCE)
    assert best.accuracy is not None
    assert nearly.accuracy is not None
    assert best.accuracy.auroc > nearly.accuracy.auroc
    found = recommend([chance, nearly, best])
    assert found.trial is nearly
    assert found.alike == (nearly, best)
    assert "the cheapest of 2 that these photographs do not tell apart; the best of them is b.bundle" in found.reason
    assert found.reason.endswith("more photographs could tell")


def test_of_those_as_fast_the_better_is_taken_and_of_equals_the_one_with_fewer_references(bundle: Bundle) -> None:
    worse, better, more = (
        trial(bundle, 10, np.append(CLEAR[:-1], 1.0)),
        trial(bundle, 10.5, CLEAR + 4),
        trial(bundle, 10.2, CLEAR + 4, shots=16),
    )
    assert recommend([worse, more, better]).trial is better


def test_nothing_is_recommended_where_the_photographs_do_not_tell_it_from_chance(bundle: Bundle) -> None:
    found = recommend([trial(bundle, 1, CHANCE), trial(bundle, 2, CHANCE + 0.1)])
    assert found.trial is None
    assert found.reason.startswith("none: ")
    assert "do not tell from chance" in found.reason


def test_the_cheapest_is_not_one_that_itself_could_be_chance(bundle: Bundle) -> None:
    few = RNG.normal(1.2, 1, 3)
    good = GOOD[:8]
    best, weak = (
        trial(bundle, 100, np.array([5.0, 6, 7]), good),
        trial(bundle, 1, np.sort(few) * 0 + GOOD[:3] + 0.3, good),
    )
    assert weak.accuracy is not None
    assert weak.accuracy.low < 0.5
    assert recommend([weak, best]).trial is best


def test_without_defects_steady_words_do_not_go_before_photographs_and_the_gap_is_said(bundle: Bundle) -> None:
    words, photos = trial(bundle, 1, NONE, judge="words", shots=0), trial(bundle, 10, NONE, GOOD + 1e-9)
    found = recommend([words, photos])
    assert found.trial is photos
    assert "nothing is known of what it catches" in found.reason
    assert "cheapest that compare with good parts" in found.reason


def test_one_candidate_alone_is_recommended_with_the_word_that_nothing_else_was_tried(bundle: Bundle) -> None:
    assert "nothing else was tried" in recommend([trial(bundle, 1, CLEAR)]).reason
