"""The shipped pictures of the demo: drawn parts of families that its training never saw, and photographs of cookies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipspect.base.document import MismatchError, from_json
from clipspect.base.errors import BundleError
from clipspect.frame.decode import decode

_INDEX, _REFERENCE = "index.json", "reference-"


@dataclass(frozen=True)
class DemoPicture:
    """A row of the index."""

    file: str
    family: str
    mask: str | None = None  # None: a good image
    defect: str | None = None


@dataclass(frozen=True)
class Photographs:
    """Real photographs of one kind of part, and good ones to remember."""

    folder: Path
    pictures: list[DemoPicture]
    references: list[Path]


def read_demo_pictures() -> tuple[Path, list[DemoPicture]]:
    """The folder, and what the index lists. Raises BundleError when they are not installed."""
    return _read("DEMO_IMAGES")


def read_photographs() -> Photographs:
    """The cookies that ship with the demo. Raises BundleError when they are not installed."""
    folder, pictures = _read("DEMO_COOKIES")
    references = sorted(folder.glob(f"{_REFERENCE}*"))
    if not references:
        raise BundleError(f"{folder}: holds no {_REFERENCE}*: install clipspect again")
    return Photographs(folder, pictures, references)


def _read(name: str) -> tuple[Path, list[DemoPicture]]:
    try:
        import clipspect_models

        index = Path(getattr(clipspect_models, name)) / _INDEX
        pictures = from_json(list[DemoPicture], index.read_bytes(), index.name)
    except (ImportError, AttributeError, OSError, MismatchError) as error:
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
