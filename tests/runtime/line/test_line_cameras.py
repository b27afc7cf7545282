"""Cameras and images of a line: their numbers and parts, what is told when one fails, and when the line ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clipspect.frame.item import Item
from clipspect.line import feed
from clipspect.line.audit import audit
from clipspect.line.line import Line
from clipspect.line.plan import read_plan
from clipspect.sources import registry
from demo.belt import GATE, Belt, video, write_video_of
from support.lined import Lining, drop, engine, quick, running, write_plan
from support.watched import PATIENCE_S, rows_of, wait_for


def test_frames_of_a_camera_have_their_numbers_and_the_line_ends_when_all_sources_have(
    bundle: Path, place: Path, out: Path
) -> None:
    table = out / "side.csv"
    sources = {
        "top": {"source": "drawn:30", "recipe": "strict"},
        "side": {"source": "drawn:10", "recipe": "lenient", "overlays": ["pass", "invalid"], "sinks": [f"csv:{table}"]},
    }
    plan = write_plan(place / "line.toml", sources, **engine(bundle, out))
    for runs in (1, 2):
        with Lining(plan, out, "--json", fault="cameras") as line:
            assert line.process.wait(PATIENCE_S) == 0
        rows = rows_of(out / "top")
        assert [row["item"]["number"] for row in rows] == [*range(30)] * runs
        assert {(row["item"]["source"], row["item"]["dropped"]) for row in rows} == {("top", 0), ("top", 1)}
        assert audit([out / "top/results.jsonl"]).whole
        assert line.health()["sources"]["top"]["state"] == "ended"
        assert line.health()["sources"]["top"]["dropped"] == 15
        assert "clipspect: top: drawn:30 has ended after 30 frames: no more come" in line.err
        assert len({row["files"]["overlay"] for row in rows_of(out / "side")}) == 10 * runs
        assert len(list((out / "side/overlays").iterdir())) == 10 * runs
    assert len(table.read_text().splitlines()) == 1 + 10


def test_parts_that_pass_a_gate_have_one_record_each(bundle: Path, place: Path, out: Path) -> None:
    belt = Belt([False] * 3)
    film = write_video_of(place / "belt.mp4", list(video(belt)))
    gate = ",".join(map(str, GATE))
    plan = write_plan(
        place / "line.toml",
        {"belt": {"source": str(film), "recipe": "strict", "gate": gate}},
        **engine(bundle, out),
    )
    with Line(read_plan(plan)) as line:
        line.load()
        line.run()
    spans = [row["item"]["span"] for row in rows_of(out / "belt")]
    assert [span["part"] for span in spans] == [0, 1, 2]
    assert all(span["first"]["number"] < span["last"]["number"] for span in spans)


def _parts_then_failure(source: str, skip: object) -> Iterator[Item]:
    """A camera that shows two parts, then fails, each time that it is opened."""
    for number, value in enumerate([0, 200, 200, 0, 0, 0, 200, 200, 0, 0, 0]):
        yield Item(source, number, None, np.full((32, 32), value, np.uint8))
    raise OSError("the cable was pulled")


def test_parts_and_frames_of_a_camera_that_is_opened_again_go_on_counting(
    bundle: Path, place: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.BUILT_IN_SOURCES, "belt", _parts_then_failure)
    monkeypatch.setattr(feed, "_PAUSE_S", 0.01)
    source = {"source": "belt:1", "recipe": "strict", "gate": "4,4,16,16", "policy": "queue:50"}
    with running(write_plan(place / "line.toml", {"belt": source}, **engine(bundle, out))):
        wait_for(lambda: len(rows_of(out / "belt")) >= 4)
    spans = [row["item"]["span"] for row in rows_of(out / "belt")][:4]
    assert [span["part"] for span in spans] == [0, 1, 2, 3]
    assert [span["first"]["number"] for span in spans] == [1, 6, 12, 17]


def test_frames_that_all_have_one_number_have_a_record_each(bundle: Path, place: Path, out: Path) -> None:
    source = {"source": "unnumbered:20", "recipe": "strict"}
    with Lining(write_plan(place / "line.toml", {"top": source}, **engine(bundle, out)), out, fault="cameras") as line:
        assert line.process.wait(PATIENCE_S) == 0
    assert len(rows_of(out / "top")) == 20


def test_images_that_are_there_do_not_count_what_the_line_has_drawn_among_them(bundle: Path, place: Path) -> None:
    (place / "photos").mkdir()
    drop(place / "photos", 2)
    source = {"source": str(place / "photos"), "recipe": "strict", "overlays": ["fail"]}
    plan = write_plan(place / "line.toml", {"top": source}, **engine(bundle, place / "photos/out"))
    for runs in (1, 2):
        with Line(read_plan(plan)) as line:
            line.load()
            line.run()
        rows = rows_of(place / "photos/out/top")
        assert [row["item"]["name"] for row in rows] == [str(place / f"photos/{n}.png") for n in (0, 1)] * runs
        assert len(list((place / "photos/out/top/overlays").iterdir())) == 2 * runs


def test_a_camera_that_fails_is_told_and_opened_again_and_the_others_go_on(
    bundle: Path, folders: dict[str, Path], place: Path, out: Path
) -> None:
    sources = {"top": {"source": "flaky:1", "recipe": "strict"}, "side": quick(folders["side"], recipe="strict")}
    plan = write_plan(place / "line.toml", sources, **engine(bundle, out))
    drop(folders["side"], 5)
    with Lining(plan, out, fault="cameras") as line:
        line.wait_until(lambda: len(rows_of(out / "top")) >= 3)
        line.wait_until(lambda: line.health()["problems"])
        (problem,) = line.health()["problems"]
        line.wait_until(lambda: len(rows_of(out / "top")) >= 6)
        assert len(rows_of(out / "side")) == 5
        drop(folders["side"], 5, 5)
        line.wait_until(lambda: len(rows_of(out / "side")) == 10)
        assert line.stop() == 0
    assert problem.startswith("top: flaky:1: the source failed (OSError: the cable was pulled 1 times)")
    assert "it is opened again in 1 s" in problem
    assert "clipspect: top: source: works again" in line.err
    rows = rows_of(out / "top")
    assert [row["item"]["number"] for row in rows] == [*range(len(rows))]
