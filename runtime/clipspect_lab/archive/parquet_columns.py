"""The column of a Parquet source that has the images: their bytes, or their paths."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipspect.base.errors import ClipspectError
from clipspect_lab.archive.listed import listed
from clipspect_lab.archive.remote import is_remote

BYTES, PATHS = "bytes", "paths"
_USUAL = ("image", "img", "picture", "photo", "bytes", "content", "data")  # names of columns, the likeliest first
_USUAL_PATHS = ("path", "file", "filename", "file_name", "image", "image_path", "url", "uri", "name")

Open = Callable[[str], Any]


def column_of(file: Any, name: str, asked: str | None) -> tuple[str, str]:
    """The column, and BYTES or PATHS: the one that was asked for, else the likeliest. Raises ClipspectError.

    A column of structs with a member `bytes`, as the data sets of Hugging Face have it, is one of bytes.
    """
    with _parquet(file, name) as parquet:
        kinds = {field.name: _kind(field.type) for field in parquet.schema_arrow}
    there_are = ", ".join(sorted(column for column, kind in kinds.items() if kind is not None)) or "none"
    if asked is not None:
        kind = kinds.get(asked)
        if kind is None:
            raise ClipspectError(f"{name}: no column {asked!r} of bytes or paths; there are: {there_are}")
        return asked, kind
    for kind, usual in ((BYTES, _USUAL), (PATHS, _USUAL_PATHS)):
        columns = [column for column in kinds if kinds[column] == kind]
        likely = [column for column in usual if column in columns]
        if likely or len(columns) == 1:
            return (likely or columns)[0], kind
        if columns:
            break
    raise ClipspectError(f"{name}: which column has the images? Say it with --column; there are: {there_are}")


def listed_in_column(opened: Open, name: str, column: str) -> list[bytes]:
    """The paths in a file's column; relative ones are so to the file's folder. Raises ClipspectError."""
    folder = name.rpartition("/")[0]
    paths = []
    with opened(name) as file, _parquet(file, name) as parquet:
        _require_kind(parquet, name, column, PATHS)
        for batch in parquet.iter_batches(columns=[column]):
            for value in batch.column(0).to_pylist():
                if not value:
                    raise ClipspectError(f"{name}: column {column!r} has a row without a path: take such rows out")
                paths.append(value if is_remote(value) else os.path.join(folder, value) if folder else value)
    return [os.fsencode(path) for path in paths]


def rows_of(opened: Open, name: str, column: str) -> pa.Table:
    """A file's rows, each an image. Raises ClipspectError."""
    with opened(name) as file, _parquet(file, name) as parquet:
        _require_kind(parquet, name, column, BYTES)
        counts = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
    total = sum(counts)
    paths = pc.binary_join_element_wise(pa.scalar(name), pc.cast(pa.array(np.arange(total)), pa.string()), "#")
    return listed(
        paths.cast(pa.binary()),
        file=pa.array([name] * total, pa.string()),
        group=np.repeat(np.arange(len(counts), dtype=np.int32), counts),
        row=np.concatenate([np.arange(count) for count in counts] or [np.zeros(0, np.int64)]),
    )


@contextmanager
def _parquet(file: Any, name: str) -> Iterator[pq.ParquetFile]:
    try:
        yield pq.ParquetFile(file, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise ClipspectError(f"{name}: cannot be read as Parquet ({error}): write it again") from error


def _require_kind(parquet: pq.ParquetFile, name: str, column: str, kind: str) -> None:
    """All files of a source are alike."""
    schema = parquet.schema_arrow
    if column not in schema.names or _kind(schema.field(column).type) != kind:
        raise ClipspectError(
            f"{name}: has no column {column!r} of {kind}, as the first file has: give files of one kind"
        )


def _kind(type: pa.DataType) -> str | None:
    if pa.types.is_dictionary(type):
        return _kind(type.value_type)
    if pa.types.is_struct(type):
        members = {field.name: field.type for field in type}
        return _kind(members["bytes"]) if "bytes" in members else None
    if pa.types.is_binary(type) or pa.types.is_large_binary(type):
        return BYTES
    return PATHS if pa.types.is_string(type) or pa.types.is_large_string(type) else None
