"""What a worker makes of images, however they come: the records of `clipspect run`. Without Ray, in this process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipspect.frame.item import Item
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from clipspect_lab.archive.decided import Decided
from clipspect_lab.archive.rows import SCHEMA, written_name
from clipspect_lab.archive.source import Source, open_source
from clipspect_lab.archive.tries import TRIES, Tries
from clipspect_lab.archive.worker import STOP
from support import archived, handmade

RECIPE = Path("tiny.bundle/recipes/object.safetensors")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a bundle whose recipe has limits, images, one of them damaged, and one whose name is no UTF-8."""
    monkeypatch.chdir(tmp_path)
    handmade.write_bundle(tmp_path / "tiny.bundle")
    write_recipe(RECIPE, handmade.make_recipe("object", limits=Limits(0.5, 0.8, 0.4)))
    paths = archived.write_images(tmp_path / "images", 9)
    paths[4].write_bytes(paths[4].read_bytes()[:50])
    paths[8].rename(os.fsdecode(b"images/part\xff.png"))
    return tmp_path


def test_the_records_of_a_folder_are_those_of_run_but_for_time_and_ids(place: Path) -> None:
    found = archived.inspected(Path("tiny.bundle"), "images")
    assert archived.records_of(found) == archived.records_of_run(Path("tiny.bundle"), "images", Path("run.jsonl"))
    assert found[STOP].null_count == len(found) == 9


def test_flat_columns_say_what_the_record_says(place: Path) -> None:
    found = archived.inspected(Path("tiny.bundle"), "images").drop_columns([STOP])
    assert found.schema == SCHEMA
    for row, record in zip(found.sort_by("number").to_pylist(), archived.records_of(found)):
        assert row["error"] == record["error"]
        for name in ("score", "verdict", "peak", "map_limit"):
            assert row[name] == record[name]
        if record["error"] is None:
            assert row["name"] == written_name(record["item"]["name"])
            assert (row["regions"], row["width"]) == (len(record["regions"]), record["item"]["width"])
            assert (row["review"], row["reject"]) == (0.5, 0.8)
    assert found["error"].null_count == 8
    assert set(found["verdict"].to_pylist()) >= {"pass", "fail", None}


@pytest.mark.parametrize("kind", ["bytes", "struct", "dictionary"])
def test_bytes_in_a_column_of_parquet_give_what_the_files_give(place: Path, kind: str) -> None:
    paths = sorted((place / "images").iterdir())
    contents: list[Any] = [path.read_bytes() for path in paths]
    column = {
        "bytes": lambda: pa.array(contents),
        "struct": lambda: pa.array([{"bytes": content, "path": "x"} for content in contents]),
        "dictionary": lambda: pa.array(contents).dictionary_encode(),
    }[kind]()
    pq.write_table(pa.table({"image": column, "label": range(9)}), "parts.parquet", row_group_size=4)
    found = archived.inspected(Path("tiny.bundle"), "parts.parquet").sort_by("number")
    files = archived.inspected(Path("tiny.bundle"), "images")
    by_name = dict(zip(files["name"].to_pylist(), zip(files["score"].to_pylist(), files["verdict"].to_pylist())))
    names = [written_name(str(path.relative_to(place))) for path in paths]
    assert list(zip(found["score"].to_pylist(), found["verdict"].to_pylist())) == [by_name[name] for name in names]
    assert found["name"].to_pylist() == [f"parts.parquet#{row}" for row in range(9)]
    damaged = names.index("images/part4.png")
    assert found["error"][damaged].as_py().startswith(f"parts.parquet#{damaged}: damaged or cut short")


def test_paths_in_a_column_of_parquet_are_relative_to_its_file(place: Path) -> None:
    Path("lists").mkdir()
    shutil.move("images", "lists/images")
    pq.write_table(pa.table({"path": [f"images/part{number}.png" for number in (3, 1, 3)]}), "lists/some.parquet")
    found = archived.inspected(Path("tiny.bundle"), "lists/some.parquet").sort_by("number")
    assert found["name"].to_pylist() == ["lists/images/part3.png", "lists/images/part1.png"]
    assert found["error"].null_count == 2


def test_an_empty_place_in_the_column_is_one_images_error(place: Path) -> None:
    content = (place / "images" / "part0.png").read_bytes()
    pq.write_table(pa.table({"image": [content, None, b"", b"text"]}), "parts.parquet")
    found = archived.inspected(Path("tiny.bundle"), "parts.parquet").sort_by("number")
    assert [error and error.split(":")[1].strip() for error in found["error"].to_pylist()] == [
        None,
        "the column 'image' is empty here",
        "the file is empty",
        "not an image of a raster format",
    ]


def test_an_image_that_ends_processes_is_an_error_after_some_tries_and_the_others_of_its_chunk_are_not(
    place: Path,
) -> None:
    tries = Tries()
    tries.begin_chunk(0)
    for _ in range(TRIES - 1):
        tries.begin_image(2)
    found = archived.inspected(Path("tiny.bundle"), "images", tries=tries).sort_by("number")
    assert found["error"][2].as_py().startswith(f"images/part2.png: {TRIES} processes ended while they inspected it")
    expected = archived.records_of_run(Path("tiny.bundle"), "images", Path("run.jsonl"))
    assert [record for record in archived.records_of(found) if record["item"]["number"] != 2] == [
        record for record in expected if record["item"]["number"] != 2
    ]
    assert tries.begin_image(3) == 0, "what was inspected is not counted against an image"
    again = archived.inspected(Path("tiny.bundle"), "images", tries=tries).sort_by("number")
    assert again["error"][2].as_py(), "it is not tried anew where another image ends the process of its chunk"


class Counting:
    """A source, and the most of its images that were in memory at once."""

    def __init__(self, source: Source) -> None:
        self.source, self._own, self.most = source.source, source, 0

    def items(self, images: pa.Table) -> Iterator[Item]:
        held: list[weakref.ref[Any]] = []
        for item in self._own.items(images):
            held.append(weakref.ref(item.frame))
            self.most = max(self.most, sum(ref() is not None for ref in held))
            yield item

    def require_there(self) -> None:
        self._own.require_there()


def test_images_are_let_go_when_they_are_inspected(place: Path) -> None:
    content = (place / "images" / "part0.png").read_bytes()
    pq.write_table(pa.table({"image": [content] * 100}), "parts.parquet")
    source, images = open_source("parts.parquet", None, place / "out")
    counting = Counting(source)
    (chunk,) = archived.numbered_chunks(images)
    found = archived.begun(Path("tiny.bundle"), counting, Tries())(chunk)
    assert len(found) - found["score"].null_count == 100
    assert 0 < counting.most < 20


@pytest.mark.parametrize(
    "source", ["parts.parquet", "*.parquet", "memory://archive-gone", "memory://archive-gone/*.p*"]
)
def test_parquet_that_is_gone_stops_the_worker_and_makes_no_errors_of_its_images(
    place: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipspect_lab.archive.worker._PAUSE_S", 0.0)
    store = fsspec.filesystem("memory")
    pq.write_table(pa.table({"image": [(place / "images" / "part0.png").read_bytes()]}), "parts.parquet")
    store.pipe("/archive-gone/parts.parquet", Path("parts.parquet").read_bytes())
    opened, images = open_source(source, None, place / "out")
    opened.require_there()
    (chunk,) = archived.numbered_chunks(images)
    worker = archived.begun(Path("tiny.bundle"), opened, Tries())
    assert worker(chunk)["score"].null_count == 0
    Path("parts.parquet").unlink()
    store.rm("/archive-gone", recursive=True)
    assert f"{source}: a worker cannot see it" in worker(chunk)[STOP][0].as_py()


HANGING = """
import sys, time
from pathlib import Path
from clipspect_lab.archive import worker
from clipspect_lab.archive.source import open_source
from clipspect_lab.archive.tries import Tries
from support import archived

sys.addaudithook(lambda event, words: time.sleep(1e6) if event == "open" and "part5" in str(words[0]) else None)
worker._LONGEST_S = float(sys.argv[1])
source, images = open_source("images", None, Path("out"))
found = archived.begun(Path("tiny.bundle"), source, Tries())(next(archived.numbered_chunks(images)))
"""


def test_a_process_that_hangs_in_an_image_ends_and_says_where(place: Path) -> None:
    support = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(support)}
    command = [sys.executable, "-c", HANGING, "2"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 1
    assert "Timeout (0:00:02)!" in ended.stderr
    assert "frame/raster_file.py" in ended.stderr


def test_a_share_that_is_gone_stops_the_worker_and_makes_no_errors_of_its_images(place: Path) -> None:
    source, images = open_source("images", None, place / "out")
    worker = archived.begun(Path("tiny.bundle"), source, Tries())
    shutil.rmtree("images")
    Path("images").mkdir()
    stopped = worker(next(archived.numbered_chunks(images)))
    assert "images: a worker cannot see it" in stopped[STOP][0].as_py()


def test_a_worker_with_another_recipe_says_so_instead_of_records(place: Path) -> None:
    source, images = open_source("images", None, place / "out")
    with archived.task_of(Path("tiny.bundle")).load() as inspector:
        decided = Decided.by(inspector)
    write_recipe(RECIPE, handmade.make_recipe("object", limits=Limits(0.1, 0.2)))
    worker = archived.begun(Path("tiny.bundle"), source, Tries(), decided)
    assert "its recipe is object" in worker(next(archived.numbered_chunks(images)))[STOP][0].as_py()


def test_an_engine_that_ends_its_processes_while_it_loads_is_not_loaded_for_ever(place: Path) -> None:
    source, images = open_source("images", None, place / "out")
    tries = Tries()
    for _ in range(3):
        tries.begin_load()
    worker = archived.begun(Path("tiny.bundle"), source, tries)
    assert (
        "ended 3 times while its engine was loaded" in worker(next(archived.numbered_chunks(images)))[STOP][0].as_py()
    )
