"""Data sets as they lie on disk: what is found in each layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipspect.base.errors import DatasetError
from clipspect_lab.evaluation.datasets import draw_references, open_dataset
from clipspect_lab.evaluation.truth import check_files, truth_at
from support import drawn_datasets


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
    assert nut.test[3].masks == (mvtec / "metal_nut/ground_truth/dent/001_mask.png",)
    assert [path.name for path in nut.train or ()] == ["000.png", "001.png", "002.png"]


def test_visa_is_what_its_split_file_says(visa: Path) -> None:
    (pcb,) = open_dataset(visa, "visa", ["pcb1"])
    assert [sample.defect for sample in pcb.test] == [None, None, "anomaly", "anomaly"]
    assert pcb.test[2].masks == (visa / "pcb1/Data/Masks/Anomaly/test0.png",)
    assert len(pcb.train or ()) == 3
    assert all("train" in path.name for path in pcb.train or ())


@pytest.mark.parametrize("masks", ["mask", "masks", None])
def test_a_plain_folder_may_have_masks_by_stem(tmp_path: Path, masks: str | None) -> None:
    (item,) = open_dataset(drawn_datasets.write_folder(tmp_path / "parts", masks=masks), "folder")
    assert (item.name, item.masks, item.train) == ("parts", masks is not None, None)
    assert [bool(sample.masks) for sample in item.test] == [False] * 3 + [masks is not None] * 3


def test_masks_hold_class_ids_and_any_over_0_is_a_defect(visa: Path) -> None:
    sample = open_dataset(visa, "visa", ["candle"])[0].test[2]
    ids = np.asarray(Image.open(sample.masks[0]))
    assert set(np.unique(ids)) == {0, 1, 2}
    np.testing.assert_array_equal(truth_at(sample, (40, 30), (40, 30)), ids > 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "RGB", "RGBA", "LA"])
def test_a_mask_of_any_kind_is_read(mvtec: Path, mode: str) -> None:
    sample = open_dataset(mvtec, "mvtec", ["cable"])[0].test[2]
    expected = np.asarray(Image.open(sample.masks[0])) > 0
    if mode == "I;16":
        Image.fromarray(expected.astype(np.uint16)).save(sample.masks[0])
    else:
        Image.fromarray(expected * np.uint8(255)).convert(mode).save(sample.masks[0])
    np.testing.assert_array_equal(truth_at(sample, (40, 30), (40, 30)), expected)


def test_a_resized_mask_is_cut_at_one_half(mvtec: Path) -> None:
    sample = open_dataset(mvtec, "mvtec", ["cable"])[0].test[2]
    drawn = np.zeros((30, 40), np.uint8)
    drawn[:15, :20] = 255
    Image.fromarray(drawn).save(sample.masks[0])
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
    drawn_datasets.save(folder / "mask/bad1.png", np.eye(40, 30, dtype=np.uint8))
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
