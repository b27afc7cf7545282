"""Labelled images as the field keeps them: MVTec AD's folders, VisA with its split file, and a plain folder.

MVTec AD   CLASS/train/good/*, CLASS/test/good/*, CLASS/test/DEFECT/NNN.png, CLASS/ground_truth/DEFECT/NNN_mask.png;
           or NNN.png (BTAD), or all images of a folder NNN (MVTec LOCO AD) there
VisA       split_csv/1cls.csv with the columns object, split, label, image, mask
folder     good/*, defect/*, and optionally the masks of all defective images and no others, by stem, in mask/ or masks/
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from clipspect.base.errors import DatasetError
from clipspect.base.files import sha256_of
from clipspect.frame.image_files import IMAGE_SUFFIXES, images_in, natural_key

GOOD = "good"
SPLIT_FILE = "split_csv/1cls.csv"
_COLUMNS = ("object", "split", "label", "image", "mask")
_PARTS = ("train", "test", "ground_truth")  # of a class in MVTec AD's layout


@dataclass(frozen=True)
class Sample:
    """A test image and the truth about it."""

    path: Path
    defect: str | None = None  # the kind of defect; None: good
    masks: tuple[Path, ...] = ()  # what they mark together is defective; none: good, or no masks here


@dataclass(frozen=True)
class ProductClass:
    """One product: its test images, and good ones that references may be drawn from."""

    name: str
    test: tuple[Sample, ...]
    train: tuple[Path, ...] | None  # None: the layout knows no training images
    masks: bool  # whether every defective image has one
    references: tuple[Path, ...] = ()


Loaders = dict[str, Callable[[], ProductClass]]  # by the class's name, in natural order


def open_dataset(
    root: Path, layout: str, classes: Sequence[str] = (), renamed: Iterable[str] = ()
) -> list[ProductClass]:
    """The classes of a data set, all or those of `classes`, in natural order. `layout` is a key of LAYOUTS.

    `renamed` are the classes that --names has names for: they must be there, too. Raises DatasetError that names the
    file: another layout, an image or mask that is not there, a class without good or without defective images.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; give the data set's folder")
    loaders = LAYOUTS[layout](root)
    for option, names in (("--classes", classes), ("--names", renamed)):
        if unknown := [name for name in names if name not in loaders]:
            raise DatasetError(f"{root}: no class {unknown[0]!r}; there are: {', '.join(loaders)}: correct {option}")
    found = [load() for name, load in loaders.items() if not classes or name in classes]
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
    takes none twice. A plain folder has no training images: there they are drawn from good/, and they and their
    copies no longer count as test images. Raises DatasetError when there are too few.
    """
    if item.train is not None:
        source, spare, where = list(item.train), 0, "to train with"
    else:
        source, spare, where = (
            [sample.path for sample in item.test if sample.defect is None],
            1,
            "and one must be tested",
        )
    asked = f"class {item.name!r}: {shots} references asked for, there are {len(source)} good images {where}"
    if shots > len(source) - spare:
        raise DatasetError(f"{asked}: take fewer shots")
    chosen = _different((source[i] for i in np.random.default_rng(seed).permutation(len(source))), shots)
    test = item.test if item.train is not None else _without(item.test, chosen)
    if len(chosen) < shots or all(sample.defect is not None for sample in test):
        raise DatasetError(f"{asked}, and only {len(chosen)} of them differ from each other: take fewer shots")
    return replace(item, test=test, references=chosen)


def _different(paths: Iterable[Path], count: int) -> tuple[Path, ...]:
    """The first `count` files of which no two are equal, or as many as there are."""
    chosen: dict[str, Path] = {}
    for path in paths:
        if len(chosen) == count:
            break
        chosen.setdefault(sha256_of(path), path)
    return tuple(chosen.values())


def _without(samples: Iterable[Sample], references: Iterable[Path]) -> tuple[Sample, ...]:
    """The samples less the references and the good images that equal one. Reads only files of a reference's size."""
    sizes = {path.stat().st_size for path in references}
    digests = {sha256_of(path) for path in references}
    return tuple(
        sample
        for sample in samples
        if sample.defect is not None or sample.path.stat().st_size not in sizes or sha256_of(sample.path) not in digests
    )


def _mvtec(root: Path) -> Loaders:
    names = {path.parent.name for part in _PARTS for path in root.glob(f"*/{part}") if path.is_dir()}
    if not names:
        raise DatasetError(f"{root}: not in MVTec AD's layout: no CLASS/test/good folder here{_hint(root)}")
    return {name: partial(_mvtec_class, root / name) for name in sorted(names, key=natural_key)}


def _mvtec_class(folder: Path) -> ProductClass:
    if not (folder / "test").is_dir():
        raise DatasetError(
            f"{folder}: has train/ or ground_truth/ but no test/: extract the class again, or leave it out with "
            "--classes"
        )
    samples = [Sample(path) for path in images_in(folder / "test" / GOOD)]
    defects = (path.name for path in (folder / "test").iterdir() if path.is_dir() and path.name != GOOD)
    for defect in sorted(defects, key=natural_key):
        for path in images_in(folder / "test" / defect):
            samples.append(Sample(path, defect, _mvtec_masks(folder / "ground_truth" / defect, path)))
    for masks in sorted(folder.glob("ground_truth/*")):
        if masks.name != GOOD:
            parts = [part for path in sorted(masks.iterdir()) if path.is_dir() for part in images_in(path)]
            _refuse_masks_alone([*images_in(masks), *parts], samples, folder / "test" / masks.name)
    return ProductClass(folder.name, tuple(samples), tuple(images_in(folder / "train" / GOOD)), masks=True)


def _mvtec_masks(folder: Path, image: Path) -> tuple[Path, ...]:
    """Of an image: NNN_mask.png, in BTAD NNN.png or .bmp, in MVTec LOCO AD a folder NNN with a mask a defect."""
    if (folder / image.stem).is_dir() and (parts := images_in(folder / image.stem)):
        return tuple(parts)
    names = [f"{image.stem}{end}{suffix}" for end in ("_mask", "") for suffix in (".png", *sorted(IMAGE_SUFFIXES))]
    there = dict.fromkeys(folder / name for name in names if (folder / name).is_file())
    if len(there) > 1:
        first, other, *_ = there
        raise DatasetError(f"{other}: {first.name} beside it is a mask of the same image: take one of them out")
    return tuple(there) or (_existing(folder / names[0], f"the mask of {image}"),)


def _visa(root: Path) -> Loaders:
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
    by_class: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for line, row in rows:
        by_class.setdefault(row["object"] or "", []).append((f"{split}, line {line}", row))
    seen: set[Path] = set()
    names = sorted(by_class, key=natural_key)
    return {name: partial(_visa_class, root, name, by_class[name], seen) for name in names}


def _visa_class(root: Path, name: str, rows: list[tuple[str, dict[str, str]]], seen: set[Path]) -> ProductClass:
    test: list[Sample] = []
    train: list[Path] = []
    for where, row in rows:
        _add_visa_row(root, where, row, test, train, seen)
    return ProductClass(name, tuple(test), tuple(train), masks=True)


def _add_visa_row(
    root: Path, where: str, row: dict[str, str], test: list[Sample], train: list[Path], seen: set[Path]
) -> None:
    if row["split"] not in {"train", "test"} or not row["image"] or not row["label"]:
        raise DatasetError(f"{where}: not a row of VisA's split file: {','.join(map(str, row.values()))[:120]}")
    path = _listed(root, row["image"], where)
    if path in seen:
        raise DatasetError(f"{where}: {row['image']} is listed before: an image counts once, take one of its lines out")
    seen.add(path)
    defect = None if row["label"] == "normal" else row["label"]
    if row["split"] == "train":
        train += [path] if defect is None else []
    elif defect is not None and not row["mask"]:
        raise DatasetError(f"{where}: {row['image']} is labelled {defect!r} and has no mask: complete the split file")
    else:
        test.append(Sample(path, defect, (_listed(root, row["mask"], where),) if defect else ()))


def _listed(root: Path, name: str, where: str) -> Path:
    """The file that a split file lists. By its name alone: what is in a data set may be a link to another disk."""
    if Path(name).anchor or ".." in Path(name).parts:
        raise DatasetError(f"{where}: {name}: expected a path inside {root}, relative to it and without '..'")
    return _existing(root / name, where)


def _plain_folder(root: Path) -> Loaders:
    if not ((root / GOOD).is_dir() and (root / "defect").is_dir()):
        raise DatasetError(f"{root}: not a plain folder of labelled images: no good/ and defect/ here{_hint(root)}")
    return {root.resolve().name: partial(_folder_class, root)}


def _folder_class(root: Path) -> ProductClass:
    folder = next((root / name for name in ("mask", "masks") if (root / name).is_dir()), None)
    masks = _by_stem(images_in(folder)) if folder else {}
    samples = [Sample(path) for path in images_in(root / GOOD)]
    for path in images_in(root / "defect"):
        if folder and path.stem not in masks:
            raise DatasetError(f"{folder / path.stem}.png: no such file; it should be the mask of {path}")
        samples.append(Sample(path, "defect", (masks[path.stem],) if folder else ()))
    _refuse_masks_alone(masks.values(), samples, root / "defect")
    return ProductClass(root.resolve().name, tuple(samples), None, masks=folder is not None)


def _by_stem(masks: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for mask in masks:
        if (other := found.setdefault(mask.stem, mask)) != mask:
            raise DatasetError(f"{mask}: {other.name} beside it is a mask of the same image: take one of them out")
    return found


def _refuse_masks_alone(masks: Iterable[Path], samples: Iterable[Sample], images: Path) -> None:
    """A mask says that there is an image: one that is missing or not read would be left out of the figures."""
    used = {mask for sample in samples for mask in sample.masks}
    for mask in masks:
        if mask not in used:
            raise DatasetError(
                f"{mask}: the mask of no image in {images}: add the image, as {', '.join(sorted(IMAGE_SUFFIXES))}, or "
                "take the mask out"
            )


LAYOUTS: dict[str, Callable[[Path], Loaders]] = {
    "mvtec": _mvtec,
    "visa": _visa,
    "folder": _plain_folder,
}


def _existing(path: Path, reason: str) -> Path:
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; it should be there by {reason}")
    return path


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
