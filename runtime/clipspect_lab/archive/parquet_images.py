"""Images whose bytes lie in a column of Parquet files: read a few rows at a time, where they are inspected."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from clipspect.base.errors import ImageError, ImageReadError
from clipspect.base.plug_ins import described
from clipspect.frame.item import Item
from clipspect.frame.raster_file import EncodedImage
from clipspect_lab.archive.images import require_there
from clipspect_lab.archive.remote import is_remote, opened_remote

_AT_ONCE = 16_000_000  # bytes of images that are read from a file at once, beside one that is larger
_MOST_ROWS = 64


@dataclass(frozen=True)
class ParquetImages:
    """Rows of Parquet files, named FILE.parquet#ROW."""

    source: str
    column: str

    def items(self, images: pa.Table) -> Iterator[Item]:
        """Those of one row group, in their order."""
        rows = images.select(["path", "number", "row"]).to_pylist()
        name, group = images["file"][0].as_py(), images["group"][0].as_py()
        waiting = {row["row"]: row for row in rows}
        try:
            for place, content in self._contents(name, group):
                if (row := waiting.pop(place, None)) is not None:
                    yield self._item(row, content)
                if not waiting:
                    return
            reason = "the file has fewer rows than when it was listed"
        except Exception as fault:  # each file system has errors of its own
            reason = described(fault)
        for row in waiting.values():
            error = ImageReadError(
                f"{os.fsdecode(row['path'])}: cannot be read now ({reason}): check the file, the share"
            )
            yield Item(self.source, row["number"], None, error)

    def require_there(self) -> None:
        require_there(self.source)

    def _item(self, row: dict[str, Any], content: bytes | None) -> Item:
        name = os.fsdecode(row["path"])
        if content is None:
            return Item(
                self.source, row["number"], None, ImageError(f"{name}: the column {self.column!r} is empty here")
            )
        return Item(self.source, row["number"], None, EncodedImage(name, content))

    def _contents(self, name: str, group: int) -> Iterator[tuple[int, bytes | None]]:
        """The rows of a row group and their images' bytes."""
        with opened_remote(name) if is_remote(name) else open(name, "rb") as file:
            parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
            described_group = parquet.metadata.row_group(group)
            size = sum(
                described_group.column(index).total_uncompressed_size
                for index in range(described_group.num_columns)
                if f"{described_group.column(index).path_in_schema}.".startswith(f"{self.column}.")
            )
            count = max(1, min(_MOST_ROWS, _AT_ONCE * described_group.num_rows // max(size, 1)))
            place = 0
            for batch in parquet.iter_batches(count, row_groups=[group], columns=[self.column]):
                for value in batch.column(0):
                    found = value.as_py()
                    yield place, found.get("bytes") if isinstance(found, dict) else found
                    place += 1
