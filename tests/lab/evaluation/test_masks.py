"""Masks as data sets have them: named as BTAD and MVTec LOCO AD name them, and those that cannot be trusted refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipspect.base.errors import DatasetError, ImageError
from clipspect_lab.evaluation.datasets import open_dataset
from clipspect_lab.evaluation.masks import read_mask
from clipspect_lab.evaluation.truth import check_files, truth_at
from support import drawn_datasets
from support.eval_command import Capture, evaluated

MASK = "cable/ground_truth/dent/001_mask.png"
FILLED = np.zeros((30, 40), np.uint8)
FILLED[5:20, 10:30] = 255


def cable(root: Path) -> dict[str, np.ndarray]:
    """The truth about each defective image of a class, by its path."""
    (item,) = open_dataset(root, "mvtec", ["cable"])
    check_files(item.test)
    bad = [sample for sample in item.test if sample.defect]
    return {f"{s.defect}/{s.path.name}": truth_at(s, (40, 30), (40, 30)) for s in bad}


def masks_of(root: Path) -> list[Path]:
    return sorted((root / "cable/ground_truth").glob("*/*_mask.png"))


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_masks_may_have_their_images_name_as_in_btad(mvtec: Path, suffix: str) -> None:
    expected = cable(mvtec)
    for path in masks_of(mvtec):
        Image.open(path).save(path.with_name(path.name.removesuffix("_mask.png") + suffix))
        path.unlink()
    found = cable(mvtec)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_the_masks_of_a_folder_are_one_image_s_as_in_loco(mvtec: Path) -> None:
    path = mvtec / MASK
    one, other = np.zeros((30, 40), np.uint8), np.zeros((30, 40), np.uint8)
    one[:5, :5] = other[20:, 30:] = 255
    path.unlink()
    for number, part in enumerate((one, other)):
        drawn_datasets.save(path.parent / "001" / f"{number:03}.png", part)
    assert np.array_equal(cable(mvtec)["dent/001.png"], (one | other) > 0)


def test_two_masks_of_one_image_are_refused(mvtec: Path) -> None:
    Image.open(mvtec / MASK).save(mvtec / MASK.replace("_mask", ""))
    with pytest.raises(DatasetError, match=r"dent/001.png: 001_mask.png beside it is a mask of the same image"):
        cable(mvtec)


def jpeg(path: Path) -> None:
    Image.fromarray(FILLED).save(path, "JPEG", quality=75)


def lossy_webp(path: Path) -> None:
    Image.fromarray(FILLED).save(path, "WEBP", quality=50)


def nothing(path: Path) -> None:
    Image.new("L", (40, 30)).save(path)


def everything(path: Path) -> None:
    Image.new("L", (40, 30), 255).save(path)


def in_alpha(path: Path) -> None:
    Image.merge("RGBA", [Image.new("L", (40, 30), 255)] * 3 + [Image.fromarray(FILLED)]).save(path)


def white_at_0(path: Path) -> None:
    image = Image.fromarray((FILLED == 0).astype(np.uint8), "P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(path)


@pytest.mark.parametrize(
    ("drawn", "reason"),
    [
        (jpeg, "a mask as JPEG, which changes pixels: save the masks as PNG"),
        (lossy_webp, "a mask as WEBP"),
        (nothing, "marks no pixel, and its image is labelled defective"),
        (everything, "marks every pixel as defective: if it is inverted"),
        (in_alpha, "its transparency varies"),
        (white_at_0, r"the colour 0 of its palette is \(255, 255, 255\)"),
    ],
)
def test_a_mask_that_cannot_be_trusted_is_refused(mvtec: Path, drawn: Callable[[Path], None], reason: str) -> None:
    drawn(mvtec / MASK)
    with pytest.raises(DatasetError, match=f"{MASK}: {reason}"):
        cable(mvtec)


def test_a_palette_with_black_at_0_says_what_its_ids_say(mvtec: Path) -> None:
    image = Image.fromarray((FILLED > 0).astype(np.uint8) * 3, "P")
    image.putpalette([0, 0, 0, 9, 9, 9, 200, 0, 0, 1, 1, 1])
    image.save(mvtec / MASK)
    assert np.array_equal(read_mask(mvtec / MASK), FILLED > 0)


def test_defects_too_small_for_the_resolution_and_masks_of_most_of_an_image_are_said(
    tiny_bundle: Path, mvtec: Path, capsys: Capture
) -> None:
    dot, most = np.zeros((300, 400), np.uint8), np.full((300, 400), 255, np.uint8)
    dot[100, 100] = 255
    most[:20] = 0
    for path, drawn in zip(masks_of(mvtec), (dot, most, dot, np.kron(FILLED, np.ones((10, 10), np.uint8)))):
        drawn_datasets.save(path, drawn)
        image = mvtec / "cable/test" / path.parent.name / path.name.replace("_mask", "")
        Image.open(image).resize((400, 300)).save(image)
    found = evaluated(capsys, tiny_bundle, mvtec, "--layout", "mvtec", "--classes", "cable")
    assert any("cable: 2 of 4 masks have no pixel at this resolution" in note for note in found["notes"])
    assert any("cable: 1 of 4 masks mark more than half of the image: are they inverted?" in n for n in found["notes"])


def test_a_mask_that_is_no_raster_image_is_not_interpreted(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    with pytest.raises(ImageError, match="cannot identify image file"):
        read_mask(tmp_path / "a.png")
