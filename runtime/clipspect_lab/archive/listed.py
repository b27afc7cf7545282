"""A source's images as a table, before any is read: what is done is taken out of it, and the rest cut into chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

CHUNK = 64  # images that a worker takes at once: what its end costs
CHUNK_OF_GROUP = 512  # of a Parquet file's row group, which is read from its begin for each chunk

LISTED = pa.schema(
    [
        ("path", pa.binary()),  # as the system or the address has it, or FILE.parquet#ROW
        ("number", pa.int64()),  # in the source
        ("size", pa.int64()),  # bytes of a remote file, where its listing says so
        ("modified_ns", pa.int64()),  # the same of its last change
        ("file", pa.string()),  # the Parquet file that holds it
        ("group", pa.int32()),  # and where there
        ("row", pa.int64()),  # in its row group
    ]
)


def listed(paths: Sequence[bytes], **columns: object) -> pa.Table:
    """A table of images in their order; columns that are not given are empty."""
    count = len(paths)
    given = {"path": paths, "number": np.arange(count), **columns}
    arrays = [
        pa.array(given[field.name], field.type) if field.name in given else pa.nulls(count, field.type)
        for field in LISTED
    ]
    return pa.Table.from_arrays(arrays, schema=LISTED)


def not_done(images: pa.Table, names: pa.Array, done: pa.ChunkedArray) -> pa.Table:
    """The images whose names, as Parquet holds them, are not among those that are done."""
    return images.filter(pc.invert(pc.is_in(names, value_set=done.combine_chunks())))


def chunks(images: pa.Table) -> Iterator[pa.Table]:
    """What a worker takes at once: consecutive images, of a Parquet source those of one row group."""
    if len(images) == 0:
        return
    in_groups = images["file"].null_count < len(images)
    most = CHUNK_OF_GROUP if in_groups else CHUNK
    starts = np.zeros(len(images), bool)
    starts[0] = True
    if in_groups:
        files, groups = (pc.rank(images[name], tiebreaker="dense").to_numpy() for name in ("file", "group"))
        starts[1:] = (np.diff(files) != 0) | (np.diff(groups) != 0)
    firsts = np.flatnonzero(starts)
    for first, end in zip(firsts, [*firsts[1:], len(images)]):
        for start in range(int(first), int(end), most):
            yield images.slice(start, min(most, int(end) - start))
