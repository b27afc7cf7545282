"""Data sets as they lie on disk: what is found in each layout, and what is refused by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipspect.base.errors import ClipspectError, DatasetError, ImageError
from clipspect_lab.evaluation.datasets import LAYOUTS, draw_references, open_dataset
from clipspect_lab.evaluation.truth import check_files, truth_at
from support import drawn_datasets

VISA_SIZES = {"candle": (40, 30), "pcb1": (24, 36)}


@pytest.fixture
def visa(tmp_path: Path) -> Path:
    return drawn_datasets.write_visa(tmp_path / "visa", VISA_SIZES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return drawn_datasets.write_folder(tmp_path / "folder")


def turn(path: Path) -> None:
    """Say in a photo's EXIF that it lies on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(path) as image:
        image.save(path, exif=exif)


def opened(root: Path, layout: str, *classes: str) -> None:
    for item in open_dataset(root, layout, classes):
        check_files(item.test)


# --- what is found ---------------------------------------------------------------------------------------------------


def test_mvtec_has_good_images_first_and_a_mask_for_every_other(mvtec: Path) -> None:
    cable, nut = open_dataset(mvtec, "mvtec")
    assert (cable.name, nut.name, nut.masks) == ("cable", "metal_nut", True)
    assert [sample.defect for sample in nut.test] == [None, None, "dent", "dent", "scratch", "scratch"]
    assert nut.test[3].mask == mvtec / "metal_nut/ground_truth/dent/001_mask.png"
    assert [path.name for path in nut.train or ()] == ["000.png", "001.png", "002.png"]


def test_visa_is_what_its_split_file_says(visa: Path) -> None:
    (pcb,) = open_dataset(visa, "visa", ["pcb1"])
    assert [sample.defect for sample in pcb.test] == [None, None, "anomaly", "anomaly"]
    assert pcb.test[2].mask == visa / "pcb1/Data/Masks/Anomaly/test0.png"
    assert len(pcb.train or ()) == 3
    assert all("train" in path.name for path in pcb.train or ())


@pytest.mark.parametrize("masks", ["mask", "masks", None])
def test_a_plain_folder_may_have_masks_by_stem(tmp_path: Path, masks: str | None) -> None:
    (item,) = open_dataset(drawn_datasets.write_folder(tmp_path / "parts", masks=masks), "folder")
    assert (item.name, item.masks, item.train) == ("parts", masks is not None, None)
    assert [sample.mask is not None for sample in item.test] == [False] * 3 + [masks is not None] * 3


def test_masks_hold_class_ids_and_any_over_0_is_a_defect(visa: Path) -> None:
    sample = open_dataset(visa, "visa", ["candle"])[0].test[2]
    assert sample.mask is not None
    ids = np.asarray(Image.open(sample.mask))
    assert set(np.unique(ids)) == {0, 1, 2}
    np.testing.assert_array_equal(truth_at(sample, (40, 30), (40, 30)), ids > 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "RGB", "RGBA", "LA"])
def test_a_mask_of_any_kind_is_read(mvtec: Path, mode: str) -> None:
    sample = open_dataset(mvtec, "mvtec", ["cable"])[0].test[2]
    assert sample.mask is not None
    expected = np.asarray(Image.open(sample.mask)) > 0
    if mode == "I;16":
        Image.fromarray(expected.astype(np.uint16)).save(sample.mask)
    else:
        Image.fromarray(expected * np.uint8(255)).convert(mode).save(sample.mask)
    np.testing.assert_array_equal(truth_at(sample, (40, 30), (40, 30)), expected)


def test_a_resized_mask_is_cut_at_one_half(mvtec: Path) -> None:
    sample = open_dataset(mvtec, "mvtec", ["cable"])[0].test[2]
    assert sample.mask is not None
    drawn = np.zeros((30, 40), np.uint8)
    drawn[:15, :20] = 255
    Image.fromarray(drawn).save(sample.mask)
    small = truth_at(sample, (40, 30), (8, 8))
    assert small.shape == (8, 8)
    np.testing.assert_array_equal(small, np.outer(np.arange(8) < 4, np.arange(8) < 4))


def test_references_are_drawn_from_the_training_images_and_more_shots_add_to_them(mvtec: Path) -> None:
    item = open_dataset(mvtec, "mvtec", ["cable"])[0]
    one, two = draw_references(item, 1, seed=5), draw_references(item, 2, seed=5)
    assert two.references[:1] == one.references
    assert len(set(two.references)) == 2
    assert set(two.references) <= set(item.train or ())
    assert two.test == item.test
    drawn = {draw_references(item, 1, seed).references for seed in range(20)}
    assert len(drawn) == 3


def test_references_of_a_plain_folder_are_not_tested(folder: Path) -> None:
    item = draw_references(open_dataset(folder, "folder")[0], 2, seed=0)
    assert len(item.references) == 2
    assert not set(item.references) & {sample.path for sample in item.test}
    assert len(item.test) == 4


def test_copies_of_a_plain_folders_references_are_not_tested_either(folder: Path) -> None:
    for path in list((folder / "good").iterdir()):
        shutil.copyfile(path, path.with_stem(f"copy of {path.stem}"))
    item = draw_references(open_dataset(folder, "folder")[0], 2, seed=0)
    drawn = {path.read_bytes() for path in item.references}
    assert len(drawn) == 2
    assert not drawn & {sample.path.read_bytes() for sample in item.test}
    assert len(item.test) == 2 + 3  # the third good image and its copy
    with pytest.raises(DatasetError, match=r"3 references asked for, .* only 3 of them differ from each other"):
        draw_references(open_dataset(folder, "folder")[0], 3, seed=0)


def test_an_image_that_exif_turns_has_a_mask_of_its_upright_size(folder: Path) -> None:
    turn(folder / "defect/bad1.jpg")
    with pytest.raises(DatasetError, match=r"mask/bad1.png: the mask is 40 x 30, its image 30 x 40"):
        opened(folder, "folder")
    drawn_datasets.save(folder / "mask/bad1.png", np.zeros((40, 30), np.uint8))
    opened(folder, "folder")


@pytest.mark.parametrize("part", ["image", "mask"])
def test_what_a_split_file_lists_may_be_a_link_out_of_the_data_set(visa: Path, tmp_path: Path, part: str) -> None:
    (folder,) = visa.glob(f"candle/Data/{part.title()}s")
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    opened(visa, "visa")


def test_folders_that_have_no_part_of_a_class_and_masks_of_good_images_do_not_count_in_mvtec(mvtec: Path) -> None:
    drawn_datasets.save(mvtec / "papers/figure.png", np.zeros((30, 40), np.uint8))
    drawn_datasets.save(mvtec / "cable/ground_truth/good/007.png", np.zeros((30, 40), np.uint8))
    assert [item.name for item in open_dataset(mvtec, "mvtec")] == ["cable", "metal_nut"]


# --- what is refused -------------------------------------------------------------------------------------------------


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
        (mask_is_none, r"ground_truth/dent/001_mask.png: not a readable image"),
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
