"""SOURCE of an archive: a folder, a glob, a prefix of an object store, or Parquet; listed once, by the driver."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyarrow as pa

from clipspect.base.errors import ClipspectError, ImageError
from clipspect.frame.image_files import IMAGE_SUFFIXES, natural_key
from clipspect.frame.item import Item
from clipspect.sources.files import find_images
from clipspect_lab.archive.images import Images
from clipspect_lab.archive.listed import listed
from clipspect_lab.archive.parquet_columns import BYTES, column_of, listed_in_column, rows_of
from clipspect_lab.archive.parquet_images import ParquetImages
from clipspect_lab.archive.remote import is_remote, listed_remote, opened_remote

_PARQUET = ".parquet"


class Source(Protocol):
    """Where workers read images: it travels to them."""

    @property
    def source(self) -> str: ...  # as a person gave it

    def items(self, images: pa.Table) -> Iterator[Item]:
        """The images that were listed, in their order; one that cannot be had has an ImageError as its frame."""
        ...

    def require_there(self) -> None:
        """Raises ClipspectError where this machine does not see the source at all."""
        ...


def open_source(source: str, column: str | None, skip: Path) -> tuple[Source, pa.Table]:
    """The source, and its images as `LISTED`. What lies in the folder `skip` does not count. Raises ClipspectError.

    Where there are images and Parquet files, the images count, unless a column is named.
    """
    images, files = _remote_files(source) if is_remote(source) else _local_files(source, skip)
    if files and (column is not None or images is None):
        return _of_parquet(source, files, column)
    if column is not None:
        raise ClipspectError(f"{source}: --column {column} is of a Parquet file, and there is none here")
    if images is None:
        raise ImageError(
            f"{source}: no images here and no Parquet files; these count: {' '.join(sorted(IMAGE_SUFFIXES))} {_PARQUET}"
        )
    return Images(source), images


def _local_files(source: str, skip: Path) -> tuple[pa.Table | None, list[str]]:
    """The images, if any, and the Parquet files."""
    path, files = Path(source), list[str]()
    if path.is_dir():
        outside = skip.resolve()
        files = [os.fspath(file) for file in path.rglob(f"*{_PARQUET}") if not file.resolve().is_relative_to(outside)]
    try:
        found = find_images([source], skip)
    except ImageError:
        if not files:
            raise
        found = []
    files += [os.fspath(image) for image in found if image.suffix == _PARQUET]  # of a glob, or the one that was named
    paths = [os.fsencode(image) for image in found if image.suffix != _PARQUET]
    return listed(paths) if paths else None, sorted(files, key=natural_key)


def _remote_files(source: str) -> tuple[pa.Table | None, list[str]]:
    system, found = listed_remote(source)
    if not found:
        raise ImageError(f"{source}: nothing is there, or no such place: check the address")
    names = sorted((name for name in found if "/." not in name), key=natural_key)
    images = [name for name in names if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES]
    files = [system.unstrip_protocol(name) for name in names if name.endswith(_PARQUET)]
    if not images:
        return None, files
    table = listed(
        [system.unstrip_protocol(name).encode() for name in images],
        size=[found[name].get("size") for name in images],
        modified_ns=[_nanoseconds(found[name]) for name in images],
    )
    return table, files


def _nanoseconds(entry: dict[str, Any]) -> int | None:
    """When a file was changed, by any of the names that systems have for it."""
    value = entry.get("LastModified", entry.get("mtime", entry.get("last_modified", entry.get("updated"))))
    if isinstance(value, datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
        return int(moment.timestamp() * 1e9)
    return int(value * 1e9) if isinstance(value, (int, float)) else None


def _opened(name: str) -> BinaryIO:
    return open(name, "rb")


def _of_parquet(source: str, files: list[str], column: str | None) -> tuple[Source, pa.Table]:
    opened: Callable[[str], Any] = opened_remote if is_remote(source) else _opened
    with opened(files[0]) as file:
        name, kind = column_of(file, files[0], column)
    if kind != BYTES:
        paths = [path for each in files for path in listed_in_column(opened, each, name)]
        return Images(source), listed(list(dict.fromkeys(paths)))
    tables = [rows_of(opened, each, name) for each in files]
    table = pa.concat_tables(tables)
    numbers = pa.array(np.arange(len(table)), pa.int64())
    return ParquetImages(source, name), table.set_column(table.schema.get_field_index("number"), "number", numbers)
