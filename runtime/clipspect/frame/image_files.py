"""Image files in folders: which ones count, and in what order a person would give them."""

from __future__ import annotations

import os
import re
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def natural_key(path: str | os.PathLike[str]) -> list[tuple[bool, int, str]]:
    """Sorts part 9 before part 10."""
    folded = os.fspath(path).casefold()
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", folded)]


def images_in(folder: Path) -> list[Path]:
    """The images right in a folder, in natural order; hidden ones do not count. Empty where there is no folder."""
    if not folder.is_dir():
        return []
    images = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted((path for path in images if not path.name.startswith(".") and path.is_file()), key=natural_key)
