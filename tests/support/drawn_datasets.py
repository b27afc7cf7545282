"""Data sets drawn for tests, in the layouts of MVTec AD and VisA and as a plain folder; defects are bright."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def draw(rng: np.random.Generator, width: int = 40, height: int = 30, defects: int = 0) -> tuple[Pixels, Pixels]:
    """An RGB image of dark noise with bright rectangles, and its mask: 0, or the rectangle's number."""
    image = rng.integers(20, 120, (height, width, 3)).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    for number in range(1, defects + 1):
        x, y = rng.integers(0, width - width // 4), rng.integers(0, height - height // 4)
        mask[y : y + height // 4, x : x + width // 4] = number
    image[mask > 0] = rng.integers(100, 256, (np.count_nonzero(mask), 3))
    return image, mask


def write_mvtec(
    root: Path,
    classes: Iterable[str],
    *,
    each: int = 2,
    train: int = 3,
    size: tuple[int, int] = (40, 30),
    seed: int = 0,
) -> Path:
    """`each` good images and as many of two kinds of defect for every class."""
    for number, name in enumerate(classes):
        rng = np.random.default_rng([0, number])
        for part, defect, count in (
            *((f"test/{kind}", kind, each) for kind in ("good", "scratch", "dent")),
            ("train/good", "good", train),
        ):
            for i in range(count):
                image, mask = draw(rng, defects=0 if defect == "good" else 1 + i % 2)
                save(root / name / part / f"{i:03}.png", image)
                if defect != "good":
                    save(root / name / "ground_truth" / defect / f"{i:03}_mask.png", (mask > 0) * np.uint8(255))
    return root


def write_visa(root: Path, sizes: dict[str, tuple[int, int]], *, each: int = 2, train: int = 3) -> Path:
    """Classes by name with their images' width and height; masks hold numbers of defects, as VisA's do."""
    rows = []
    for number, (name, size) in enumerate(sizes.items()):
        rng = np.random.default_rng([1, number])
        for split, label, count in (("train", "normal", train), ("test", "normal", each), ("test", "anomaly", each)):
            for i in range(count):
                image, mask = draw(rng, *size, defects=0 if label == "normal" else 2)
                path = f"{name}/Data/Images/{label.title()}/{split}{i}.JPG"
                save(root / path, image)
                mask_path = f"{name}/Data/Masks/Anomaly/{split}{i}.png" if label == "anomaly" else ""
                if mask_path:
                    save(root / mask_path, mask)
                rows.append([name, split, label, path, mask_path])
    (root / "split_csv").mkdir()
    with (root / "split_csv/1cls.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["object", "split", "label", "image", "mask"], *rows])
    return root


def write_folder(root: Path, *, each: int = 3, masks: str | None = "mask") -> Path:
    rng = np.random.default_rng(2)
    for i in range(each):
        save(root / "good" / f"ok{i}.jpg", draw(rng)[0])
        image, mask = draw(rng, defects=1)
        save(root / "defect" / f"bad{i}.jpg", image)
        if masks:
            save(root / masks / f"bad{i}.png", mask)
    return root


def save(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
