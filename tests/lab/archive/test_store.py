"""The folder of an archive: what is finished is what whole files say, one process writes, nothing is mixed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipspect.base import temporary
from clipspect.base.errors import ClipspectError
from clipspect.inspection.record import BundleRecord, EngineRecord, RecipeRecord
from clipspect_lab.archive.decided import Decided
from clipspect_lab.archive.rows import SCHEMA
from clipspect_lab.archive.store import ABOUT, SUMS, About, opened

DECIDED = Decided(
    BundleRecord("tiny.bundle", "winclip", "a" * 64),
    RecipeRecord("object", "b" * 64),
    EngineRecord("onnxruntime", "cpu", "fp32"),
    0.5,
)
ABOUT_IMAGES = About(1, "images", None, DECIDED)


def rows(*numbers: int, error: str | None = None) -> pa.Table:
    found = [
        {"name": f"images/{number}.png", "number": number, "verdict": None if error else "pass", "error": error}
        for number in numbers
    ]
    return pa.Table.from_pylist(found, SCHEMA)


def write(out: Path, *tables: pa.Table) -> None:
    with opened(out, 2) as store:
        store.read()
        store.begin(ABOUT_IMAGES)
        for table in tables:
            store.add(table)


def done(out: Path) -> list[str]:
    with opened(out, 2) as store:
        store.read()
        return sorted(store.done.to_pylist())


def test_what_was_added_is_done_in_files_of_the_size_asked_for_and_is_counted(tmp_path: Path) -> None:
    write(tmp_path, rows(1, 0), rows(2, error="cut short"))
    write(tmp_path, rows(3))
    assert [len(pq.read_table(path)) for path in sorted((tmp_path / "records").iterdir())] == [2, 1, 1]
    assert pq.read_table(tmp_path / "records" / "000001.parquet")["number"].to_pylist() == [0, 1], "in their order"
    assert done(tmp_path) == [f"images/{number}.png" for number in range(4)]
    with opened(tmp_path, 2) as store:
        assert store.read() == []
        assert (store.tally.images, store.tally.errors, store.tally.verdicts) == (4, 1, {"pass": 3})


def test_the_sums_are_those_of_sha256sum(tmp_path: Path) -> None:
    write(tmp_path, rows(0, 1), rows(2))
    checked = subprocess.run(["sha256sum", "--check", SUMS], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert checked.stdout == "records/000001.parquet: OK\nrecords/000002.parquet: OK\n"


def test_what_a_killed_process_left_behind_counts_only_where_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, rows(0, 1), rows(2, 3))
    monkeypatch.setattr(temporary, "_cleared", set())  # as in another process
    (tmp_path / "records" / f"{temporary.PREFIX}x1y2").write_bytes(b"PAR1")
    sums = tmp_path / SUMS
    sums.write_text(sums.read_text()[:-20])  # it was ended while it noted the second file
    assert done(tmp_path) == [f"images/{number}.png" for number in range(4)]
    assert len(list((tmp_path / "records").iterdir())) == 2
    assert sums.read_text().count("\n") == 2


def test_what_others_put_beside_the_records_stays(tmp_path: Path) -> None:
    write(tmp_path, rows(0, 1))
    (tmp_path / "records" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "records" / ".DS_Store").touch()
    (tmp_path / "records" / "notes.txt").touch()
    assert done(tmp_path) == ["images/0.png", "images/1.png"]
    assert len(list((tmp_path / "records").iterdir())) == 4


def test_what_was_finished_is_written_also_when_the_work_ends_with_an_error(tmp_path: Path) -> None:
    def fail() -> None:
        with opened(tmp_path, 100) as store:
            store.read()
            store.begin(ABOUT_IMAGES)
            store.add(rows(0, 1))
            raise ClipspectError("the engine broke")

    with pytest.raises(ClipspectError, match="the engine broke"):
        fail()
    assert done(tmp_path) == ["images/0.png", "images/1.png"]


def test_a_file_that_is_gone_is_told_and_its_images_are_not_done(tmp_path: Path) -> None:
    write(tmp_path, rows(0, 1), rows(2, 3))
    (tmp_path / "records" / "000001.parquet").unlink()
    with opened(tmp_path, 2) as store:
        assert store.read() == ["records/000001.parquet"]
        assert store.done.to_pylist() == ["images/2.png", "images/3.png"]


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    write(tmp_path, rows(0, 1))
    pq.write_table(rows(0, 7), tmp_path / "records" / "000001.parquet")
    with pytest.raises(ClipspectError, match=r"000001\.parquet: is not the file that was written"):
        done(tmp_path)


def test_an_image_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path, rows(0, 1))
    pq.write_table(rows(1), tmp_path / "records" / "000002.parquet")
    with pytest.raises(ClipspectError, match="has an image twice"):
        done(tmp_path)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(ABOUT_IMAGES, source="others"), "its source is images, here it is others"),
        (replace(ABOUT_IMAGES, column="photo"), "its source is images, here it is images, column photo"),
        (
            replace(ABOUT_IMAGES, decided=replace(DECIDED, bundle=BundleRecord("tiny.bundle", "winclip", "c" * 64))),
            "its bundle is winclip aaaaaaaaaaaa, here it is winclip cccccccccccc",
        ),
        (
            replace(ABOUT_IMAGES, decided=replace(DECIDED, recipe=RecipeRecord("object", "c" * 64))),
            "its recipe is object bbbbbbbbbbbb, here it is object cccccccccccc",
        ),
        (
            replace(ABOUT_IMAGES, decided=replace(DECIDED, engine=EngineRecord("onnxruntime", "cpu", "int8"))),
            "its engine is onnxruntime cpu fp32, here it is onnxruntime cpu int8",
        ),
        (replace(ABOUT_IMAGES, decided=replace(DECIDED, map_limit=0.25)), "its map limit is 0.5, here it is 0.25"),
    ],
    ids=["source", "column", "bundle", "recipe", "precision", "map limit"],
)
def test_records_that_something_else_decided_are_not_mixed_in(tmp_path: Path, other: About, said: str) -> None:
    write(tmp_path, rows(0))
    before = (tmp_path / ABOUT).read_bytes()
    with opened(tmp_path, 2) as store:
        store.read()
        with pytest.raises(ClipspectError) as caught:
            store.begin(other)
    assert said in str(caught.value)
    assert (tmp_path / ABOUT).read_bytes() == before


def test_a_renamed_bundle_is_the_same_bundle(tmp_path: Path) -> None:
    write(tmp_path, rows(0))
    renamed = replace(DECIDED, bundle=BundleRecord("moved.bundle", "winclip", "a" * 64))
    with opened(tmp_path, 2) as store:
        store.read()
        store.begin(replace(ABOUT_IMAGES, decided=renamed))


def test_records_without_what_decided_them_are_refused(tmp_path: Path) -> None:
    write(tmp_path, rows(0))
    (tmp_path / ABOUT).unlink()
    with opened(tmp_path, 2) as store:
        store.read()
        with pytest.raises(ClipspectError, match=r"has records and no archive\.json"):
            store.begin(ABOUT_IMAGES)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    code = "import pathlib, sys; from clipspect_lab.archive import store; "
    code += "store.opened(pathlib.Path(sys.argv[1]), 2).__enter__()"
    second = [sys.executable, "-c", code, str(tmp_path)]
    with opened(tmp_path, 2):
        refused = subprocess.run(second, capture_output=True, text=True, check=False)
    assert "writes there: wait for its end, or choose another --out" in refused.stderr
    subprocess.run(second, check=True)
