"""One mask file: which pixels it says are defective, or why it cannot be trusted to say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.base.errors import DatasetError, ImageError
from clipspect.frame.raster_file import FORMATS, whole_images_only

_LOSSY = frozenset({"JPEG", "JPEG2000", "MPO", "WEBP"})  # whose pixels beside a defect are not 0 any more
_BLACK = (0, 0, 0)

Mask = npt.NDArray[np.bool_]  # (height, width), True where defective


def read_mask(path: Path) -> Mask:
    """Any value over 0 counts as defective, so VisA's class ids do. Raises ImageError, and DatasetError for a mask
    whose values do not say it: a lossy format, transparency that varies, a palette whose colour 0 is not black.
    """
    try:
        with whole_images_only, Image.open(path, formats=FORMATS) as image:
            kind, bands, palette = image.format, image.getbands(), image.getpalette() if image.mode == "P" else None
            values = np.asarray(image)  # of a palette image: its ids
    except Exception as error:  # whatever Pillow's decoders raise on damaged data
        raise ImageError(f"{path}: damaged or cut short ({error}): copy it again") from error
    if kind in _LOSSY:
        raise DatasetError(
            f"{path}: a mask as {kind}, which changes pixels: save the masks as PNG, from what they were drawn in"
        )
    if palette is not None and tuple(palette[:3]) != _BLACK:
        raise DatasetError(
            f"{path}: the colour 0 of its palette is {tuple(palette[:3])}, and 0 is where no defect is: save it as grey"
        )
    if values.ndim == 3:
        alpha = values[..., [i for i, band in enumerate(bands) if band in {"A", "a"}]]
        if alpha.size and alpha.min() != alpha.max():
            raise DatasetError(f"{path}: its transparency varies, and its colours say another thing: save it as grey")
        values = values[..., [i for i, band in enumerate(bands) if band not in {"A", "a"}]].max(axis=2)
    mask: Mask = values > 0
    return mask


def require_defect(path: Path, mask: Mask) -> None:
    """Refuse what is no mask of a defective image: all of it, or nothing. Raises DatasetError."""
    if not mask.any():
        raise DatasetError(f"{path}: marks no pixel, and its image is labelled defective: draw it, or take both out")
    if mask.all():
        raise DatasetError(
            f"{path}: marks every pixel as defective: if it is inverted, invert all masks; 0 is where no defect is"
        )
