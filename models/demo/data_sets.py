"""Labelled data sets on disk for `clipspect eval`: the held-out drawings, single products, and textiles.

families   every picture of a family is another draw of it, and so are the photos to train with
products   one part of each family, seen again and again: shifted, and under other light; with photos to train with
textiles   the simulated textiles of the package `conformal-clip-data` (MIT), against nominal ones; they have no masks
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from demo import defects, fields, surfaces
from demo.batches import IMAGE
from demo.fields import SIZE, Rng, Surface
from demo.held_out import FIGURES_SEED, held_out_pairs

PRODUCTS_SEED, REFERENCES_SEED = 90210, 5261
TRAINING = 8  # at least as many photos of each product or family
TEXTILES = ("local", "global")  # kinds of defect

LabelledPicture = tuple[str, npt.NDArray[np.uint8], npt.NDArray[np.bool_] | None]  # path, RGB, mask


def write_families(root: Path, each: int) -> Path:
    """MVTec AD's layout: `each` good pictures and damaged twins of every held-out family and kind of defect."""

    def pictures() -> Iterator[LabelledPicture]:
        for number, pair in enumerate(held_out_pairs(FIGURES_SEED, each)):
            name = f"{pair.defect}{number % each:02}"
            yield f"{pair.family}/test/good/{name}.png", pair.good, None
            yield f"{pair.family}/test/{pair.defect}/{name}.png", pair.bad, pair.mask
        for number, pair in enumerate(held_out_pairs(REFERENCES_SEED, -(-TRAINING // len(defects.HELD_OUT)))):
            yield f"{pair.family}/train/good/{number:02}.png", pair.good, None

    return _written(root, pictures)


def write_products(root: Path, each: int) -> Path:
    """MVTec AD's layout: one product a family, as many pictures, and TRAINING good ones to train with."""

    def pictures() -> Iterator[LabelledPicture]:
        for number, (family, draw) in enumerate(surfaces.HELD_OUT.items()):
            rng = np.random.default_rng([PRODUCTS_SEED, number])
            surface = draw(rng)
            for i in range(TRAINING):
                yield f"{family}/train/good/{i:02}.png", _photo(rng, surface)[0], None
            for kind in defects.HELD_OUT:
                for i in range(each):
                    yield f"{family}/test/good/{kind}{i:02}.png", _photo(rng, surface)[0], None
                    yield f"{family}/test/{kind}/{i:02}.png", *_photo(rng, surface, kind)

    return _written(root, pictures)


def write_textiles(root: Path, kind: str, each: int) -> Path:
    """A plain folder: the first `each` nominal textiles and as many with the kind of defect."""
    import conformal_clip_data as textiles

    damaged = {"local": textiles.local_dir, "global": textiles.global_dir}[kind]()
    sources = {"good": textiles.nominal_dir(), "defect": damaged}
    return _whole(root, lambda folder: _copy(folder, sources, each))


def _copy(folder: Path, sources: dict[str, Path], each: int) -> None:
    for name, source in sources.items():
        (folder / name).mkdir(parents=True)
        for path in sorted(source.glob("*.jpg"))[:each]:
            shutil.copyfile(path, folder / name / path.name)


def _photo(rng: Rng, surface: Surface, kind: str | None = None) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The product before the camera once more, with a defect of the kind; the mask is all False without one."""
    while True:
        image, mask = surface.image, np.zeros((SIZE, SIZE), bool)
        if kind is not None:
            foreign = list(surfaces.HELD_OUT.values())[rng.integers(len(surfaces.HELD_OUT))](rng).image
            drawn = defects.damaged(rng, surface, foreign, {kind: defects.HELD_OUT[kind]})
            if drawn is None:
                continue
            _, image, mask = drawn
        y, x = rng.integers(0, SIZE - IMAGE + 1, 2)
        inside = np.s_[y : y + IMAGE, x : x + IMAGE]
        seen = np.rint(fields.finished(rng, image) * 255).astype(np.uint8)[inside]
        if kind is None or mask[inside].any():
            return seen, mask[inside]


def _written(root: Path, pictures: Callable[[], Iterator[LabelledPicture]]) -> Path:
    return _whole(root, lambda folder: _write(folder, pictures()))


def _write(folder: Path, pictures: Iterator[LabelledPicture]) -> None:
    for name, image, mask in tqdm(pictures, desc=f"drawing {folder.stem}", unit="image", leave=False):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, compress_level=1)
        if mask is not None and "/test/good/" not in name and "/train/" not in name:
            truth = folder / path.parents[2].name / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"
            truth.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(truth)


def _whole(root: Path, write: Callable[[Path], None]) -> Path:
    """A data set that is there whole or not at all; one that is there is taken as it is."""
    if not root.is_dir():
        partial = root.with_name(f"{root.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        write(partial)
        partial.rename(root)
    return root
