"""Labelled images as the field keeps them: MVTec AD's folders, VisA with its split file, and a plain folder.

MVTec AD   CLASS/train/good/*, CLASS/test/good/*, CLASS/test/DEFECT/NNN.png, CLASS/ground_truth/DEFECT/NNN_mask.png
VisA       split_csv/1cls.csv with the columns object, split, label, image, mask
folder     good/*, defect/*, and optionally the masks of all defective images, by stem, in mask/ or masks/
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from clipspect.bundle import sha256_of
from clipspect.errors import DatasetError
from clipspect.image_files import images_in, natural_key

GOOD = "good"
SPLIT_FILE = "split_csv/1cls.csv"
_COLUMNS = ("object", "split", "label", "image", "mask")


@dataclass(frozen=True)
class Sample:
    """A test image and the truth about it."""

    path: Path
    defect: str | None = None  # the kind of defect; None: good
    mask: Path | None = None  # None: good, or no masks here


@dataclass(frozen=True)
class ProductClass:
    """One product: its test images, and good ones that references may be drawn from."""

    name: str
    test: tuple[Sample, ...]
    train: tuple[Path, ...] | None  # None: the layout knows no training images
    masks: bool  # whether every defective image has one
    references: tuple[Path, ...] = ()


def open_dataset(root: Path, layout: str, classes: Sequence[str] = ()) -> list[ProductClass]:
    """The classes of a data set, all or those named, in natural order. `layout` is a key of LAYOUTS.

    Raises DatasetError that names the file: another layout, an image or mask that is not there, a class without good
    or without defective images.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; give the data set's folder")
    found = LAYOUTS[layout](root, classes)
    for item in found:
        for kind, there in (
            ("good", any(sample.defect is None for sample in item.test)),
            ("defective", any(sample.defect is not None for sample in item.test)),
        ):
            if not there:
                raise DatasetError(
                    f"{root}: class {item.name!r} has no {kind} test images: it cannot be evaluated, leave it out "
                    "with --classes"
                )
    return found


def draw_references(item: ProductClass, shots: int, seed: int) -> ProductClass:
    """The class with `shots` references, the first of a seeded permutation of its good training images.

    More shots add to the same references. A photo that equals one before it, byte for byte, is passed over: a recipe
    takes none twice. A plain folder has no training images: there they are drawn from good/ and
    no longer count as test images. Raises DatasetError when there are too few.
    """
    if item.train is not None:
        source, spare, where = list(item.train), 0, "to train with"
    else:
        source, spare, where = (
            [sample.path for sample in item.test if sample.defect is None],
            1,
            "and one must be tested",
        )
    if shots > len(source) - spare:
        raise DatasetError(
            f"class {item.name!r}: {shots} references asked for, there are {len(source)} good images {where}: "
            "take fewer shots"
        )
    chosen = _different((source[i] for i in np.random.default_rng(seed).permutation(len(source))), shots)
    if len(chosen) < shots:
        raise DatasetError(
            f"class {item.name!r}: {shots} references asked for, only {len(chosen)} of the {len(source)} good images "
            f"{where} differ from each other: take fewer shots"
        )
    test = tuple(sample for sample in item.test if item.train is not None or sample.path not in chosen)
    return replace(item, test=test, references=chosen)


def _different(paths: Iterable[Path], count: int) -> tuple[Path, ...]:
    """The first `count` files of which no two are equal, or as many as there are."""
    chosen: dict[str, Path] = {}
    for path in paths:
        if len(chosen) == count:
            break
        chosen.setdefault(sha256_of(path), path)
    return tuple(chosen.values())


def _mvtec(root: Path, wanted: Sequence[str]) -> list[ProductClass]:
    names = sorted((path.parent.name for path in root.glob("*/test") if path.is_dir()), key=natural_key)
    if not names:
        raise DatasetError(f"{root}: not in MVTec AD's layout: no CLASS/test/good folder here{_hint(root)}")
    return [_mvtec_class(root / name) for name in _chosen(root, names, wanted)]


def _mvtec_class(folder: Path) -> ProductClass:
    samples = [Sample(path) for path in images_in(folder / "test" / GOOD)]
    defects = (path.name for path in (folder / "test").iterdir() if path.is_dir() and path.name != GOOD)
    for defect in sorted(defects, key=natural_key):
        for path in images_in(folder / "test" / defect):
            mask = folder / "ground_truth" / defect / f"{path.stem}_mask.png"
            samples.append(Sample(path, defect, _existing(mask, f"the mask of {path}")))
    return ProductClass(folder.name, tuple(samples), tuple(images_in(folder / "train" / GOOD)), masks=True)


def _visa(root: Path, wanted: Sequence[str]) -> list[ProductClass]:
    split = root / SPLIT_FILE
    if not split.is_file():
        raise DatasetError(f"{root}: not in VisA's layout: no {SPLIT_FILE} here{_hint(root)}")
    try:
        with split.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            missing = sorted(set(_COLUMNS) - set(table.fieldnames or ()))
            rows = [] if missing else list(enumerate(table, 2))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{split}: not readable as CSV ({error}): copy the data set again") from error
    if missing or not rows:
        raise DatasetError(f"{split}: no column {missing[0]!r}" if missing else f"{split}: lists no images")
    names = sorted({row["object"] or "" for _, row in rows}, key=natural_key)
    chosen = _chosen(root, names, wanted)
    tests: dict[str, list[Sample]] = {name: [] for name in chosen}
    train: dict[str, list[Path]] = {name: [] for name in chosen}
    seen: set[Path] = set()
    for line, row in rows:
        if row["object"] in tests:
            _add_visa_row(root, f"{split}, line {line}", row, tests[row["object"]], train[row["object"]], seen)
    return [ProductClass(name, tuple(tests[name]), tuple(train[name]), masks=True) for name in chosen]


def _add_visa_row(
    root: Path, where: str, row: dict[str, str], test: list[Sample], train: list[Path], seen: set[Path]
) -> None:
    if row["split"] not in {"train", "test"} or not row["image"] or not row["label"]:
        raise DatasetError(f"{where}: not a row of VisA's split file: {','.join(map(str, row.values()))[:120]}")
    path = _existing(root / row["image"], where)
    if path in seen:
        raise DatasetError(f"{where}: {row['image']} is listed before: an image counts once, take one of its lines out")
    seen.add(path)
    defect = None if row["label"] == "normal" else row["label"]
    if row["split"] == "train":
        train += [path] if defect is None else []
    elif defect is not None and not row["mask"]:
        raise DatasetError(f"{where}: {row['image']} is labelled {defect!r} and has no mask: complete the split file")
    else:
        test.append(Sample(path, defect, _existing(root / row["mask"], where) if defect else None))


def _plain_folder(root: Path, wanted: Sequence[str]) -> list[ProductClass]:
    if not ((root / GOOD).is_dir() and (root / "defect").is_dir()):
        raise DatasetError(f"{root}: not a plain folder of labelled images: no good/ and defect/ here{_hint(root)}")
    folder = next((root / name for name in ("mask", "masks") if (root / name).is_dir()), None)
    masks = {path.stem: path for path in images_in(folder)} if folder else {}
    samples = [Sample(path) for path in images_in(root / GOOD)]
    for path in images_in(root / "defect"):
        if folder and path.stem not in masks:
            raise DatasetError(f"{folder / path.stem}.png: no such file; it should be the mask of {path}")
        samples.append(Sample(path, "defect", masks.get(path.stem)))
    names = _chosen(root, [root.resolve().name], wanted)
    return [ProductClass(name, tuple(samples), None, masks=folder is not None) for name in names]


LAYOUTS: dict[str, Callable[[Path, Sequence[str]], list[ProductClass]]] = {
    "mvtec": _mvtec,
    "visa": _visa,
    "folder": _plain_folder,
}


def _existing(path: Path, reason: str) -> Path:
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; it should be there by {reason}")
    return path


def _chosen(root: Path, names: list[str], wanted: Sequence[str]) -> list[str]:
    if unknown := [name for name in wanted if name not in names]:
        raise DatasetError(f"{root}: no class {unknown[0]!r}; there are: {', '.join(names)}")
    return [name for name in names if not wanted or name in wanted]


def _hint(root: Path) -> str:
    """What the folder looks like instead."""
    if (root / SPLIT_FILE).is_file():
        return "; it looks like --layout visa"
    if any(root.glob("*/test/*")):
        return "; it looks like --layout mvtec"
    if (root / "test").is_dir():
        return "; it looks like one class of --layout mvtec: give the folder above"
    if (root / GOOD).is_dir():
        return "; it looks like --layout folder"
    return ""
