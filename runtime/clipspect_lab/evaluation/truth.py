"""Masks, and the resolution at which maps are compared with them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.base.errors import DatasetError, ImageError
from clipspect.frame.orientation import orientation_in_file
from clipspect.frame.raster_file import FORMATS, whole_images_only
from clipspect.frame.spec import ImageSpec
from clipspect_lab.evaluation.datasets import ProductClass, Sample
from clipspect_lab.evaluation.masks import read_mask, require_defect

_TURNED = range(5, 9)  # EXIF: width and height change places
MODEL, FIXED, ORIGINAL = "model", "256", "original"
RESOLUTIONS = (MODEL, FIXED, ORIGINAL)

Size = tuple[int, int]  # width, height


def check_files(samples: Iterable[Sample]) -> None:
    """Before hours of work: has every image a header, and is each mask one of a defect, and of its image's size?

    Raises ImageError or DatasetError that names the file.
    """
    for sample in samples:
        size = _size_of(sample.path, upright=bool(sample.masks))
        for path in sample.masks:
            mask = read_mask(path)
            _check_size(path, (mask.shape[1], mask.shape[0]), size)
            require_defect(path, mask)


def check_references(item: ProductClass) -> None:
    """Read their headers, too: a recipe takes references of one size only.

    Raises ImageError or DatasetError that names the file.
    """
    sizes = {path: _size_of(path, upright=True) for path in item.references}
    for path, size in sizes.items():
        first, expected = next(iter(sizes.items()))
        if size != expected:
            raise DatasetError(
                f"{path}: this reference of class {item.name!r} is {size[0]} x {size[1]}, {first} is "
                f"{expected[0]} x {expected[1]}: few-shot references must be of one size, make the good images so, "
                "draw others with --seed, or leave the class out with --classes"
            )


def evaluation_size(resolution: str, image: ImageSpec, original: Size) -> Size:
    """The size at which a map and its mask are compared."""
    sizes = {MODEL: (image.width, image.height), FIXED: (256, 256), ORIGINAL: original}
    return sizes[resolution]


def truth_at(sample: Sample, original: Size, size: Size) -> npt.NDArray[np.bool_]:
    """The masks of a sample in one, bool (height, width) at `size`, True where defective; all False for a good image.

    When the size changes, the mask is resized with PIL's bilinear filter and cut at one half, as AnomalyCLIP's and
    APRIL-GAN's code does.
    """
    mask = np.zeros((original[1], original[0]), bool)
    for path in sample.masks:
        part = read_mask(path)
        _check_size(path, (part.shape[1], part.shape[0]), original)
        mask |= part
    if size == original:
        return mask
    resized = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized) > 127


def _size_of(path: Path, *, upright: bool = False) -> Size:
    """Width and height by the file's header; `upright`, as the model sees them. Raises ImageError."""
    try:
        with whole_images_only, Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if turned := upright and width != height:
                if image.format == "PNG":  # whose EXIF may follow its pixels: not for every image
                    image.load()
                turned = orientation_in_file(image) in _TURNED
    except Exception as error:  # whatever Pillow's decoders raise on damaged data
        raise ImageError(f"{path}: not a readable image ({error}): copy or convert it again") from error
    return (height, width) if turned else (width, height)


def _check_size(mask: Path, size: Size, expected: Size) -> None:
    if size != expected:
        raise DatasetError(
            f"{mask}: the mask is {size[0]} x {size[1]}, its image {expected[0]} x {expected[1]}: "
            "they must be of one size"
        )
