"""A drawn video of a belt: round parts pass from left to right, one after the other, some of them damaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

HEIGHT, WIDTH = 160, 240
RADIUS = 44
GATE = (66, 26, 108, 108)  # around the middle of the frame

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Belt:
    """What passes, and how."""

    damaged: Sequence[bool]  # of each part
    speed: float = 8.0  # pixels a frame
    apart: float = 240.0  # pixels from one part's middle to the next one's
    noise: float = 4.0  # standard deviation, grey levels
    grain: float = 0.0  # of the belt itself, which moves with it: standard deviation, grey levels
    seed: int = 0

    @property
    def frames(self) -> int:
        """Until the last part has left the picture."""
        return int((WIDTH + 2 * RADIUS + self.apart * (len(self.damaged) - 1)) / self.speed) + 1

    def middle(self, frame: int, part: int) -> float:
        """Where the part's middle is in that frame, pixels from the left."""
        return -RADIUS - self.apart * part + self.speed * frame


def video(belt: Belt) -> Iterator[Pixels]:
    """The frames, uint8 RGB (HEIGHT, WIDTH, 3)."""
    for picture, _ in with_masks(belt):
        yield picture


def with_masks(belt: Belt) -> Iterator[tuple[Pixels, npt.NDArray[np.bool_]]]:
    """The frames, and where damage is seen in them."""
    rng = np.random.default_rng(belt.seed)
    length = int(WIDTH + belt.speed * belt.frames) + 2
    grain = rng.standard_normal((HEIGHT // 2, length // 2 + 1), np.float32)
    surface = 70 + belt.grain * grain.repeat(2, axis=0).repeat(2, axis=1)
    places = rng.uniform(-0.5, 0.5, (len(belt.damaged), 2)) * RADIUS
    rows, columns = (grid.astype(np.float32) for grid in np.mgrid[:HEIGHT, :WIDTH])
    for frame in range(belt.frames):
        start = int(belt.speed * (belt.frames - frame))
        picture, mask = surface[:, start : start + WIDTH].copy(), np.zeros((HEIGHT, WIDTH), bool)
        for part, damaged in enumerate(belt.damaged):
            middle = belt.middle(frame, part)
            if not -RADIUS < middle < WIDTH + RADIUS:
                continue
            x, y = columns - middle, rows - HEIGHT / 2
            distance = np.hypot(x, y)
            picture = np.where(distance < RADIUS, 190 + 20 * np.cos(distance / 4), picture)
            if damaged:
                spot = np.hypot(x - places[part, 0], y - places[part, 1]) < RADIUS / 6
                picture, mask = np.where(spot, 90, picture), mask | spot
        picture += belt.noise * rng.standard_normal((HEIGHT, WIDTH), np.float32)
        yield np.clip(picture, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=-1), mask


def write_video_of(path: Path, frames: Sequence[Pixels], rate: int = 25) -> Path:
    """A video without loss."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path
