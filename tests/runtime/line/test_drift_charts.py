"""Control charts: their lines are the textbook's, and their points stay few."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from clipspect.line.drift_charts import FIRST, MOST_BLOCKS, Blocks, Charts, Ewma
from clipspect.recipes.limits import Limits
from clipspect.recipes.promise import limits_from_scores
from support.drawn_records import drawn_records


def test_the_average_and_its_limits_are_those_of_the_textbook() -> None:
    values = np.random.default_rng(1).normal(5, 2, 200)
    chart = Ewma()
    for part, value in enumerate(values.tolist(), 1):
        chart.take(part, value)
    weights = 0.05 * 0.95 ** np.arange(200)[::-1]
    assert chart.blocks.rows[-1].end == pytest.approx(weights @ values + 0.95**200 * values[:FIRST].mean())
    assert chart.centre == pytest.approx(values[:FIRST].mean())
    assert chart.reach == pytest.approx(3 * values[:FIRST].std(ddof=1) * np.sqrt(0.05 / 1.95))


def test_unchanged_values_stay_within_the_limits_and_changed_ones_leave_them() -> None:
    values = np.random.default_rng(2).normal(5, 2, 2000)
    chart = Ewma(values[:1000].tolist())
    for part, value in enumerate(values[1000:].tolist()):
        chart.take(part, value)
    ends = np.array([row.end for row in chart.blocks.rows])
    assert np.mean(np.abs(ends - chart.centre) > chart.reach) < 0.02
    for part in range(1000, 1100):
        chart.take(part, 7.0)
    assert chart.blocks.rows[-1].end > chart.centre + chart.reach


def test_blocks_stay_few_and_lose_no_value() -> None:
    values = np.random.default_rng(3).normal(0, 1, 10_000)
    blocks = Blocks(1)
    for part, value in enumerate(values.tolist(), 1):
        blocks.take(part, value)
    assert len(blocks.rows) <= MOST_BLOCKS
    assert sum(row.count for row in blocks.rows) == 10_000
    assert {row.count for row in blocks.rows[:-1]} == {blocks.size}
    assert sum(row.total for row in blocks.rows) == pytest.approx(values.sum())
    assert min(row.low for row in blocks.rows) == values.min()
    assert [row.first for row in blocks.rows[1:]] == [row.last + 1 for row in blocks.rows[:-1]]


def test_the_share_chart_lies_about_what_calibration_promised_else_about_the_first_parts() -> None:
    scores = np.random.default_rng(4).normal(10, 1, 1000)
    limits = limits_from_scores(scores)
    assert limits.review_promise is not None
    promised, by_hand = Charts(), Charts()
    for part, record in enumerate(drawn_records(scores, limits=limits), 1):
        promised.take(record, part)
        by_hand.take(dataclasses.replace(record, limits=Limits(limits.review, limits.reject)), part)
    assert promised.shares.centre == limits.review_promise.rank / 1001
    first = np.mean(scores[:500] >= limits.review)
    assert by_hand.shares.centre == pytest.approx(first)
    assert by_hand.shares.reach == pytest.approx(3 * np.sqrt(first * (1 - first) / 100))
    assert [row.total for row in promised.shares.blocks.rows] == [
        (block >= limits.review).sum() for block in scores.reshape(10, 100)
    ]


def test_another_recipe_begins_new_charts() -> None:
    charts = Charts()
    for part, record in enumerate(drawn_records([1.0] * 50), 1):
        charts.take(record, part)
    (other,) = drawn_records([2.0])
    charts.take(dataclasses.replace(other, recipe=dataclasses.replace(other.recipe, digest="c" * 64)), 51)
    assert charts.averages["score"].blocks.rows == []
