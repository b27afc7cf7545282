"""Defects drawn onto a surface, each with the mask of the pixels that a person would call defective.

A kind takes a generator, a `Surface` and a second, foreign picture, and returns the damaged picture
and where it drew. `damaged` keeps a drawing only when it can be seen: the change must stand out
from the surface's own texture. `TRAIN` and `HELD_OUT` were fixed before the first training run.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from demo.fields import SIZE, Array, Kind, Rng, Surface, blurred, colour, fractal, noise, ring
from demo.shapes import against, blend, blob, curve, place, polygon, stroke

Mask = npt.NDArray[np.bool_]

MIN_PIXELS = 250  # a person sees a spot of 16 x 16 at once
MIN_CHANGE = 0.13  # of full brightness, in the defect's strongest channel, on average
MIN_CONTRAST = 0.9  # the same, in standard deviations of the surface there
# Kinds that break a pattern can only be seen where there is one.
PATTERN_BREAKING = frozenset({"misprint", "warp"})
SEEN = 0.06  # a pixel that changed less is not part of the mask


# --- trained on -------------------------------------------------------------------------------------


def scratch(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    shape = stroke(curve(rng, rng.uniform(90, 200), 0.06), rng.uniform(3, 8))
    return blend(surface.image, against(rng, surface.image, shape), shape, rng.uniform(0.75, 1)), shape


def crack(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    path = curve(rng, rng.uniform(110, 220), 0.45)
    shape = stroke(path, rng.uniform(3, 6))
    for _ in range(int(rng.integers(1, 4))):
        start = path[rng.integers(4, 20)]
        branch = curve(rng, rng.uniform(30, 80), 0.4, 12)
        shape = np.maximum(shape, stroke(branch - branch[0] + start, rng.uniform(2, 4)))
    depth = colour(rng, 0.0, 0.15) if surface.image.mean() > 0.35 else colour(rng, 0.75, 0.97)
    return blend(surface.image, depth, shape), shape


def stain(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    shape = blob(rng, 18, 46, 0.3, rng.uniform(0.8, 4))
    mottle = 1 + 0.15 * fractal(rng, 10, 2)
    return blend(
        surface.image, against(rng, surface.image, shape), shape * np.clip(mottle, 0.5, 1), rng.uniform(0.6, 0.95)
    ), shape


def hole(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    shape = blob(rng, 12, 30, 0.15, 0.7)
    rim = np.clip(blurred(np.repeat(shape[..., None], 3, 2), 3)[..., 0] * 2, 0, 1)
    dark = surface.image.mean() > 0.25
    image = blend(surface.image, np.full(3, 0.95 if dark else 0.6, np.float32), np.clip(rim - shape, 0, 1), 0.5)
    return blend(image, colour(rng, 0.0, 0.12) if dark else colour(rng, 0.85, 0.97), shape), np.maximum(shape, rim)


def missing_part(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    inner = [p for p in surface.parts if min(p) > 12 and max(p) < SIZE - 12]
    if not inner or surface.background is None:
        return surface.image, np.zeros((SIZE, SIZE), np.float32)
    x0, y0, x1, y1 = inner[rng.integers(len(inner))]
    corners = np.array([(x0 - 3, y0 - 3), (x1 + 4, y0 - 3), (x1 + 4, y1 + 4), (x0 - 3, y1 + 4)])
    shape = polygon(corners, 1.0)
    return blend(surface.image, surface.background, shape), shape


def misprint(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    """A region of the same picture, turned and shifted: the pattern is broken."""
    shape = blob(rng, 24, 48, 0.2, 0.8)
    turned = Image.fromarray(np.rint(surface.image * 255).astype(np.uint8)).rotate(
        float(rng.uniform(25, 155)), Image.Resampling.BILINEAR, translate=tuple(rng.integers(-30, 30, 2).tolist())
    )
    return blend(surface.image, np.asarray(turned, np.float32) / 255, shape), shape


def patch(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    """Another material in the place of this one, of another colour."""
    shape = blob(rng, 18, 44, 0.2, 0.8)
    tinted = 0.5 * foreign + 0.5 * against(rng, surface.image, shape)
    return blend(surface.image, tinted, shape), shape


def dent(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    x, y = place(rng)
    radius, turn = rng.uniform(18, 38), rng.uniform(0, 2 * np.pi)
    v, u = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    u, v = (u - x) / radius, (v - y) / radius
    inside = np.exp(-((u**2 + v**2) ** 2)).astype(np.float32)
    slope = (u * np.cos(turn) + v * np.sin(turn)) * inside
    image = np.clip(surface.image + rng.uniform(0.5, 0.9) * slope[..., None], 0, 1).astype(np.float32)
    return image, (inside > 0.3).astype(np.float32)


def particles(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    cx, cy = place(rng)
    shape = np.zeros((SIZE, SIZE), np.float32)
    for _ in range(int(rng.integers(6, 14))):
        x, y = np.array([cx, cy]) + rng.normal(0, 16, 2)
        shape = np.maximum(shape, polygon(ring(9, x, y, rng.uniform(4, 10) * rng.uniform(0.6, 1.3, 9))))
    return blend(surface.image, against(rng, surface.image, shape), shape), shape


def scuff(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    """Many short parallel scratches: rubbed."""
    cx, cy = place(rng)
    turn = rng.uniform(0, np.pi)
    shape = np.zeros((SIZE, SIZE), np.float32)
    for _ in range(int(rng.integers(8, 18))):
        centre = np.array([cx, cy]) + rng.normal(0, 15, 2)
        half = np.array([np.cos(turn), np.sin(turn)]) * rng.uniform(12, 32)
        shape = np.maximum(shape, stroke(np.stack([centre - half, centre + half]), rng.uniform(2, 4)))
    return blend(surface.image, against(rng, surface.image, shape), shape, rng.uniform(0.7, 1)), shape


def fade(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    """The colour has gone: bleached or darkened, the texture still there."""
    shape = blob(rng, 24, 50, 0.25, rng.uniform(1, 5))
    goal = 0.92 if surface.image.mean() < 0.55 else 0.08
    return blend(surface.image, np.full(3, goal, np.float32), shape, rng.uniform(0.4, 0.7)), shape


def warp(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    """The pattern is pulled out of shape around a point."""
    x, y = place(rng)
    radius, strength = rng.uniform(30, 50), rng.uniform(1.2, 2.6) * rng.choice([-1, 1])
    v, u = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    near = np.clip(1 - np.hypot(u - x, v - y) / radius, 0, 1)
    angle = strength * near
    su = x + (u - x) * np.cos(angle) - (v - y) * np.sin(angle)
    sv = y + (u - x) * np.sin(angle) + (v - y) * np.cos(angle)
    rows, columns = np.clip(np.rint(sv), 0, SIZE - 1).astype(int), np.clip(np.rint(su), 0, SIZE - 1).astype(int)
    return surface.image[rows, columns], (near > 0.05).astype(np.float32)


def tear(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:
    """A long slit that gapes in the middle, with one bright lip."""
    path = curve(rng, rng.uniform(80, 160), 0.08)
    normal = np.stack([-np.gradient(path[:, 1]), np.gradient(path[:, 0])], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    gape = np.sin(np.linspace(0, np.pi, len(path)))[:, None] * rng.uniform(4, 10)
    shape = polygon(np.concatenate([path + normal * gape, (path - normal * gape)[::-1]]))
    lip = stroke(path + normal * (gape + 1), 2.5)
    image = blend(surface.image, np.full(3, 0.95, np.float32), lip, 0.7)
    return blend(image, colour(rng, 0.0, 0.12), shape), np.maximum(shape, lip)


# --- held out ---------------------------------------------------------------------------------------


def burn(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:  # held out
    """A charred core in a brown halo."""
    core = blob(rng, 14, 28, 0.25, 1.2)
    halo = np.clip(blurred(np.repeat(core[..., None], 3, 2), 7)[..., 0] * 1.8, 0, 1)
    brown = np.array([0.36, 0.2, 0.08], np.float32) * rng.uniform(0.6, 1.2)
    image = blend(surface.image, brown, halo, 0.85)
    char = np.clip(0.06 + 0.05 * noise(rng, 90), 0, 1)[..., None].repeat(3, 2)
    return blend(image, char, core, 0.95), halo


def fibre(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:  # held out
    """A foreign thread that lies on the part in loops and casts a shadow."""
    path = curve(rng, rng.uniform(160, 300), 0.32, 60)
    width = rng.uniform(3, 6)
    shape = stroke(path, width)
    image = blend(surface.image, np.zeros(3, np.float32), stroke(path + 2.5, width, 1.5), 0.5)
    return blend(image, against(rng, surface.image, shape), shape), shape


def chip(rng: Rng, surface: Surface, foreign: Array) -> tuple[Array, Array]:  # held out
    """A splintered-out facet: an angular break with a light and a dark flank."""
    x, y = place(rng)
    radius = rng.uniform(24, 44)
    count = int(rng.integers(5, 8))
    outline = ring(count, x, y, radius * rng.uniform(0.6, 1.2, count), rng.uniform(0, 6))
    shape = polygon(outline)
    image = surface.image
    heart = np.array([x, y]) + rng.normal(0, radius / 6, 2)
    for k in range(count):
        facet = polygon(np.stack([outline[k], outline[(k + 1) % count], heart]))
        tone = 0.5 + 0.42 * np.sin(2 * np.pi * k / count + rng.normal(0, 0.3))
        image = blend(image, np.full(3, tone, np.float32), facet, 0.85)
    return image, shape


HELD_OUT: dict[str, Kind] = {f.__name__: f for f in (burn, fibre, chip)}
TRAIN: dict[str, Kind] = {
    f.__name__: f
    for f in (
        scratch, crack, stain, hole, missing_part, misprint, patch, dent, particles, scuff, fade, warp, tear,
    )
}  # fmt: skip


def damaged(
    rng: Rng, surface: Surface, foreign: Array, kinds: dict[str, Kind], tries: int = 30
) -> tuple[str, Array, Mask] | None:
    """A defect of one of these kinds that can be seen: its name, the picture, and its mask (SIZE, SIZE).

    None when no try was visible on this surface: draw another surface.
    """
    names = list(kinds)
    for _ in range(tries):
        name = names[rng.integers(len(names))]
        if name in PATTERN_BREAKING and not surface.patterned:
            continue
        image, shape = kinds[name](rng, surface, foreign)
        change = np.abs(blurred(image, 1.0) - blurred(surface.image, 1.0)).max(-1)
        mask = (shape > 0.3) & (change > SEEN)
        if mask.sum() < MIN_PIXELS:
            continue
        spread = float(surface.image[shape > 0.3].std(0).mean())
        if change[mask].mean() >= max(MIN_CHANGE, min(MIN_CONTRAST * spread, 0.3)):
            return name, image, mask
    return None
