"""The colours of heat, and the scale that gives a value of the anomaly map the same colour in every picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

# matplotlib's "inferno" (CC0) at 9 even steps; perceptually uniform, and still ordered in grey
_INFERNO = np.array(
    [
        (0, 0, 4), (32, 12, 74), (87, 16, 110), (138, 34, 106), (188, 55, 84),
        (227, 89, 51), (249, 140, 10), (249, 201, 50), (252, 255, 164),
    ],
    dtype=np.float32,
)  # fmt: skip


@dataclass(frozen=True)
class HeatScale:
    """The anomaly map's values that are drawn coldest and hottest."""

    low: float
    high: float


def heat_scale(map_range: tuple[float, float], map_limit: float) -> HeatScale:
    """The scale with the map limit in its middle, from the map's lowest value: what is over the limit looks hot."""
    low, high = map_range
    if not low < map_limit:
        return HeatScale(low, high)
    # a limit near the top of the range leaves what is over it the rest of the range; some maps exceed their range
    return HeatScale(low, min(2 * map_limit - low, high) if map_limit < high else 2 * map_limit - low)


def colours(heat: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Values 0 to 1 of any shape as RGB 0 to 255, shape (..., 3)."""
    index = np.rint(heat * (len(_TABLE) - 1)).astype(np.intp)
    rgb: npt.NDArray[np.float32] = _TABLE[index]
    return rgb


def heat_image(level: npt.NDArray[np.uint8]) -> Image.Image:
    """Levels 0 to 255 (H, W) as an RGB image."""
    image = Image.fromarray(level)
    image.putpalette(_TABLE.astype(np.uint8).tobytes())
    return image.convert("RGB")


def _interpolate(steps: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    position = np.linspace(0, len(steps) - 1, count)
    return np.stack([np.interp(position, np.arange(len(steps)), channel) for channel in steps.T], axis=1).astype(
        np.float32
    )


_TABLE = _interpolate(_INFERNO, 256)
