"""The two sides of a comparison: what `--compare A B` may name, and what each has said of a class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clipspect.backends import ENGINES
from clipspect.bundle import DEMO
from clipspect.errors import ClipspectError
from clipspect.evaluation.class_run import ClassRun
from clipspect.evaluation.evaluate import Session
from clipspect.evaluation.request import Request
from clipspect.evaluation.resampling import Answers
from clipspect.evaluation.rows import ClassRow
from clipspect.evaluation.store import Store
from clipspect.manifest import MANIFEST

_SAME = ("layout", "resolution")  # settings that both sides must share


@dataclass(frozen=True)
class Finished:
    """The --out folder of an evaluation that is done: its scores and histograms, and no maps."""

    folder: Path


@dataclass(frozen=True)
class Contender:
    """One side, by the word that named it."""

    name: str
    what: Request | Finished


def contender(word: str, request: Request) -> Contender:
    """What a word of `--compare` stands for: a bundle, an engine that runs the request's, or an evaluation's folder.

    The rest is the request's. Raises ClipspectError.
    """
    path = Path(word)
    if word == DEMO or (path / MANIFEST).is_file():
        return Contender(word, replace(request, bundle=word))
    if Store.is_one(path):
        return Contender(word, Finished(path))
    engine, _, precision = word.partition(":")
    names = [row.name for row in ENGINES]
    if engine in names and not path.is_dir():
        options = {**request.options, **({"precision": precision} if precision else {})}
        return Contender(word, replace(request, backend=engine, options=options))
    what = "a folder that is neither a bundle nor an evaluation's --out" if path.is_dir() else "unknown"
    raise ClipspectError(
        f"--compare {word}: {what}; expected a bundle, an engine ({', '.join(names)}) or engine:precision, or the "
        "--out folder of a finished evaluation"
    )


def two_contenders(words: Sequence[str], request: Request) -> tuple[Contender, Contender]:
    """What `--compare` names: A and B, or A alone, with which the request itself is compared.

    Raises ClipspectError, also for two that are the same.
    """
    if len(words) > 2:
        raise ClipspectError(f"--compare takes one or two, found {' '.join(words)}: give BUNDLE and DATASET before it")
    found = [contender(word, request) for word in words]
    one, other = found if len(found) == 2 else (Contender(request.bundle, request), found[0])
    if one.what == other.what:
        raise ClipspectError(f"--compare: {one.name} and {other.name} are the same bundle, engine and precision")
    return one, other


class Side:
    """A contender with its data and what is done of it; a context manager."""

    def __init__(self, contender: Contender, folder: Path) -> None:
        """Raises as `evaluate`, and ClipspectError for a folder that is not an evaluation's."""
        self.name = contender.name
        self.session: Session | None = None
        if isinstance(contender.what, Finished):
            self.store = Store.reopened(contender.what.folder)
            self.names = list(self.store.classes)
        else:
            self.session = Session(contender.what, folder)
            self.store = self.session.store
            self.names = [run.item.name for run in self.session.runs]

    @property
    def runs(self) -> Mapping[str, ClassRun]:
        """By class; none of a finished evaluation."""
        return {run.item.name: run for run in self.session.runs} if self.session is not None else {}

    def row(self, name: str) -> ClassRow | None:
        """A class's figures, if they are there and of the files as they are."""
        run, row = self.runs.get(name), self.store.classes.get(name)
        return row if run is None or row is None else self.store.finished(name, run.digest)

    def fingerprint(self, name: str) -> str:
        """Changes with whatever a class's figures depend on."""
        run, row = self.runs.get(name), self.store.classes.get(name)
        digest = run.digest if run is not None else row.digest if row is not None else ""
        document = json.dumps([self.store.settings, self.store.engine, digest], sort_keys=True)
        return hashlib.sha256(document.encode()).hexdigest()

    def answers(self, name: str) -> tuple[ClassRow, Answers]:
        """Of a class that is done. Raises ClipspectError."""
        row = self.row(name)
        answers = self.store.answers_of(row) if row is not None else None
        if row is None or answers is None:
            raise ClipspectError(
                f"{self.name}: nothing to compare of class {name!r}: the evaluation is not finished or by an older "
                "clipspect, evaluate again into another --out"
            )
        return row, answers

    def described(self) -> dict[str, Any]:
        """For the report."""
        found: dict[str, Any] = {"name": self.name, "engine": self.store.engine, "shots": self.store.settings["shots"]}
        if self.session is not None:
            manifest = self.session.bundle.manifest
            found |= {"bundle": self.session.bundle.path.name, "method": manifest.method}
        return found

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        if self.session is not None:
            self.session.__exit__()


def require_comparable(one: Side, other: Side) -> None:
    """Two evaluations of the same classes where maps meet masks at one size. Raises ClipspectError."""
    for key in _SAME:
        mine, theirs = one.store.settings.get(key), other.store.settings.get(key)
        if mine != theirs:
            raise ClipspectError(f"{key}: {one.name} has {mine}, {other.name} {theirs}: figures cannot be compared")
    for this, that in ((one, other), (other, one)):
        missing = [name for name in this.names if name not in that.names]
        if missing:
            raise ClipspectError(
                f"different data: {that.name} has no class {missing[0]!r}, which {this.name} has: evaluate it, or "
                "leave it out with --classes"
            )
    sizes = [side.session.bundle.manifest.image for side in (one, other) if side.session is not None]
    if one.store.settings["resolution"] == "model" and len({(size.width, size.height) for size in sizes}) > 1:
        raise ClipspectError(
            f"the models' sizes differ, {' and '.join(f'{size.width} x {size.height}' for size in sizes)}: compare "
            "pixels at one size, add --resolution 256 or --resolution original"
        )


def require_same_images(name: str, one: Answers, other: Answers) -> None:
    """Raises ClipspectError that names the first image which only one side has."""
    for mine, theirs in ((one, other), (other, one)):
        missing = set(mine.images) - set(theirs.images)
        if missing:
            raise ClipspectError(f"different data: class {name!r}: only one of the two has {sorted(missing)[0]}")
    if one.images != other.images or (one.defective != other.defective).any():
        raise ClipspectError(f"different data: class {name!r}: the images are labelled or ordered otherwise")
