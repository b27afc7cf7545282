"""The search for drift beside a log: told once, kept over restarts, and begun anew when what was kept is lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from clipspect.inspection.record import Record
from clipspect.line.drift_kept import KeptDrift
from clipspect.line.health import Health
from clipspect.recipes.recipe import Recipe
from clipspect.sinks.log import Log
from clipspect.sinks.rotation import NEVER, Rotation, parse_rotation
from support.drawn_records import drawn_records

RECIPE = Recipe("nut", "winclip", "nut", "d" * 64, {"text_features": np.zeros((2, 1, 4), np.float32)})


def _scores() -> npt.NDArray[np.float64]:
    scores = np.random.default_rng(21).normal(10, 0.5, 600)
    scores[300:] += 1
    return scores


class _Line:
    """A log and the search beside it, as `clipspect watch` has them."""

    def __init__(self, out: Path, rotation: Rotation = NEVER) -> None:
        self.log, self.health = Log(out / "results.jsonl", rotation), Health()
        self.drift = KeptDrift(out / "drift.json", self.log, RECIPE, self.health)

    def take(self, records: Iterable[Record]) -> None:
        for record in records:
            linked = self.log.linked(record)
            self.log.take(linked)
            self.drift.take(linked, RECIPE)

    def stop(self) -> None:
        self.drift.keep()
        self.log.close()

    def kill(self) -> None:
        self.log.close()


def test_a_change_is_told_once_and_stays_in_the_report(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = _Line(place)
    line.take(drawn_records(_scores()))
    line.stop()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("clipspect: drift since about part 30")
    report = line.drift.report()
    assert report["alarm"]
    (change,) = report["changes"]
    assert (change["quantity"], change["points_to"]) == ("score", "the part")
    assert 0 < report["evidence"]["score"] < 1


@pytest.mark.parametrize(
    ("cut", "end", "rotation"),
    [(1, "kill", "never"), (310, "stop", "50kB"), (310, "kill", "50kB"), (599, "stop", "never")],
)
def test_a_restart_goes_on_where_it_was(
    place: Path, cut: int, end: str, rotation: str, capsys: pytest.CaptureFixture[str]
) -> None:
    records = list(drawn_records(_scores()))
    (place / "whole").mkdir()
    whole = _Line(place / "whole")
    whole.take(records)
    whole.kill()
    cut_short = place / "cut"
    cut_short.mkdir()
    line = _Line(cut_short, parse_rotation(rotation))
    line.take(records[: cut // 2])
    line.drift.keep()
    line.take(records[cut // 2 : cut])
    line.stop() if end == "stop" else line.kill()
    again = _Line(cut_short, parse_rotation(rotation))
    again.take(records[cut:])
    assert again.drift.report() == whole.drift.report()
    again.kill()
    assert capsys.readouterr().err.count("clipspect: drift since") == 2


def test_a_line_that_was_written_last_and_not_taken_is_taken_after_the_restart(place: Path) -> None:
    """As when the disk is full behind it and somebody ends the command."""
    records = list(drawn_records(_scores()))
    for name in ("whole", "cut"):
        (place / name).mkdir()
    whole, line = _Line(place / "whole"), _Line(place / "cut")
    whole.take(records)
    line.take(records[:299])
    line.log.take(line.log.linked(records[299]))
    line.stop()
    again = _Line(place / "cut")
    again.take(records[300:])
    assert again.drift.report() == whole.drift.report()
    whole.kill()
    again.kill()


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\0\0\0"])
def test_what_was_kept_and_is_lost_is_made_again_from_the_log(place: Path, content: bytes | None) -> None:
    line = _Line(place)
    line.take(drawn_records(_scores()))
    line.stop()
    if content is None:
        (place / "drift.json").unlink()
    else:
        (place / "drift.json").write_bytes(content)
    again = _Line(place)
    assert again.drift.report() == line.drift.report()
    again.kill()


def test_what_was_kept_of_another_log_is_not_gone_on_with(place: Path) -> None:
    line = _Line(place)
    line.take(drawn_records(_scores()))
    line.stop()
    other = place / "other"
    other.mkdir()
    shutil.copy(place / "drift.json", other)
    again = _Line(other)
    assert again.drift.report() == {"alarm": False, "false_alarm": 0.01, "evidence": {}, "changes": []}
    again.kill()


def test_where_it_cannot_be_kept_health_says_so_and_inspection_goes_on(place: Path) -> None:
    line = _Line(place)
    line.drift._path = place / "results.jsonl" / "drift.json"
    line.take(drawn_records(_scores()[:3]))
    line.stop()
    assert line.drift.report()["evidence"]
    assert any("drift" in problem for problem in line.health.problems)
