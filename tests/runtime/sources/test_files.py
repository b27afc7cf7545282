"""Images, folders and globs: which files count, and in what order."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipspect.base.errors import ImageError
from clipspect.frame.image_files import natural_key
from clipspect.sources.files import find_images
from clipspect.sources.registry import files
from support.watched import WITHOUT_OVERRIDE, grey_png


def test_globs_folders_and_files_together_count_each_image_once(image_folder: Path) -> None:
    sources = [f"{image_folder}/*.png", str(image_folder), str(image_folder / "part9.png"), f"{image_folder}/m*"]
    found = [path.relative_to(image_folder).as_posix() for path in find_images(sources)]
    assert found == ["part9.png", "part10.png", "more/part9.png"]


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "part[1].png"
    path.touch()
    assert find_images([str(path)]) == [path]


def test_hidden_files_and_other_files_of_a_folder_do_not_count(tmp_path: Path) -> None:
    for name in ("a.txt", ".b.png", "c.PNG"):
        (tmp_path / name).touch()
    assert find_images([str(tmp_path)]) == [tmp_path / "c.PNG"]


def test_files_of_other_suffixes_are_counted_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.png", "sub/b.jp2", "c.JP2", "d.gif", "notes", ".hidden.gif", "out/results.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_images([str(tmp_path)], skip=tmp_path / "out") == [tmp_path / "a.png"]
    told = "4 files are no images by their suffix and are left alone: .jp2 (2), .gif (1), none (1); these count: .bmp"
    assert [told in record.getMessage() for record in caplog.records] == [True]
    (tmp_path / "a.png").unlink()
    with pytest.raises(ImageError, match=re.escape(f"no images here; {told}")):
        find_images([str(tmp_path)], skip=tmp_path / "out")


def test_a_folder_without_images_says_which_suffixes_count(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no images here; these count: \.bmp"):
        find_images([str(tmp_path)])


def test_a_subfolder_that_cannot_be_listed_is_an_error_row_and_status_1_and_the_others_are_inspected(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    for name in ("a.png", "later/b.png", "z.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(grey_png(50))
    (tmp_path / "later").chmod(0)
    command = [*WITHOUT_OVERRIDE, sys.executable, "-m", "clipspect", "run", str(tiny_bundle), str(tmp_path), "--json"]
    run = subprocess.run([*command, "--backend", "onnxruntime"], capture_output=True, text=True, check=False)
    (tmp_path / "later").chmod(0o755)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    assert [row["item"]["name"] for row in rows] == [str(tmp_path / name) for name in ("a.png", "later", "z.png")]
    assert rows[1]["error"].startswith(f"{tmp_path}/later: cannot be read now (Permission denied)")
    assert [row["score"] is None for row in rows] == [False, True, False]
    assert run.returncode == 1


def test_a_path_or_a_globs_folder_that_the_system_does_not_show_is_an_error_row_beside_the_others(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    for name in ("closed", "open"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part.png").write_bytes(grey_png(20))
    (tmp_path / "closed").chmod(0)
    command = [*WITHOUT_OVERRIDE, sys.executable, "-m", "clipspect", "run", str(tiny_bundle)]
    command += ["closed/part.png", "*/*.png", "--json", "--backend", "onnxruntime"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    (tmp_path / "closed").chmod(0o755)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["item"]["name"] for row in rows] == ["closed/part.png", "closed", "open/part.png"]
    assert ["cannot be read now (Permission denied)" in (row["error"] or "") for row in rows] == [True, True, False]
    assert done.returncode == 1


@given(st.permutations(["a", "a1", "A2", "a10", "a10b2", "a10b11", "b", "²"]))
def test_names_are_in_natural_order_however_they_came(names: list[str]) -> None:
    assert sorted(names, key=natural_key) == ["a", "a1", "A2", "a10", "a10b2", "a10b11", "b", "²"]


@given(st.lists(st.text(max_size=8), max_size=8))
def test_any_names_have_an_order(names: list[str]) -> None:
    assert len(sorted(names, key=natural_key)) == len(names)


@pytest.mark.parametrize(
    "name",
    [
        "\ud800/*",
        "\ud800",
        "b\udcff/*",
        "a\0",
        "a\0*",
        "x" * 5000,
        "x" * 5000 + "*",
        "a/" * 3000 + "*",
        "ä" * 300,
        "files:" + "x" * 300,
    ],
)
def test_a_name_that_no_file_can_have_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ImageError, match=r"^[^\n]*$"):
        find_images([name])
    with pytest.raises(ImageError, match=r"^[^\n]*$"):
        files(name)
