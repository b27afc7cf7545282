"""The shipped pictures of the demo: good parts and damaged ones, of families that its training never saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipspect.base.document import MismatchError, from_json
from clipspect.base.errors import BundleError
from clipspect.frame.decode import decode

_INDEX = "index.json"


@dataclass(frozen=True)
class DemoPicture:
    """A row of the index."""

    file: str
    family: str
    mask: str | None = None  # None: a good image
    defect: str | None = None


def read_demo_pictures() -> tuple[Path, list[DemoPicture]]:
    """The folder, and what the index lists. Raises BundleError when they are not installed."""
    try:
        from clipspect_models import DEMO_IMAGES

        index = Path(DEMO_IMAGES) / _INDEX
        pictures = from_json(list[DemoPicture], index.read_bytes(), index.name)
    except (ImportError, OSError, MismatchError) as error:
        raise BundleError(
            f"the demo's images are not in this installation ({error}): install clipspect again"
        ) from error
    if not pictures:
        raise BundleError(f"{index}: lists no images: install clipspect again")
    return index.parent, pictures


def read_mask(folder: Path, picture: DemoPicture, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Where the defect is, (H, W), all False for a good part; `size` is the image's. Raises BundleError."""
    if picture.mask is None:
        return np.zeros((size[1], size[0]), bool)
    mask_image = decode(folder / picture.mask).convert("L")
    if mask_image.size != size:
        raise BundleError(f"{picture.mask}: {mask_image.size}, its image is {size}: install clipspect again")
    mask: npt.NDArray[np.bool_] = np.asarray(mask_image) > 0
    return mask
