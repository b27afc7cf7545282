"""What an evaluation keeps of an image and of a class, as lines of JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from clipspect.base.document import MismatchError, from_json
from clipspect.base.errors import ClipspectError
from clipspect.base.files import atomic_file
from clipspect.inspection.result import Verdict
from clipspect.recipes.limits import Limits
from clipspect_lab.evaluation.curves import Figures
from clipspect_lab.evaluation.pixels import MeasuredPixels
from clipspect_lab.evaluation.verdicts import ClassVerdicts


@dataclass(frozen=True)
class ImageRow:
    """An inspected image. `stamp` changes with the file, and with the references that it was compared with."""

    name: str  # of its class
    image: str  # path in the data set
    stamp: str
    defect: str | None
    score: float
    width: int
    height: int
    verdict: Verdict | None  # at the limits that judged it
    limits: Limits | None  # its recipe's, unless they say nothing of the engine


@dataclass(frozen=True)
class MaskCounts:
    """What is odd about the masks of a class, at the resolution where they were compared."""

    masks: int
    lost: int  # that mark no pixel there: their defects are smaller than half a pixel
    over_half: int  # that mark more than half of the image


def count_masks(masks: Iterable[npt.NDArray[np.bool_]]) -> MaskCounts:
    """Of the masks of defective images."""
    shares = [float(mask.mean()) for mask in masks]
    return MaskCounts(len(shares), shares.count(0.0), sum(share > 0.5 for share in shares))


@dataclass(frozen=True)
class ClassRow:
    """A class's figures. `digest` changes with any file that they were made of."""

    name: str
    digest: str
    object: str
    recipe: str | None  # the bundle's that gave the words; None: made of `object`
    note: str | None
    references: tuple[str, ...]
    good: int
    defective: int
    image: Figures
    pixel: MeasuredPixels | None  # None: no masks
    verdicts: ClassVerdicts
    masks: MaskCounts | None = None


KeptRow = TypeVar("KeptRow", ImageRow, ClassRow)


def keep_row(path: Path, rows: dict[Any, KeptRow], key: Any, row: KeptRow) -> None:
    """Add a row to those that there are and to their file; one that it replaces goes."""
    replaces = key in rows
    rows[key] = row
    if replaces:
        rewrite(path, rows.values())
        return
    with path.open("a", encoding="utf-8") as file:
        file.write(_line(row))


def rewrite(path: Path, rows: Iterable[ImageRow | ClassRow]) -> None:
    """Make these the file's rows; one that has them already is left alone."""
    lines = b"".join(_line(row).encode() for row in rows)
    if path.is_file() and path.read_bytes() == lines:
        return
    with atomic_file(path) as file:
        file.write(lines)


def _line(row: ImageRow | ClassRow) -> str:
    return json.dumps(dataclasses.asdict(row)) + "\n"


def read_rows(path: Path, kind: type[KeptRow]) -> list[KeptRow]:
    """Those of a file, which need not be there. Raises ClipspectError."""
    rows: list[KeptRow] = []
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    for number, line in enumerate(lines[:-1], 1):  # what follows the last line's end was cut short
        try:
            rows.append(from_json(kind, line, "row"))
        except MismatchError as error:
            raise ClipspectError(f"{path}, line {number}: not readable ({error}): choose another --out") from error
    return rows
