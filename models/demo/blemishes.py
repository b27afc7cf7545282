"""Defects of the second round of training, drawn as those in `defects`; nothing in `defects.HELD_OUT` is among them."""

from __future__ import annotations

import numpy as np

from demo.fields import SIZE, Array, Kind, Rng, Surface, blurred, colour, noise
from demo.shapes import against, blend, blob, place, polygon


def tape(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    """A strip stuck on, cut straight, that lets a little through."""
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [rng.uniform(20, 60), rng.uniform(8, 20)]
    turn = rng.uniform(0, np.pi)
    corners = half @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) + place(rng)
    shape = polygon(corners)
    return blend(surface.image, against(rng, surface.image, shape), shape, rng.uniform(0.75, 1)), shape


def blister(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    """A bubble: a dark rim, a bright spot on the lamp's side."""
    x, y = place(rng)
    radius = rng.uniform(12, 34)
    v, u = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    away = np.hypot(u - x, v - y) / radius
    rim = np.exp(-(((away - 0.9) / 0.15) ** 2))
    turn = rng.uniform(0, 2 * np.pi)
    spot = np.exp(-(((u - x) / radius - 0.4 * np.cos(turn)) ** 2 + ((v - y) / radius - 0.4 * np.sin(turn)) ** 2) / 0.06)
    image = surface.image * (1 - rng.uniform(0.5, 0.8) * rim)[..., None] + rng.uniform(0.5, 0.8) * spot[..., None]
    return np.clip(image, 0, 1).astype(np.float32), (away < 1.05).astype(np.float32)


def ring_mark(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    """What a wet cup leaves: a ring with a broken edge."""
    x, y = place(rng)
    radius, width = rng.uniform(18, 44), rng.uniform(4, 9)
    v, u = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    away = np.abs(np.hypot(u - x, v - y) + 2 * noise(rng, 12) - radius)
    shape = np.clip((width - away) / 2, 0, 1).astype(np.float32)
    return blend(surface.image, against(rng, surface.image, shape), shape, rng.uniform(0.6, 0.95)), shape


def smear(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    """Something wet was wiped over: the surface drawn out and tinted."""
    shape = blob(rng, 22, 46, 0.3, 1.5)
    wiped = np.mean([np.roll(surface.image, (k, k // 2), (0, 1)) for k in range(-20, 21, 2)], axis=0)
    tint = colour(rng, 0.05, 0.95)
    return blend(surface.image, blurred(wiped, 1.0) * 0.6 + tint * 0.4, shape), shape


TRAIN: dict[str, Kind] = {f.__name__: f for f in (tape, blister, ring_mark, smear)}
