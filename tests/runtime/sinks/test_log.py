"""The watcher's log: what is read back of it is what was written."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

import clipspect
from clipspect.base.errors import ClipspectError
from clipspect.inspection.record import FileRecord, record_of
from clipspect.sinks.log import Log
from support import handmade


@pytest.mark.parametrize("readable", [True, False])
def test_the_last_record_is_read_as_it_was_written(tiny_bundle: Path, tmp_path: Path, readable: bool) -> None:
    with clipspect.load(tiny_bundle, backend="onnxruntime") as inspector:
        frame = handmade.spotted() if readable else tmp_path / "caf\udce9.png"
        (outcome,) = inspector.stream([frame])
        record = record_of(outcome, inspector, id="0" * 32, file=FileRecord("caf\udce9.png", 12, -34))
    assert bool(record.regions) == readable
    with closing(Log(tmp_path / "results.jsonl")) as log:
        assert log.last() is None
        record = log.linked(record)
        log.take(record, outcome)
    with closing(Log(tmp_path / "results.jsonl")) as log:
        assert log.last() == record


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "00", "file": {}, "sorted": null, "error": null}', "was written by an older clipspect watch"),
        ('{"schema": 1, "id": "00", "item": {"file": {}}}', "was written by an older clipspect watch"),
        ('{"schema": 2, "id": "00", "item": {"file": {}}}', "was not written by clipspect watch"),
        ('{"schema": 1, "id": "00", "item": {"file": null}}', "was not written by clipspect watch"),
        ("[1]", "was not written by clipspect watch"),
    ],
)
def test_lines_of_others_are_refused_and_stay(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ClipspectError, match=f"results.jsonl: {message}"):
        Log(path)
    assert path.read_text() == line + "\n"
