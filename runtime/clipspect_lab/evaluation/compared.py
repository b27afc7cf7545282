"""The two evaluations of a comparison: what `--compare A B` may name, and what each has said of a class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from clipspect.base.errors import ClipspectError
from clipspect.bundle.bundle import DEMO
from clipspect.bundle.manifest import MANIFEST
from clipspect.engines import registry
from clipspect_lab.evaluation.class_run import ClassRun
from clipspect_lab.evaluation.evaluate import EvaluationRun
from clipspect_lab.evaluation.request import Request
from clipspect_lab.evaluation.resampling import Answers
from clipspect_lab.evaluation.rows import ClassRow
from clipspect_lab.evaluation.stored import StoredEvaluation, is_evaluation
from clipspect_lab.evaluation.truth import MODEL

_SAME = ("layout", "resolution")  # settings that both and the command must share


@dataclass(frozen=True)
class FinishedEvaluation:
    """The --out folder of an evaluation that is done: its scores and histograms, and no maps."""

    folder: Path


@dataclass(frozen=True)
class ComparedInput:
    """One of the two, by the word that named it."""

    name: str
    what: Request | FinishedEvaluation


def read_compared(word: str, request: Request) -> ComparedInput:
    """What a word of `--compare` stands for: a bundle, an engine that runs the request's, or an evaluation's folder.

    The rest is the request's. Raises ClipspectError.
    """
    path = Path(word)
    if word == DEMO or (path / MANIFEST).is_file():
        return ComparedInput(word, replace(request, bundle=word))
    if is_evaluation(path):
        return ComparedInput(word, FinishedEvaluation(path))
    engine, _, precision = word.partition(":")
    names = [row.name for row in registry()]
    if engine in names and not path.is_dir():
        options = {**request.options, **({"precision": precision} if precision else {})}
        return ComparedInput(word, replace(request, backend=engine, options=options))
    what = "a folder that is neither a bundle nor an evaluation's --out" if path.is_dir() else "unknown"
    raise ClipspectError(
        f"--compare {word}: {what}; expected a bundle, an engine ({', '.join(names)}) or engine:precision, or the "
        "--out folder of a finished evaluation"
    )


def two_compared(words: Sequence[str], request: Request) -> tuple[ComparedInput, ComparedInput]:
    """What `--compare` names: A and B, or A alone, with which the request itself is compared.

    Raises ClipspectError, also for two that are the same.
    """
    if len(words) > 2:
        raise ClipspectError(f"--compare takes one or two, found {' '.join(words)}: give BUNDLE and DATASET before it")
    found = [read_compared(word, request) for word in words]
    one, other = found if len(found) == 2 else (ComparedInput(request.bundle, request), found[0])
    if one.what == other.what:
        raise ClipspectError(f"--compare: {one.name} and {other.name} are the same bundle, engine and precision")
    return one, other


class ComparedEvaluation:
    """One of the two with its data and what is done of it; a context manager."""

    def __init__(self, compared: ComparedInput, folder: Path, classes: Sequence[str], *, lasting: bool = True) -> None:
        """Of these classes; none: of all. `lasting`: whether a later run goes on in the folder.

        Raises as `evaluate`, and ClipspectError for what is no evaluation.
        """
        self.name = compared.name
        self.run: EvaluationRun | None = None
        if isinstance(compared.what, FinishedEvaluation):
            self.store: StoredEvaluation = StoredEvaluation(compared.what.folder)
            self.names = [name for name in self.store.classes if not classes or name in classes]
            if not self.names:
                raise ClipspectError(
                    f"{self.name}: no class to compare is finished: run its evaluation to the end first"
                )
        else:
            self.run = EvaluationRun(compared.what, folder, lasting=lasting, all_maps=True)
            self.store = self.run.store
            self.names = list(self.run.classes)

    @property
    def class_runs(self) -> Mapping[str, ClassRun]:
        """By class; none of a finished evaluation."""
        return self.run.classes if self.run is not None else {}

    def row(self, name: str) -> ClassRow | None:
        """A class's figures, if they are there and of the files as they are."""
        run, row = self.class_runs.get(name), self.store.classes.get(name)
        return row if run is None or row is None else self.store.finished(name, run.digest)

    def fingerprint(self, name: str) -> str:
        """Changes with whatever a class's figures depend on."""
        run, row = self.class_runs.get(name), self.store.classes.get(name)
        digest = run.digest if run is not None else row.digest if row is not None else ""
        document = [self.store.settings, self.store.recipes.get(name), self.store.engine, digest]
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

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
        if self.run is not None:
            manifest = self.run.bundle.manifest
            found |= {"bundle": self.run.bundle.path.name, "method": manifest.method}
        return found

    def __enter__(self) -> ComparedEvaluation:
        return self

    def __exit__(self, *_: object) -> None:
        if self.run is not None:
            self.run.__exit__()


def require_comparable(one: ComparedEvaluation, other: ComparedEvaluation, request: Request) -> None:
    """Two evaluations of the same classes where maps meet masks at one size. Raises ClipspectError."""
    for key in _SAME:
        mine, theirs, asked = one.store.settings.get(key), other.store.settings.get(key), getattr(request, key)
        if mine != theirs:
            raise ClipspectError(f"{key}: {one.name} has {mine}, {other.name} {theirs}: figures cannot be compared")
        if mine != asked:
            raise ClipspectError(f"{key}: {one.name} and {other.name} have {mine}: add --{key} {mine}, found {asked}")
    for this, that in ((one, other), (other, one)):
        missing = [name for name in this.names if name not in that.names]
        if missing:
            raise ClipspectError(
                f"different data: {that.name} has no class {missing[0]!r}, which {this.name} has: evaluate it, or "
                "leave it out with --classes"
            )
    sizes = [side.store.settings.get("model_size") for side in (one, other)]
    if request.resolution == MODEL and sizes[0] != sizes[1]:
        raise ClipspectError(
            f"the models' sizes differ, {sizes[0]} and {sizes[1]}: compare pixels at one size, add --resolution 256 or "
            "--resolution original"
        )


def require_same_images(name: str, one: Answers, other: Answers) -> None:
    """Raises ClipspectError that names the first image which only one side has, or which is another file there."""
    different = f"different data: class {name!r}:"
    for mine, theirs in ((one, other), (other, one)):
        missing = set(mine.images) - set(theirs.images)
        if missing:
            raise ClipspectError(f"{different} only one of the two has {sorted(missing)[0]}")
    if one.images != other.images or (one.defective != other.defective).any():
        raise ClipspectError(f"{different} the images are labelled or ordered otherwise")
    changed = np.flatnonzero((one.files != other.files).any(axis=1))
    if changed.size:
        raise ClipspectError(f"{different} {one.images[changed[0]]} was not the same file for both: evaluate again")
    masks = [
        None if side.pixels is None else (side.pixels.regions, side.pixels.defects.sum(1)) for side in (one, other)
    ]
    if (masks[0] is None) != (masks[1] is None) or not all(
        np.array_equal(mine, theirs) for mine, theirs in zip(masks[0] or (), masks[1] or ())
    ):
        raise ClipspectError(f"{different} the masks were not the same for both: evaluate again")
