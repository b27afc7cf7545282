"""What docs/archive.md shows of reading an archive's records, in SQL."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from clipspect_lab.archive.store import opened
from clipspect_lab.archive.worker import STOP
from support import archived, handmade
from support.documented import fences_of
from support.installed import ROOT


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """The rows in archived/, of nine images, one of them damaged."""
    monkeypatch.chdir(tmp_path)
    handmade.write_bundle(tmp_path / "tiny.bundle")
    archived.write_images(tmp_path / "images", 9)[4].write_bytes(b"")
    found = archived.inspected(Path("tiny.bundle"), "images").drop_columns([STOP])
    with opened(Path("archived"), 5) as store:
        store.read()
        for chunk in (found.slice(0, 5), found.slice(5)):
            store.add(chunk)
    rows: list[dict[str, object]] = found.to_pylist()
    return rows


def test_the_pages_sql_gives_the_highest_scores_and_a_regions_peak(table: list[dict[str, object]]) -> None:
    (block,) = (block for block in fences_of(ROOT / "docs/archive.md") if block.language == "sql")
    found = duckdb.sql(block.text).fetchall()
    scores = sorted((row["score"] for row in table if row["score"] is not None), reverse=True)
    assert [score for _, score, _ in found if score is not None] == pytest.approx(scores)
    raised = {row["name"] for row in table if row["regions"]}
    assert {name for name, _, peak in found if peak is not None} == raised
    assert raised
