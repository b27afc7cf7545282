"""`clipspect audit`: what it says of a log that is whole, of one that is not, and of what decided."""

from __future__ import annotations

import dataclasses
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clipspect.inspection.record import BundleRecord, RecipeRecord, Record
from clipspect.recipes.calibration import LimitsChange
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from clipspect.sinks.chain import Chain
from clipspect.sinks.log import Log
from clipspect.sinks.rotation import Rotation
from support import handmade
from support.command_line import run
from support.records import chained, make_record, write_lines
from support.watched import grey_png

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Forty records in several files, of three days: the recipe was changed on the second."""
    path = tmp_path / "out/results.jsonl"
    path.parent.mkdir()
    with closing(Log(path, Rotation(size=20_000))) as writing:
        for number in range(40):
            writing.take(writing.linked(on_day(number)))
    assert len(list(path.parent.glob("results-*.jsonl"))) == 2
    return path


def on_day(number: int) -> Record:
    record = make_record(number, time=f"2026-11-{20 + number // 15}T09:30:{number:02}.000+00:00")
    if number >= 20:
        record = dataclasses.replace(
            record, recipe=RecipeRecord("nut", "c" * 64), limits=Limits(0.3, 0.5), verdict="fail"
        )
    if number % 10 == 7:
        return dataclasses.replace(
            record, error="damaged", score=None, verdict=None, limits=None, map_limit=None, timings_ms=None
        )
    return record


def document(capsys: Capture, status: int, *arguments: object) -> dict[str, Any]:
    assert run("audit", *arguments, "--json") == status
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["whole"] == (status == 0)
    return found


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def test_a_whole_log_says_what_decided_in_which_span(log: Path, capsys: Capture) -> None:
    assert run("audit", log) == 0
    said = capsys.readouterr().out
    assert f"whole: 40 lines in 3 files up to {log}" in said
    assert "lines 1 to 20, 2026-11-20T09:30:00.000+00:00 to 2026-11-21T09:30:19.000+00:00: 2 error, 18 pass" in said
    assert "recipe 'nut' aaaaaaaaaaaa: review from 0.4, reject from 0.6, regions over 0.5" in said
    assert "lines 21 to 40" in said
    assert "recipe 'nut' cccccccccccc: review from 0.3, reject from 0.5, regions over 0.5" in said
    assert "bundle nuts.bundle bbbbbbbbbbbb (winclip), onnxruntime on cpu in fp32, clipspect 0.1.0" in said
    found = document(capsys, 0, log)
    assert f"last digest, to be kept elsewhere for --expect: {found['last']['digest']}" in said
    assert (found["lines"], found["last"]["line"], len(found["files"])) == (40, 40, 3)
    assert [span["verdicts"] for span in found["spans"]] == [{"pass": 18, "error": 2}, {"fail": 18, "error": 2}]


def test_a_date_says_what_decided_then(log: Path, capsys: Capture) -> None:
    lines = {
        ("--since", "2026-11-22"): [[31, 40]],
        ("--until", "2026-11-20"): [[1, 15]],
        ("--since", "2026-11-21", "--until", "2026-11-21"): [[16, 20], [21, 30]],
        ("--since", "2026-11-20T09:30:10", "--until", "2026-11-20T10:30:12+01:00"): [[11, 13]],
        ("--since", "2027-01-01"): [],
    }
    for dates, expected in lines.items():
        found = document(capsys, 0, log, *dates)
        assert [[span["first_line"], span["last_line"]] for span in found["spans"]] == expected
    assert run("audit", log, "--since", "2027-01-01") == 0
    assert "no record of that time" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run("audit", log, "--since", "yesterday")
    assert "expected a date as 2026-11-27 or 2026-11-27T14:30, found 'yesterday'" in capsys.readouterr().err


def test_an_edited_record_is_named_with_its_file_and_line_and_the_status_is_1(log: Path, capsys: Capture) -> None:
    first = min(log.parent.glob("results-*.jsonl"))
    change(first, '"00000000000000000000000000000003"', '"00000000000000000000000000000004"')
    assert run("audit", log) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"BROKEN: 40 lines in 3 files up to {log}"
    assert said[1] == (
        f"{first}: line 4: it was edited: its bytes do not fit its digest; it says that it is line 4 of the chain"
    )
    (found,) = document(capsys, 1, log)["breaks"]
    assert (found["kind"], found["file"], found["line"]) == ("edited", str(first), 4)


def test_a_file_that_is_missing_in_between_is_missing_lines_until_it_is_given(
    log: Path, tmp_path: Path, capsys: Capture
) -> None:
    first, second = sorted(log.parent.glob("results-*.jsonl"))
    (tmp_path / "archive").mkdir()
    away = second.rename(tmp_path / "archive" / second.name)
    (found,) = document(capsys, 1, log)["breaks"]
    assert (found["kind"], found["file"], found["line"]) == ("deleted", str(log), 1)
    first_away = first.rename(tmp_path / "archive" / first.name)
    (found,) = document(capsys, 1, log)["breaks"]
    assert found["kind"] == "cut"
    assert document(capsys, 0, log, away, first_away)["lines"] == 40
    last_away = document(capsys, 0, first_away)["last"]["digest"]
    assert document(capsys, 0, away, "--after", last_away)["lines"] > 0
    assert document(capsys, 1, away)["breaks"][0]["kind"] == "cut"


def test_rotated_files_that_are_given_beside_their_log_are_read_once(
    log: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert document(capsys, 0, *sorted(log.parent.glob("results*.jsonl")))["lines"] == 40
    monkeypatch.chdir(log.parent)
    assert document(capsys, 0, log, *Path().glob("results*.jsonl"))["lines"] == 40


def test_a_tail_that_was_cut_off_is_known_by_what_is_kept_beside_the_log(log: Path, capsys: Capture) -> None:
    last = document(capsys, 0, log)["last"]["digest"]
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-2]))
    (found,) = document(capsys, 1, log)["breaks"]
    assert found["kind"] == "cut"
    assert found["text"] == "lines 39 to 40 are missing at the end: cut off (.watch/chain.json says so)"
    (log.parent / ".watch/chain.json").unlink()
    assert document(capsys, 0, log)["lines"] == 38  # nothing else knows
    (found,) = document(capsys, 1, log, "--expect", last)["breaks"]
    assert f"no line has the digest {last}" in found["text"]


def test_a_chain_that_was_made_again_is_known_by_what_was_kept_of_it(log: Path, capsys: Capture) -> None:
    earlier = json.loads(log.read_text().splitlines()[0])["chain"]
    for path in log.parent.glob("results-*.jsonl"):
        path.unlink()
    chain = Chain()
    chain.log = earlier["log"]
    write_lines(log, chained((dataclasses.replace(on_day(number), verdict="pass") for number in range(40)), chain))
    (found,) = document(capsys, 1, log)["breaks"]
    assert (found["kind"], found["line"]) == ("rewritten", 40)
    write_lines(log, chained(on_day(number) for number in range(40)))
    (found,) = document(capsys, 1, log)["breaks"]
    assert "this is another log than the one that was written here" in found["text"]
    (log.parent / ".watch/chain.json").unlink()
    assert document(capsys, 0, log)["lines"] == 40
    assert document(capsys, 1, log, "--expect", earlier["digest"])["breaks"]


def test_an_earlier_digest_is_found_in_a_log_that_went_on(log: Path, capsys: Capture) -> None:
    earlier = document(capsys, 0, log)["last"]["digest"]
    with closing(Log(log)) as writing:
        writing.take(writing.linked(on_day(40)))
    assert document(capsys, 0, log, "--expect", earlier)["lines"] == 41


def test_what_a_watcher_found_cut_when_it_started_stays_in_the_chain(log: Path, capsys: Capture) -> None:
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-2]))
    with closing(Log(log)) as writing:
        assert writing.broken is not None
        assert "lines 39 to 40 were written and cut off since" in writing.broken
        writing.take(writing.linked(on_day(40)))
    (log.parent / ".watch/chain.json").unlink()
    (found,) = document(capsys, 1, log)["breaks"]
    assert (found["kind"], found["text"]) == (
        "deleted",
        "lines 39 to 40 of the chain are missing before it: deleted",
    )


def test_a_line_that_proves_itself_and_is_no_record_is_named(tmp_path: Path, capsys: Capture) -> None:
    (record,) = chained([make_record(1, time="yesterday")])
    write_lines(tmp_path / "results.jsonl", [record])
    (found,) = document(capsys, 1, tmp_path / "results.jsonl")["breaks"]
    assert "it proves itself and is no record: Invalid isoformat string: 'yesterday'" in found["text"]


def test_lines_without_a_chain_are_told_as_what_they_are(tmp_path: Path, capsys: Capture) -> None:
    write_lines(tmp_path / "results.jsonl", [make_record(number) for number in range(100)])
    (found,) = document(capsys, 1, tmp_path / "results.jsonl")["breaks"]
    assert found["text"] == "it and 99 more were edited or inserted: it does not end with its place in a chain"
    (tmp_path / "results.jsonl").write_text("")
    assert document(capsys, 0, tmp_path / "results.jsonl")["last"] is None
    assert run("audit", tmp_path / "none.jsonl") == 1
    assert "no such file: expected the results.jsonl of clipspect watch or run" in capsys.readouterr().err


def test_changes_of_a_recipes_limits_are_read_from_its_history(log: Path, tmp_path: Path, capsys: Capture) -> None:
    old, new = {"review": 0.4, "reject": 0.6, "map": None}, {"review": 0.3, "reject": 0.5, "map": 0.7}
    history = (
        LimitsChange("2026-11-01T08:00:00.000+00:00", "kim", "calibrated on 312 parts", None, old),
        LimitsChange("2026-11-21T09:30:19.500+00:00", "robin", "new lamp", old, new),
    )
    recipe = dataclasses.replace(handmade.make_recipe("nut"), history=history)
    write_recipe(tmp_path / "nut.safetensors", recipe)
    assert run("audit", log, "--recipe", tmp_path / "nut.safetensors") == 0
    said = capsys.readouterr().out
    assert "2026-11-01T08:00:00.000+00:00  kim: none -> review 0.4, reject 0.6: calibrated on 312 parts" in said
    assert "robin: review 0.4, reject 0.6 -> review 0.3, reject 0.5, map 0.7: new lamp" in said
    found = document(capsys, 0, log, "--recipe", tmp_path / "nut.safetensors")["recipe"]
    assert (found["digest"], [change["who"] for change in found["history"]]) == (recipe.digest, ["kim", "robin"])


def test_run_writes_chained_records_into_files_and_to_standard_output_the_same(
    tiny_bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        (photos / f"{number}.png").write_bytes(grey_png(number))
    out, copy = tmp_path / "results", tmp_path / "copy.jsonl"
    assert run("run", tiny_bundle, photos, "--out", out, "--sink", f"jsonl:{copy}", "--json") == 0
    printed = capsys.readouterr().out
    assert printed == copy.read_text() == (out / "results.jsonl").read_text()
    for path in (copy, out / "results.jsonl"):
        assert document(capsys, 0, path)["lines"] == 3


def test_another_bundle_or_version_begins_a_span(tmp_path: Path, capsys: Capture) -> None:
    other = BundleRecord("nuts.bundle", "winclip", "d" * 64)
    records = [
        make_record(1),
        make_record(2, bundle=other),
        make_record(3, bundle=other, version="0.2.0"),
        make_record(4),
    ]
    write_lines(tmp_path / "results.jsonl", chained(records))
    spans = document(capsys, 0, tmp_path / "results.jsonl")["spans"]
    assert [span["decision"]["bundle"]["digest"][0] for span in spans] == ["b", "d", "d", "b"]
    assert [span["decision"]["version"] for span in spans] == ["0.1.0", "0.1.0", "0.2.0", "0.1.0"]
