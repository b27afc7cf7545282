"""Answers beside a log: whole or not there, the last one counts, and of the picture that was inspected."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import re
from pathlib import Path

import pytest
from PIL import Image

from clipspect.base.errors import ClipspectError
from clipspect.inspection.record import FileRecord, ItemRecord, Record
from clipspect.line.feedback import answers_of, feedback_path, give_answer
from support.command_line import error_of, run
from support.records import chained, make_record, write_lines

Capture = pytest.CaptureFixture[str]
IDS = [f"{number:032x}" for number in range(4)]


def record_of(path: Path, number: int, *, watched: bool = False) -> Record:
    Image.new("L", (9, 6), 20 + number).save(path)
    status = path.stat()
    file = FileRecord(path.name, status.st_size, status.st_mtime_ns) if watched else None
    item = ItemRecord(str(path.parent), number, path.name if watched else str(path), None, 9, 6, file)
    return make_record(number, item=item)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Of two files that were run and one that was watched; the fourth could not be read."""
    records = [record_of(tmp_path / f"{number}.png", number, watched=number == 2) for number in range(3)]
    failed = make_record(3, score=None, verdict=None, error="3.png: cannot be read")
    write_lines(tmp_path / "results.jsonl", chained([*records, failed]))
    return tmp_path / "results.jsonl"


def test_the_last_answer_to_a_record_counts_and_can_be_taken_back(results: Path) -> None:
    log = results.read_bytes()
    give_answer(results, IDS[0], "good")
    give_answer(results, IDS[1], "good")
    answer = give_answer(results, IDS[0], "defect")
    assert (answer.picture, answer.score, answer.verdict) == (str(results.with_name("0.png")), 0.0, "pass")
    assert [(found.id, found.answer) for found in answers_of(results).values()] == [
        (IDS[0], "defect"),
        (IDS[1], "good"),
    ]
    give_answer(results, IDS[0], None)
    assert list(answers_of(results)) == [IDS[1]]
    assert len(feedback_path(results).read_text().splitlines()) == 4  # nothing is erased
    assert results.read_bytes() == log
    with pytest.raises(ClipspectError, match="there is no answer to take back"):
        give_answer(results, IDS[0], None)


def test_answers_to_a_rotated_file_are_with_those_to_its_log(results: Path) -> None:
    rotated = results.with_name("results-2026-11-28T03-00-00.000Z.jsonl")
    results.rename(rotated)
    results.touch()
    give_answer(rotated, IDS[0], "good")
    give_answer(results, IDS[1], "defect")
    assert list(answers_of(results)) == list(answers_of(rotated)) == IDS[:2]
    assert [path.name for path in results.parent.glob("*.feedback.jsonl")] == ["results.feedback.jsonl"]


def test_an_answer_that_a_kill_cut_short_is_none_and_the_next_one_is_whole(results: Path) -> None:
    for id in IDS[:2]:
        give_answer(results, id, "good")
    path = feedback_path(results)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in (first, first + 1, first + 40, len(whole) - 1):
        path.write_bytes(whole[:end])
        assert list(answers_of(results)) == IDS[:1]
        give_answer(results, IDS[2], "defect")
        assert list(answers_of(results)) == [IDS[0], IDS[2]]
        assert path.read_bytes().startswith(whole[:first])
    path.write_bytes(whole[:first] + b"{}\n")
    with pytest.raises(ClipspectError, match=r"results\.feedback\.jsonl: line 2"):
        answers_of(results)


def give(results: Path, number: int) -> None:
    for _ in range(10):
        give_answer(results, IDS[number], "good")


def test_several_may_answer_at_once(results: Path) -> None:
    context = multiprocessing.get_context("fork")
    people = [context.Process(target=give, args=(results, number)) for number in range(3)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    lines = feedback_path(results).read_text().splitlines()
    assert len(lines) == 30
    assert sorted({json.loads(line)["id"] for line in lines}) == IDS[:3]


def test_the_picture_is_the_one_that_was_inspected_or_the_answer_is_refused(results: Path, tmp_path: Path) -> None:
    with pytest.raises(ClipspectError, match="could not be inspected"):
        give_answer(results, IDS[3], "good")
    with pytest.raises(ClipspectError, match="no record has the id 'ab'"):
        give_answer(results, "ab", "good")
    (tmp_path / "moved").mkdir()
    (tmp_path / "0.png").rename(tmp_path / "moved/0.png")
    with pytest.raises(
        ClipspectError, match=r"the picture of this record is not there \(.*0\.png\): give it with --picture"
    ):
        give_answer(results, IDS[0], "good")
    assert give_answer(results, IDS[0], "good", picture=tmp_path / "moved/0.png").picture.endswith("moved/0.png")
    Image.new("L", (6, 9)).save(tmp_path / "1.png")
    with pytest.raises(ClipspectError, match=r"is 6 x 9, the frame of .* was 9 x 6: it is another picture"):
        give_answer(results, IDS[1], "good")
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(ClipspectError, match=r"1\.png: .*cannot be read any more"):
        give_answer(results, IDS[1], "good")
    Image.new("L", (9, 6), 77).save(tmp_path / "2.png")
    with pytest.raises(ClipspectError, match=r"2\.png: was changed since it was inspected"):
        give_answer(results, IDS[2], "good")
    assert list(answers_of(results)) == [IDS[0]]


def test_a_watched_picture_is_found_where_it_was_sorted_to(tmp_path: Path) -> None:
    record = record_of(tmp_path / "2.png", 2, watched=True)
    results = tmp_path / "out/results.jsonl"
    (tmp_path / "out/pass").mkdir(parents=True)
    write_lines(results, chained([dataclasses.replace(record, files={"sorted": "pass/2.png"})]))
    (tmp_path / "2.png").rename(tmp_path / "out/pass/2.png")
    assert give_answer(results, IDS[2], "good").picture == str(tmp_path / "out/pass/2.png")


def test_the_command_collects_lists_and_takes_back(results: Path, capsys: Capture) -> None:
    assert run("feedback", results, IDS[1], "defect") == 0
    assert re.search(r"defect +pass +0\.001 .*1\.png\n0 good and 1 defective parts in ", capsys.readouterr().out)
    assert run("feedback", results, "--json") == 0
    assert [found["id"] for found in json.loads(capsys.readouterr().out)["answers"]] == [IDS[1]]
    assert run("feedback", results, IDS[1], "none") == 0
    assert "0 good and 0 defective" in capsys.readouterr().out
    for given, words in (
        ([results, IDS[1]], "say what this part is: good, defect, or none"),
        ([results, "--picture", "1.png"], "--picture goes with the ID"),
        ([results.with_name("no.jsonl")], "no such file"),
    ):
        assert run("feedback", *given) == 1
        assert words in error_of(capsys)
