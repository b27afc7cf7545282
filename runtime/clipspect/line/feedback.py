"""Answers: what a person found parts to be that were inspected. They lie beside the log, and change nothing in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from clipspect.base import clock
from clipspect.base.document import MismatchError, build
from clipspect.base.errors import ClipspectError
from clipspect.base.files import sha256_of
from clipspect.inspection.record import EngineRecord, Record
from clipspect.line.feedback_picture import picture_of
from clipspect.recipes.history import this_user
from clipspect.sinks.log_file import line_start
from clipspect.sinks.records import json_object, lines_of, log_of, read_records

GOOD, DEFECT = "good", "defect"


@dataclass(frozen=True)
class Answer:
    """What a person said of one record, and what judged it then."""

    schema: Literal[1]
    id: str  # of the record
    answer: Literal["good", "defect"] | None  # None: an answer before is taken back
    time: str  # of the answer: ISO 8601, UTC
    who: str
    picture: str  # path of the file that was inspected; empty where an answer is taken back
    sha256: str  # of that file
    bundle: str  # digests of what judged
    recipe: str
    engine: EngineRecord
    score: float
    verdict: str | None


def feedback_path(results: Path) -> Path:
    """Where the answers to a log are, its rotated files included: results.jsonl has them in results.feedback.jsonl."""
    log = log_of(results) or results
    return log.with_name(f"{log.stem}.feedback.jsonl")


def answers_of(results: Path) -> dict[str, Answer]:
    """By record, the last answer to it, in the order of the first; those that were taken back are not there.

    A last line that is not whole is left out: it is being written, or was cut short and is no answer. Raises
    ClipspectError for a file that cannot be read, and for a line that is no answer.
    """
    path, answers = feedback_path(results), dict[str, Answer]()
    if not path.exists():
        return answers
    for line in lines_of(path):
        if not line.whole:
            continue
        try:
            document = json_object(line.content)
            if document is None:
                raise MismatchError(f"{line.where}: not readable as JSON")
            answer = build(Answer, document, line.where)
        except MismatchError as error:
            raise ClipspectError(f"{error}: restore the file, or take that line out") from error
        answers[answer.id] = answer
    return {id: answer for id, answer in answers.items() if answer.answer is not None}


def give_answer(
    results: Path, id: str, answer: Literal["good", "defect"] | None, *, picture: Path | None = None
) -> Answer:
    """Append the answer to the record of that id: on the disk when this returns, and whole or not there at all.

    `picture` is where the frame lies now, if not where the record says. Raises ClipspectError: no such record, one of
    a frame that could not be inspected, a picture that is not there or another, nothing to take back.
    """
    record = _record(results, id)
    if record.score is None:
        raise ClipspectError(f"{id}: this frame could not be inspected ({record.error}): there is nothing to answer")
    if answer is None and id not in answers_of(results):
        raise ClipspectError(f"{id}: there is no answer to take back")
    found = None if answer is None else picture_of(record, results, picture)
    given = Answer(
        schema=1,
        id=id,
        answer=answer,
        time=clock.now(),
        who=this_user(),
        picture="" if found is None else str(found),
        sha256="" if found is None else sha256_of(found),
        bundle=record.bundle.digest,
        recipe=record.recipe.digest,
        engine=record.engine,
        score=record.score,
        verdict=record.verdict,
    )
    _append(feedback_path(results), asdict(given))
    return given


def _record(results: Path, id: str) -> Record:
    """The last record of that id."""
    found = None
    for record in read_records(results):
        if record.id == id:
            found = record
    if found is None:
        raise ClipspectError(f"{results}: no record has the id {id!r}: give the id that its line has")
    return found


def _append(path: Path, document: dict[str, Any]) -> None:
    data = json.dumps(document).encode() + b"\n"
    try:
        with _held(path) as handle:
            size = line_start(handle, os.fstat(handle).st_size)
            os.ftruncate(handle, size)  # what a kill or a full disk left of a line
            written = 0
            try:
                while written < len(data):
                    written += os.pwrite(handle, data[written:], size + written)
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, size)
                raise
    except OSError as error:
        raise ClipspectError(
            f"{path}: cannot be written ({error.strerror or error}): check its rights and the space left"
        ) from error


@contextmanager
def _held(path: Path) -> Iterator[int]:
    """The file, open for one writer at a time; others wait."""
    try:
        import fcntl
    except ImportError as missing:
        raise ClipspectError("answers need the file locks of Linux, which this system does not have") from missing
    made = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
        if made:
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    finally:
        os.close(handle)
