"""The picture of a record: where it lies now, and whether it is the one that was inspected."""

from __future__ import annotations

from pathlib import Path

from clipspect.base.errors import ClipspectError, ImageError
from clipspect.frame.decode import decode
from clipspect.inspection.record import Record
from clipspect.sinks.sorting import SORTED
from clipspect.sources.part import Part


def picture_of(record: Record, results: Path, given: Path | None = None) -> Path:
    """The absolute path of the record's frame, which is `given` where it lies elsewhere now.

    Raises ClipspectError: it is not there, cannot be read, or is not what was inspected.
    """
    places = [given] if given is not None else _places(record, results)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        looked = ", ".join(map(str, dict.fromkeys(places)))
        raise ClipspectError(
            f"{record.id}: the picture of this record is not there ({looked}): give it with --picture FILE"
        )
    _require_same(record, found)
    return found.resolve()


def _places(record: Record, results: Path) -> list[Path]:
    """Where it may lie: where it was read, or where it was sorted to."""
    item = record.item
    here = [Path(item.source) / item.file.name] if item.file is not None else [Path(item.name)]
    if (moved := record.files.get(SORTED)) is not None:
        here.append(results.parent / moved)
    return here


def _require_same(record: Record, path: Path) -> None:
    item = record.item
    if item.file is not None:
        now = Part.at(path.parent, path.name)
        if now is None or (now.size, now.mtime_ns) != (item.file.size, item.file.mtime_ns):
            raise ClipspectError(f"{path}: was changed since it was inspected: the answer would be of another picture")
    try:
        size = decode(path).size
    except ImageError as error:
        raise ClipspectError(f"{error}: the picture of {record.id} cannot be read any more") from error
    if size != (item.width, item.height):
        raise ClipspectError(
            f"{path}: is {size[0]} x {size[1]}, the frame of {record.id} was {item.width} x {item.height}: it is "
            "another picture"
        )
