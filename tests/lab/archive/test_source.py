"""What a source is, the column that has its images, and how its images are cut into chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipspect.base.errors import ClipspectError
from clipspect_lab.archive.images import Images
from clipspect_lab.archive.listed import CHUNK, CHUNK_OF_GROUP, chunks, listed, not_done
from clipspect_lab.archive.parquet_images import ParquetImages
from clipspect_lab.archive.source import open_source
from support import archived

PNG = b"\x89PNG\r\n\x1a\n"


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 1300)), max_size=5))
def test_chunks_are_all_images_in_order_each_of_one_row_group_and_not_too_large(runs: list[tuple[int, ...]]) -> None:
    files = [f"{file}.parquet" for file, _, count in runs for _ in range(count)]
    groups = [group for _, group, count in runs for _ in range(count)]
    images = listed([b"%d" % number for number in range(len(files))], file=files, group=groups)
    cut = list(chunks(images))
    assert [number for chunk in cut for number in chunk["number"].to_pylist()] == list(range(len(files)))
    for chunk in cut:
        assert len(set(zip(chunk["file"].to_pylist(), chunk["group"].to_pylist()))) == 1
        assert 1 <= len(chunk) <= CHUNK_OF_GROUP


@given(st.integers(0, 5 * CHUNK), st.sets(st.integers(0, 5 * CHUNK)))
def test_what_is_not_done_is_what_is_listed_without_what_is_done(count: int, done: set[int]) -> None:
    images = listed([b"%d" % number for number in range(count)])
    names = pa.array([str(number) for number in range(count)], pa.string())
    left = not_done(images, names, pa.chunked_array([pa.array([str(number) for number in done], pa.string())]))
    assert left["number"].to_pylist() == [number for number in range(count) if number not in done]
    assert all(len(chunk) <= CHUNK for chunk in chunks(left))


def test_a_folder_is_its_images_but_for_those_in_the_output(tmp_path: Path) -> None:
    archived.write_images(tmp_path, 12)
    archived.write_images(tmp_path / "out" / "overlays", 2)
    source, images = open_source(str(tmp_path), None, tmp_path / "out")
    assert isinstance(source, Images)
    assert [Path(path.decode()).name for path in images["path"].to_pylist()] == [f"part{n}.png" for n in range(12)]


def test_a_folder_of_parquet_is_its_rows_and_one_of_both_is_its_images_unless_a_column_is_named(tmp_path: Path) -> None:
    for name in ("a10", "a9"):
        pq.write_table(pa.table({"image": [PNG, PNG]}), tmp_path / f"{name}.parquet")
    source, images = open_source(str(tmp_path), None, tmp_path / "out")
    assert isinstance(source, ParquetImages)
    assert [Path(path.decode()).name for path in images["path"].to_pylist()] == [
        "a9.parquet#0", "a9.parquet#1", "a10.parquet#0", "a10.parquet#1",
    ]  # fmt: skip
    assert images["number"].to_pylist() == [0, 1, 2, 3]
    archived.write_images(tmp_path, 1)
    assert isinstance(open_source(str(tmp_path), None, tmp_path / "out")[0], Images)
    assert isinstance(open_source(str(tmp_path), "image", tmp_path / "out")[0], ParquetImages)
    assert isinstance(open_source(f"{tmp_path}/*.parquet", None, tmp_path / "out")[0], ParquetImages)


def test_addresses_are_a_file_a_prefix_or_a_glob_also_of_names_with_such_characters() -> None:
    store = fsspec.filesystem("memory")
    for name in ("line/a.png", "line/b[1].png", "line/deep/c.png"):
        store.pipe(f"/archive-source/{name}", PNG)

    def names(source: str) -> list[str]:
        found, images = open_source(f"memory://archive-source/{source}", None, Path("out"))
        found.require_there()
        return [path.decode().rpartition("/")[2] for path in images["path"].to_pylist()]

    assert names("line") == ["a.png", "b[1].png", "c.png"]
    assert names("line/*.png") == ["a.png", "b[1].png"]
    assert names("**/*.png") == ["a.png", "b[1].png", "c.png"]
    assert names("line/b[1].png") == ["b[1].png"]
    with pytest.raises(ClipspectError, match="nothing is there"):
        names("other/*.png")


@pytest.mark.parametrize(
    ("columns", "asked", "taken"),
    [
        ({"thumb": [PNG], "image": [PNG], "path": ["a"]}, None, "image"),
        ({"payload": [PNG], "path": ["a"]}, None, "payload"),
        ({"label": ["x"], "path": ["a"]}, None, None),
        ({"thumb": [PNG], "image": [PNG]}, "thumb", "thumb"),
        ({"image": [{"bytes": PNG, "path": "a"}]}, None, "image"),
        ({"score": [1.0], "where": ["a.png"]}, None, None),
    ],
)
def test_the_likeliest_column_is_taken(tmp_path: Path, columns: dict[str, Any], asked: str | None, taken: Any) -> None:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    source, _ = open_source(str(tmp_path / "a.parquet"), asked, tmp_path / "out")
    assert (source.column if isinstance(source, ParquetImages) else None) == taken


@pytest.mark.parametrize(
    ("columns", "asked", "said"),
    [
        ({"left": [PNG], "right": [PNG]}, None, "which column has the images? Say it with --column"),
        ({"score": [1.0]}, None, "there are: none"),
        ({"image": [PNG]}, "score", "no column 'score' of bytes or paths; there are: image"),
        ({"path": ["a", None]}, None, "column 'path' has a row without a path"),
    ],
)  # fmt: skip
def test_a_column_that_cannot_be_told_is_asked_for(tmp_path: Path, columns: Any, asked: str | None, said: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(ClipspectError) as caught:
        open_source(str(tmp_path / "a.parquet"), asked, tmp_path / "out")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: None, "no such file or folder"),
        (lambda path: path.mkdir(), "no images here"),
        (lambda path: path.write_bytes(b"PAR1 and no more"), "cannot be read as Parquet"),
    ],
    ids=["nothing", "empty", "damaged"],
)
def test_a_source_that_is_none_is_one_clear_error(tmp_path: Path, write: Any, said: str) -> None:
    write(tmp_path / "a.parquet")
    with pytest.raises(ClipspectError) as caught:
        open_source(str(tmp_path / "a.parquet"), None, tmp_path / "out")
    assert said in str(caught.value)


def test_an_image_that_is_much_larger_than_others_is_read_alone_from_parquet(tmp_path: Path) -> None:
    contents = [bytes(np.full(size, 65, np.uint8)) for size in (10, 20_000_000, 10)]
    pq.write_table(pa.table({"image": contents}), tmp_path / "a.parquet", compression="none")
    source, images = open_source(str(tmp_path / "a.parquet"), None, tmp_path / "out")
    found = [item.frame.content for item in source.items(images)]  # type: ignore[union-attr]
    assert found == contents
