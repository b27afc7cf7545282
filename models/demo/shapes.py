"""Outlines and paint: what defects are drawn with. A shape is float32 (SIZE, SIZE), 0 outside and 1 inside."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from demo.fields import SIZE, Array, Rng, colour, ring

MARGIN = 45  # pixels from the border within which no defect is centred


def place(rng: Rng) -> tuple[float, float]:
    x, y = rng.uniform(MARGIN, SIZE - MARGIN, 2)
    return float(x), float(y)


def blob(rng: Rng, low: float, high: float, roughness: float = 0.25, soft: float = 0.8) -> Array:
    """A filled irregular outline of about this radius: soft shape (SIZE, SIZE) in 0..1."""
    x, y = place(rng)
    radius = rng.uniform(low, high)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    wave = sum(rng.normal(0, roughness / k) * np.sin(k * angle + rng.uniform(0, 6)) for k in range(1, 7))
    stretch = rng.uniform(0.6, 1.0)
    points = ring(40, 0, 0, radius * np.clip(1 + wave, 0.3, 1.9)) * [1, stretch]
    turn = rng.uniform(0, np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return polygon(points @ rotation + [x, y], soft)


def polygon(points: npt.NDArray[np.floating], soft: float = 0.6) -> Array:
    picture = Image.new("L", (SIZE, SIZE))
    ImageDraw.Draw(picture).polygon([(float(x), float(y)) for x, y in points], fill=255)
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(soft)), np.float32) / 255


def stroke(points: npt.NDArray[np.floating], width: float, soft: float = 0.6) -> Array:
    picture = Image.new("L", (SIZE, SIZE))
    path = [(float(x), float(y)) for x, y in points]
    ImageDraw.Draw(picture).line(path, fill=255, width=max(1, round(width)), joint="curve")
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(soft)), np.float32) / 255


def curve(rng: Rng, length: float, bend: float, count: int = 24) -> npt.NDArray[np.floating]:
    """A path through a random place whose direction wanders: (count, 2)."""
    turn = np.cumsum(rng.normal(0, bend, count)) + rng.uniform(0, 2 * np.pi)
    steps = np.stack([np.cos(turn), np.sin(turn)], 1) * length / count
    path = np.cumsum(steps, 0)
    return path - path.mean(0) + np.array(place(rng))


def against(rng: Rng, image: Array, shape: Array) -> npt.NDArray[np.float32]:
    """A colour that differs from what the picture shows under the shape."""
    here = (image * shape[..., None]).sum((0, 1)) / max(float(shape.sum()), 1e-6)
    while True:
        other = colour(rng, 0.02, 0.98, 0.2)
        if np.abs(other - here).max() > 0.3:
            return other


def blend(image: Array, paint: Array | npt.NDArray[np.float32], shape: Array, opacity: float = 1.0) -> Array:
    weight = (shape * opacity)[..., None]
    return np.clip(image * (1 - weight) + paint * weight, 0, 1).astype(np.float32)
