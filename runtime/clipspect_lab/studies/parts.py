"""The parts of a study: a folder of photographs for each, and what an expert says of it."""

from __future__ import annotations

import csv
import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipspect.base.errors import DatasetError
from clipspect.frame.image_files import images_in, natural_key

Label = Literal["good", "defect"]
GOOD: Label = "good"
DEFECT: Label = "defect"
_LABELS: dict[str, Label] = {GOOD: GOOD, DEFECT: DEFECT}
_LAYOUT = "expected FOLDER/PART/photographs, or FOLDER/good/PART/ and FOLDER/defect/PART/"


@dataclass(frozen=True)
class StudyPart:
    """One part: its photographs, in natural order, and what an expert says of it."""

    name: str  # its folder below the study's
    label: Label | None
    photographs: tuple[Path, ...]


def find_parts(folder: Path, labels: Path | None = None, skip: Path | None = None) -> list[StudyPart]:
    """The parts in a folder, in natural order; `labels` is a CSV file with the columns part and label.

    The folder `skip` is no part. Raises DatasetError: another layout, a part without photographs, labels that do not
    fit.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder: {_LAYOUT}")
    groups = _folders(folder, skip)
    labelled = [group for group in groups if group.name in _LABELS]
    if labelled and len(labelled) < len(groups):
        other = next(group for group in groups if group.name not in _LABELS)
        raise DatasetError(f"{folder}: {other.name}/ lies beside {labelled[0].name}/: {_LAYOUT}")
    if labelled and labels is not None:
        raise DatasetError(f"{folder}: the folders good/ and defect/ are labels, and so is {labels}: give one of both")
    if labelled:
        parts = [_part(folder, path, _LABELS[group.name]) for group in groups for path in _folders(group, skip)]
    else:
        parts = [_part(folder, path, None) for path in groups]
    if not parts:
        raise DatasetError(f"{folder}: there are no parts: {_LAYOUT}")
    return parts if labels is None else _with_labels(parts, labels)


def _folders(folder: Path, skip: Path | None) -> list[Path]:
    """Those in a folder; photographs beside them belong to no part. Raises DatasetError."""
    if stray := images_in(folder):
        raise DatasetError(f"{stray[0]}: belongs to no part: {_LAYOUT}")
    skipped = skip.resolve() if skip is not None else None
    found = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted((path for path in found if path.resolve() != skipped), key=natural_key)


def _part(folder: Path, path: Path, label: Label | None) -> StudyPart:
    name, photographs = path.relative_to(folder).as_posix(), tuple(images_in(path))
    if not photographs:
        raise DatasetError(f"{path}: no photographs here: {_LAYOUT}")
    return StudyPart(name, label, photographs)


def _with_labels(parts: list[StudyPart], path: Path) -> list[StudyPart]:
    labels = read_labels(path)
    if unknown := sorted(labels.keys() - {part.name for part in parts}, key=natural_key):
        raise DatasetError(
            f"{path}: there is no part {unknown[0]!r} in the study's folder: its folders' names are meant"
        )
    return [dataclasses.replace(part, label=labels.get(part.name)) for part in parts]


def read_labels(path: Path) -> dict[str, Label]:
    """What an expert says, part by part. Raises DatasetError."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: cannot be read as CSV ({error}): expected the columns part,label") from error
    cells = [[cell.strip() for cell in row] for row in rows]
    if not cells or cells[0] != ["part", "label"]:
        found = ",".join(cells[0]) if cells else "nothing"
        raise DatasetError(f"{path}: expected the first line part,label, found {found}")
    for row in cells[1:]:
        if len(row) != 2 or row[1] not in _LABELS:
            raise DatasetError(f"{path}: expected a part and good or defect, found {','.join(row)}")
    repeated = [name for name, times in Counter(row[0] for row in cells[1:]).items() if times > 1]
    if repeated:
        raise DatasetError(f"{path}: part {repeated[0]!r} has several labels: give it one")
    return {name: _LABELS[label] for name, label in cells[1:]}
