"""Studies drawn for tests: a folder of photographs for each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from support import handmade


def write_parts(folder: Path, parts: Mapping[str, Sequence[float]]) -> Path:
    """Photographs of each part by the scores that they shall have, to 1 / 255; all differ."""
    rng = np.random.default_rng(0)
    for name, scores in parts.items():
        (folder / name).mkdir(parents=True)
        for number, score in enumerate(scores, 1):
            pixels = rng.integers(0, 20, (handmade.SIDE, handmade.SIDE, 3)).astype(np.uint8)
            pixels[8:16, 8:16] = round(score * 255)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder
