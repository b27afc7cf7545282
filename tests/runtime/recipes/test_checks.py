"""The ranges of good frames: their rate, their sentences, and what is refused."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from clipspect.base.errors import RecipeError
from clipspect.frame.quality import Quality, measure
from clipspect.recipes.calibration import Calibration, PartScore, Range, Scorer
from clipspect.recipes.checks import (
    CHECK_RATE,
    CHECKS,
    SeenFrame,
    checks_of,
    invalid_reasons,
    margin,
    rate_words,
    size_note,
)

Draw = Callable[[np.random.Generator, int], npt.NDArray[np.float64]]
DISTRIBUTIONS: dict[str, Draw] = {
    "exponential": lambda rng, n: rng.exponential(10, n),
    "normal": lambda rng, n: rng.normal(100, 3, n),
    "uniform": lambda rng, n: rng.uniform(50, 60, n),
    "rounded": lambda rng, n: np.round(rng.exponential(10, n)),
}


def quality(**changes: object) -> Quality:
    plain = Quality(100.0, 30.0, 20.0, 0.01, 12.0, (0.0,) * 48)
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def seen(number: int, embedding: npt.NDArray[np.float32] | None = None, part: str = "", **changes: object) -> SeenFrame:
    return SeenFrame(part or str(number), f"{number}.png", quality(**changes), embedding)


def calibration(frames: list[SeenFrame], sizes: tuple[tuple[int, int], ...] = ((64, 48),)) -> Calibration:
    scorer = Scorer("", "", "onnxruntime", "cpu", "fp32", "0")
    return Calibration("2026-01-01T00:00:00+00:00", scorer, (), frame_sizes=sizes, **vars(checks_of(frames)))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("parts", [20, 40, 150])
def test_new_good_frames_are_outside_at_most_at_the_rate_however_few_calibrate(name: str, parts: int) -> None:
    rng, rate, new, trials = np.random.default_rng(0), 0.01, 400, 250
    outside = 0
    for _ in range(trials):
        values = np.abs(DISTRIBUTIONS[name](rng, parts + new))
        frames = [seen(i, brightness=50 + value) for i, value in enumerate(values[:parts])]
        found = checks_of(frames, rate=rate * len(CHECKS)).checks["brightness"]
        # both sides together, less what the least distance from the median spares
        assert found.low is not None
        assert found.high is not None
        outside += int(np.sum((50 + values[parts:] < found.low) | (50 + values[parts:] > found.high)))
    bound = stats.norm.ppf(0.999) * math.sqrt(rate / (trials * new)) * 5  # frames of one trial share its limits
    assert outside / (trials * new) <= 1.05 * rate + bound


def test_the_margin_is_exact_for_exponential_values() -> None:
    rng, rate, parts = np.random.default_rng(1), 0.005, 40
    values = np.sort(rng.exponential(size=(20_000, parts)), axis=1)
    largest, middle = values[:, -1], values[:, -1 - parts // 2]
    beyond = np.exp(-(largest + margin(parts, rate) * (largest - middle))).mean()  # a new one's chance to lie there
    assert beyond == pytest.approx(rate, rel=0.02)


def test_with_many_parts_the_limits_are_order_statistics_without_a_margin() -> None:
    values = np.random.default_rng(2).normal(100, 10, 3000)
    found = checks_of([seen(i, brightness=value) for i, value in enumerate(values)], rate=0.06).checks["brightness"]
    a_side = 0.06 / 6 / 2  # six checks: these have no embedding
    rank = math.floor(a_side * 3001)
    assert (found.low, found.high) == (pytest.approx(np.sort(values)[rank - 1]), np.sort(values)[-rank])
    assert (found.smallest, found.largest, found.rate) == (values.min(), values.max(), pytest.approx(0.01))


def test_frames_of_one_part_count_once() -> None:
    values = np.random.default_rng(3).normal(100, 2, 30)
    once = checks_of([seen(i, brightness=value) for i, value in enumerate(values)])
    copies = [seen(100 * i + j, part=str(i), brightness=value) for i, value in enumerate(values) for j in range(5)]
    assert checks_of(copies).checks["brightness"] == once.checks["brightness"]


def test_the_rate_is_split_over_the_checks() -> None:
    frames = [seen(i, np.eye(4, dtype=np.float32)[0]) for i in range(5)]
    ranges = checks_of(frames).checks
    assert set(ranges) == set(CHECKS)
    assert sum(found.rate for found in ranges.values()) == pytest.approx(CHECK_RATE)


def test_frames_that_are_all_alike_leave_room_for_what_nobody_sees() -> None:
    found = calibration([seen(i) for i in range(40)])
    assert invalid_reasons(quality(brightness=110.0, layout=(3.0, -3.0) * 24), (64, 48), None, found) == ()
    (reason,) = invalid_reasons(quality(brightness=3.0), (64, 48), None, found)
    assert reason == "brightness 3 is below 78 (good frames: 100 to 100)"
    (reason,) = invalid_reasons(quality(layout=(30.0, -30.0) * 24), (64, 48), None, found)
    assert reason == "layout 30 is above 10 (good frames: 0 to 0)"


def test_an_embedding_far_from_the_calibrations_mean_is_another_scene() -> None:
    unit = np.eye(4, dtype=np.float32)
    found = calibration([seen(i, unit[0]) for i in range(40)])
    assert found.embedding == (1, 0, 0, 0)
    assert invalid_reasons(quality(), (64, 48), unit[0], found) == ()
    (reason,) = invalid_reasons(quality(), (64, 48), unit[1], found)
    assert reason == "embedding 1 is above 0.15 (good frames: 0 to 0)"
    assert invalid_reasons(quality(), (64, 48), None, found) == ("embedding nan is above 0.15 (good frames: 0 to 0)",)


def test_a_blur_is_a_reason_and_more_edges_are_none() -> None:
    found = calibration([seen(i, sharpness=12 + 0.1 * (i % 5)) for i in range(40)])
    assert invalid_reasons(quality(sharpness=90.0), (64, 48), None, found) == ()
    (reason,) = invalid_reasons(quality(sharpness=5.0), (64, 48), None, found)
    assert reason.startswith("sharpness 5 is below 9.")


def test_another_aspect_is_invalid_and_another_size_is_noted() -> None:
    found = calibration([seen(i) for i in range(40)])
    (reason,) = invalid_reasons(quality(), (64, 64), None, found)
    assert reason == "aspect: the frame is 64 x 64, good frames are 64 x 48"
    assert invalid_reasons(quality(), (640, 480), None, found) == ()
    assert size_note((640, 480), found.frame_sizes) == "frames of 640 x 480: calibration and references are 64 x 48"
    assert size_note((64, 48), found.frame_sizes) == size_note((9, 9), ()) == ""


@pytest.mark.parametrize(
    ("level", "noise", "words"),
    [(0, 0, "black"), (4, 3, "black"), (255, 0, "white"), (254, 1, "white"), (128, 0, "of one colour"), (90, 20, "")],
)
def test_without_calibration_only_black_white_and_constant_frames_are_invalid(
    level: int, noise: int, words: str
) -> None:
    drawn = np.random.default_rng(0).normal(level, noise, (1, 60, 80, 3)) if noise else np.full((1, 60, 80, 3), level)
    reasons = invalid_reasons(measure(np.clip(drawn, 0, 255).astype(np.uint8)), (80, 60), None, None)
    assert [reason.startswith(f"the frame is {words} (brightness ") for reason in reasons] == ([True] if words else [])


def test_a_black_frame_calibrates_nothing() -> None:
    with pytest.raises(RecipeError, match=r"7\.png: the frame is black .*: this is no photograph of a good part"):
        checks_of([seen(1), seen(7, brightness=2.0, contrast=1.0)])


def test_one_part_has_no_ranges_and_two_have_wide_ones() -> None:
    assert checks_of([seen(0), seen(1, part="0")]).checks == {}
    found = checks_of([seen(0, brightness=100.0), seen(1, brightness=101.0)]).checks["brightness"]
    assert isinstance(found, Range)
    assert found.low is not None
    assert found.low < 1


def test_a_value_that_rounds_to_its_limit_is_told_with_more_digits() -> None:
    found = dataclasses.replace(
        calibration([seen(i) for i in range(3)]), checks={"brightness": Range(99.96, None, 0.01, 100, 101)}
    )
    (reason,) = invalid_reasons(quality(brightness=99.955), (64, 48), None, found)
    assert reason == "brightness 99.955 is below 99.96 (good frames: 100 to 101)"


def test_the_rate_of_invalid_good_parts_is_said_as_proven_only_where_so_many_parts_prove_it() -> None:
    """Of seven checks, one of which has the smallest share for each of two sides: 0.01 / 7 / 2 is 1 of 1,400."""
    ranges = {
        name: Range(0.0 if check.below else None, 1.0 if check.above else None, 0.01 / 7, 0.2, 0.8)
        for name, check in CHECKS.items()
    }
    scorer = Scorer("b" * 64, "t" * 64, "onnxruntime", "cpu", "fp32", "0")
    calibration = Calibration(
        "2026-11-27T12:00:00+00:00", scorer, (PartScore("0", 0.1, 0.1),), checks=ranges, layout=(0.0,) * 48
    )
    few, enough = (rate_words(dataclasses.replace(calibration, checked_parts=parts)) for parts in (1398, 1399))
    assert few == "meant for 1 % of good parts, by an estimate from 1398: 1399 would prove it"
    assert enough == "in the mean at most 1 % of good parts are invalid"
    assert "an estimate from 1:" in rate_words(calibration)
