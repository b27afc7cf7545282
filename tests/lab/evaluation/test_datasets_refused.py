"""Data sets with a fault are refused before hours of work, by the name of the file or line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clipspect.base.errors import ClipspectError, DatasetError, ImageError
from clipspect_lab.evaluation.datasets import LAYOUTS, draw_references, open_dataset
from clipspect_lab.evaluation.truth import check_files
from support import drawn_datasets


def opened(root: Path, layout: str, *classes: str) -> None:
    for item in open_dataset(root, layout, classes):
        check_files(item.test)


# --- what is found ---------------------------------------------------------------------------------------------------


def no_masks(root: Path) -> None:
    shutil.rmtree(root / "cable/ground_truth")


def no_good(root: Path) -> None:
    shutil.rmtree(root / "cable/test/good")


def no_defect(root: Path) -> None:
    no_masks(root)
    for kind in ("dent", "scratch"):
        shutil.rmtree(root / "cable/test" / kind)


def one_mask_gone(root: Path) -> None:
    (root / "cable/ground_truth/dent/001_mask.png").unlink()


def mask_of_another_size(root: Path) -> None:
    drawn_datasets.save(root / "cable/ground_truth/dent/001_mask.png", np.zeros((30, 41), np.uint8))


def image_is_none(root: Path) -> None:
    (root / "cable/test/dent/001.png").write_text("not an image")


def mask_is_none(root: Path) -> None:
    (root / "cable/ground_truth/dent/001_mask.png").write_text("not an image")


def image_of_an_unread_kind(root: Path) -> None:
    (root / "cable/test/dent/001.png").rename(root / "cable/test/dent/001.gif")


def no_images_of_a_defect(root: Path) -> None:
    shutil.rmtree(root / "cable/test/dent")


def no_test(root: Path) -> None:
    shutil.rmtree(root / "cable/test")


def only_training(root: Path) -> None:
    no_test(root)
    no_masks(root)


def only_masks(root: Path) -> None:
    no_test(root)
    shutil.rmtree(root / "cable/train")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (no_masks, r"ground_truth/dent/000_mask.png: no such file; it should be there by the mask of .*000.png"),
        (one_mask_gone, r"ground_truth/dent/001_mask.png: no such file"),
        (mask_of_another_size, r"dent/001_mask.png: the mask is 41 x 30, its image 40 x 30"),
        (image_is_none, r"cable/test/dent/001.png: not a readable image"),
        (mask_is_none, r"ground_truth/dent/001_mask.png: damaged or cut short"),
        (image_of_an_unread_kind, r"dent/001_mask.png: the mask of no image in .*cable/test/dent: .* as .bmp, .jpeg"),
        (no_images_of_a_defect, r"dent/000_mask.png: the mask of no image in .*cable/test/dent"),
        (no_test, r"mvtec/cable: has train/ or ground_truth/ but no test/: extract the class again"),
        (only_training, r"mvtec/cable: has train/ or ground_truth/ but no test/"),
        (only_masks, r"mvtec/cable: has train/ or ground_truth/ but no test/"),
        (no_good, r"mvtec: class 'cable' has no good test images"),
        (no_defect, r"mvtec: class 'cable' has no defective test images"),
    ],
)
def test_a_data_set_with_a_fault_is_refused_by_the_files_name(
    mvtec: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(mvtec)
    opened(mvtec, "mvtec", "metal_nut")  # the other class has none
    with pytest.raises((DatasetError, ImageError), match=reason):
        opened(mvtec, "mvtec")


@pytest.mark.parametrize(
    ("wrong", "right", "reason"),
    [
        ("visa", "mvtec", "not in VisA's layout: no split_csv/1cls.csv here; it looks like --layout mvtec"),
        ("folder", "mvtec", "no good/ and defect/ here; it looks like --layout mvtec"),
        ("mvtec", "visa", "not in MVTec AD's layout.*it looks like --layout visa"),
        ("mvtec", "folder", "not in MVTec AD's layout.*it looks like --layout folder"),
        ("visa", "folder", "it looks like --layout folder"),
    ],
)
def test_a_wrong_layout_says_which_one_it_looks_like(
    request: pytest.FixtureRequest, wrong: str, right: str, reason: str
) -> None:
    with pytest.raises(DatasetError, match=reason):
        opened(request.getfixturevalue(right), wrong)


def test_one_class_of_mvtec_wants_the_folder_above(mvtec: Path) -> None:
    with pytest.raises(DatasetError, match="one class of --layout mvtec: give the folder above"):
        opened(mvtec / "cable", "mvtec")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_not_there_is_refused(tmp_path: Path, layout: str) -> None:
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        opened(tmp_path / "nowhere", layout)
    with pytest.raises(DatasetError, match="here"):
        opened(tmp_path, layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_class_that_is_not_there_is_refused(request: pytest.FixtureRequest, layout: str) -> None:
    with pytest.raises(DatasetError, match="no class 'gear'; there are: "):
        opened(request.getfixturevalue(layout), layout, "gear")


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("object,", "thing,", "1cls.csv: no column 'object'"),
        ("test1.JPG,\n", "test9.JPG,\n", r"candle/Data/Images/Normal/test9.JPG: no such file.*1cls.csv, line \d+"),
        ("candle/Data/Masks/Anomaly/test1.png", "", r"1cls.csv, line \d+: .*labelled 'anomaly' and has no mask"),
        ("Anomaly/test1.png", "Anomaly/test9.png", r"candle/Data/Masks/Anomaly/test9.png: no such file"),
        (",test,", ",validation,", r"1cls.csv, line 5: not a row of VisA's split file"),
    ],
)
def test_a_split_file_with_a_fault_is_refused_by_its_line(visa: Path, before: str, after: str, reason: str) -> None:
    split = visa / "split_csv/1cls.csv"
    text = split.read_bytes().decode().replace("\r\n", "\n")
    assert before in text
    split.write_text(text.replace(before, after))
    with pytest.raises(DatasetError, match=reason):
        opened(visa, "visa")


@pytest.mark.parametrize("part", ["Images/Normal/train1.JPG", "Images/Normal/test1.JPG", "Masks/Anomaly/test1.png"])
@pytest.mark.parametrize("outside", ["{root}/candle", "../visa/candle", "candle/../../visa/candle"])
def test_a_path_that_leads_out_of_the_data_set_is_refused_by_its_line(visa: Path, part: str, outside: str) -> None:
    split, outside = visa / "split_csv/1cls.csv", outside.format(root=visa)
    text = split.read_text()
    assert f"candle/Data/{part}" in text
    split.write_text(text.replace(f"candle/Data/{part}", f"{outside}/Data/{part}"))
    with pytest.raises(DatasetError, match=rf"1cls.csv, line \d+: {outside}/Data/{part}: expected a path inside"):
        opened(visa, "visa")
    opened(visa, "visa", "pcb1")  # the other class has none


@pytest.mark.parametrize("split_again", ["test", "train"])
def test_an_image_that_a_split_file_lists_twice_is_refused_by_its_line(visa: Path, split_again: str) -> None:
    split = visa / "split_csv/1cls.csv"
    lines = split.read_text().splitlines()
    again = next(line for line in lines if line.startswith("candle,test,normal"))
    split.write_text("\n".join([*lines, again.replace(",test,", f",{split_again},"), ""]))
    reason = rf"1cls.csv, line {len(lines) + 1}: candle/Data/Images/Normal/test0.JPG is listed before"
    with pytest.raises(DatasetError, match=reason):
        opened(visa, "visa")
    opened(visa, "visa", "pcb1")  # the other class has none


@pytest.mark.parametrize("content", [b"", b"object,split,label,image,mask\n", b"\xff\xfe\x00"])
def test_a_split_file_that_lists_nothing_is_refused(visa: Path, content: bytes) -> None:
    (visa / "split_csv/1cls.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=r"1cls.csv: (no column|lists no images|not readable)"):
        opened(visa, "visa")


def test_a_plain_folder_with_a_mask_missing_is_refused(folder: Path) -> None:
    (folder / "mask/bad1.png").unlink()
    with pytest.raises(DatasetError, match=r"mask/bad1.png: no such file; it should be the mask of .*bad1.jpg"):
        opened(folder, "folder")


def test_a_plain_folder_with_a_mask_of_no_defective_image_is_refused(folder: Path) -> None:
    (folder / "defect/bad1.jpg").rename(folder / "defect/bad1.gif")
    with pytest.raises(DatasetError, match=r"mask/bad1.png: the mask of no image in .*folder/defect"):
        opened(folder, "folder")


def test_a_plain_folder_with_two_masks_of_one_image_is_refused(folder: Path) -> None:
    drawn_datasets.save(folder / "mask/bad0.jpg", np.zeros((30, 40), np.uint8))
    with pytest.raises(DatasetError, match=r"mask/bad0.png: bad0.jpg beside it is a mask of the same image"):
        opened(folder, "folder")


@pytest.mark.parametrize(("layout", "shots"), [("mvtec", 4), ("visa", 4), ("folder", 3)])
def test_too_many_shots_are_refused(request: pytest.FixtureRequest, layout: str, shots: int) -> None:
    item = open_dataset(request.getfixturevalue(layout), layout)[0]
    with pytest.raises(ClipspectError, match=f"{shots} references asked for, there are 3 good images"):
        draw_references(item, shots, seed=0)
    assert len(draw_references(item, shots - 1, seed=0).references) == shots - 1
