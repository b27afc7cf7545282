"""Fields, colours and strokes: what surfaces and defects are drawn with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

SIZE = 272  # pixels drawn: 240 are read, the rest is room for a random crop

Array = npt.NDArray[np.float32]
Colour = npt.NDArray[np.float32]  # (3,)
Rng = np.random.Generator


@dataclass
class Surface:
    """A drawn picture (SIZE, SIZE, 3), its parts as (x0, y0, x1, y1), and the colour behind them.

    `patterned` says whether a person sees a regular pattern, which a defect may break.
    """

    image: Array
    parts: list[tuple[float, float, float, float]] = field(default_factory=list)
    background: Colour | None = None
    patterned: bool = True


Family = Callable[[Rng], Surface]
Kind = Callable[[Rng, Surface, Array], tuple[Array, Array]]  # of defect: the picture, and a soft shape in 0..1


# --- fields and colours ---------------------------------------------------------------------------


def resized(grid: Array, size: tuple[int, int] = (SIZE, SIZE)) -> Array:
    """A small float grid, bicubically stretched to (width, height)."""
    picture = Image.fromarray(np.ascontiguousarray(grid, np.float32), "F")
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC), np.float32)


def noise(rng: Rng, cells: int, across: int | None = None) -> Array:
    """Smooth noise, about unit variance, with this many cells along y (and `across` along x)."""
    grid = rng.standard_normal((cells + 1, (across or cells) + 1)).astype(np.float32)
    return resized(grid) * 1.3


def fractal(rng: Rng, cells: int, octaves: int = 4) -> Array:
    """A sum of noises, each twice as fine and half as strong."""
    total = np.zeros((SIZE, SIZE), np.float32)
    for octave in range(octaves):
        count = min(cells << octave, SIZE - 1)
        total += noise(rng, count) / (1 << octave)
    return total / 1.3


def coordinates(rng: Rng, turn: bool = True) -> tuple[Array, Array]:
    """Pixel coordinates (u, v), turned by a random angle and shifted."""
    angle = rng.uniform(0, np.pi) if turn else rng.normal(0, 0.03)
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos + y * sin + np.float32(rng.uniform(0, 99)), y * cos - x * sin + np.float32(rng.uniform(0, 99))


def colour(rng: Rng, low: float = 0.1, high: float = 0.9, chroma: float = 0.16) -> Colour:
    """A colour of random brightness and mostly modest chroma, as materials have."""
    grey = rng.uniform(low, high)
    tint = rng.normal(0, chroma * rng.choice([0.3, 1.0]), 3)
    return np.clip(grey + tint - tint.mean(), 0.03, 0.97).astype(np.float32)


def two_colours(rng: Rng, contrast: float = 0.2) -> tuple[Colour, Colour]:
    """Two colours whose brightness differs by at least `contrast`."""
    while True:
        a, b = colour(rng), colour(rng)
        if abs(float(a.mean() - b.mean())) >= contrast:
            return a, b


def mix(a: Colour, b: Colour, weight: Array) -> Array:
    """a where weight is 0, b where it is 1: (SIZE, SIZE, 3)."""
    w = np.clip(weight, 0, 1)[..., None]
    return (a + (b - a) * w).astype(np.float32)


def shaded(base: Colour, relief: Array, strength: float) -> Array:
    """A colour, lighter and darker with the relief."""
    return np.clip(base + strength * relief[..., None], 0, 1).astype(np.float32)


def tones(rng: Rng, keys: npt.NDArray[np.int64], spread: float) -> Array:
    """A random brightness for every integer key."""
    table = rng.normal(0, spread, 4099).astype(np.float32)
    return table[np.abs(keys) % 4099]


class Canvas:
    """Antialiased drawing: at twice the size, then shrunk."""

    def __init__(self, base: Array) -> None:
        pixels = np.rint(np.clip(base, 0, 1) * 255).astype(np.uint8)
        self.picture = Image.fromarray(pixels).resize((2 * SIZE, 2 * SIZE), Image.Resampling.NEAREST)
        self.draw = ImageDraw.Draw(self.picture)

    def box(self, cx: float, cy: float, rx: float, ry: float) -> tuple[float, float, float, float]:
        return 2 * (cx - rx), 2 * (cy - ry), 2 * (cx + rx), 2 * (cy + ry)

    def disc(self, cx: float, cy: float, rx: float, ry: float, fill: Colour) -> None:
        self.draw.ellipse(self.box(cx, cy, rx, ry), fill=rgb(fill))

    def polygon(self, points: npt.NDArray[np.floating], fill: Colour) -> None:
        self.draw.polygon([(2 * float(x), 2 * float(y)) for x, y in points], fill=rgb(fill))

    def line(self, points: npt.NDArray[np.floating], fill: Colour, width: float) -> None:
        path = [(2 * float(x), 2 * float(y)) for x, y in points]
        self.draw.line(path, fill=rgb(fill), width=max(1, round(2 * width)), joint="curve")

    def done(self) -> Array:
        small = self.picture.resize((SIZE, SIZE), Image.Resampling.BOX)
        return np.asarray(small, np.float32) / 255


def rgb(value: Colour) -> tuple[int, int, int]:
    r, g, b = (np.clip(value, 0, 1) * 255).astype(int).tolist()
    return r, g, b


def plain(base: Colour) -> Array:
    return np.broadcast_to(base, (SIZE, SIZE, 3)).astype(np.float32).copy()


def blurred(image: Array, radius: float) -> Array:
    picture = Image.fromarray(np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def ring(count: int, cx: float, cy: float, radius: npt.NDArray[np.floating] | float, phase: float = 0.0) -> Array:
    """`count` points on a closed curve around (cx, cy): (count, 2)."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False) + phase
    return np.stack([cx + radius * np.cos(angle), cy + radius * np.sin(angle)], 1).astype(np.float32)


def lattice(rng: Rng, low: float, high: float, jitter: float = 0.02) -> tuple[float, list[tuple[float, float]]]:
    """A regular array of places: the pitch in pixels, and the centres."""
    pitch = rng.uniform(low, high)
    x0, y0 = rng.uniform(0.3, 0.7, 2) * pitch
    stagger = rng.choice([0.0, 0.5])
    places = []
    for j in range(-1, int(SIZE / pitch) + 2):
        for i in range(-1, int(SIZE / pitch) + 2):
            dx, dy = rng.normal(0, jitter * pitch, 2)
            places.append((x0 + (i + stagger * (j % 2)) * pitch + dx, y0 + j * pitch + dy))
    return pitch, places


def finished(rng: Rng, image: Array) -> Array:
    """What camera and lamp add to every picture: a light gradient, blur, grain."""
    u, _ = coordinates(rng)
    light = 1 + (u - u.mean()) / SIZE * rng.normal(0, 0.12)
    image = image * light[..., None]
    if rng.random() < 0.5:
        image = blurred(image, rng.uniform(0.3, 1.0))
    grain = rng.normal(0, rng.uniform(0.0, 0.02), (SIZE, SIZE, 1))
    return np.clip(image + grain, 0, 1).astype(np.float32)
