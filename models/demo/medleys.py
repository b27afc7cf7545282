"""Surfaces of the second round of training: many colours, sizes and repeated parts side by side, one function a family.

On new pictures of the families in `surfaces.TRAIN` the first round's model was weakest where normal parts have strong
edges of their own (pills, granules, dots). Here are more such surfaces. Nothing in `surfaces.HELD_OUT` is among them.
"""

from __future__ import annotations

import numpy as np

from demo.fields import (
    SIZE,
    Array,
    Canvas,
    Colour,
    Family,
    Rng,
    Surface,
    colour,
    coordinates,
    fractal,
    lattice,
    mix,
    noise,
    plain,
    rgb,
    ring,
    shaded,
    tones,
    two_colours,
)


def palette(rng: Rng, low: int, high: int) -> list[Colour]:
    """`low` to `high` colours."""
    return [colour(rng) for _ in range(int(rng.integers(low, high + 1)))]


def cells(rng: Rng, size: float) -> tuple[Array, Array, Array]:
    """Voronoi cells around a shaken grid of points: distances to the nearest and the next, and a cell's key."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    count = int(SIZE / size) + 4
    points = (np.mgrid[0:count, 0:count].transpose(1, 2, 0) - 1 + rng.uniform(0.1, 0.9, (count, count, 2))) * size
    row, column = (y / size).astype(int) + 1, (x / size).astype(int) + 1
    nearest, second = np.full((2, SIZE, SIZE), np.inf, np.float32)
    key = np.zeros((SIZE, SIZE), np.int64)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            place = points[row + dy, column + dx]
            distance = np.hypot(y - place[..., 0], x - place[..., 1]).astype(np.float32)
            nearer = distance < nearest
            second = np.where(nearer, nearest, np.minimum(second, distance))
            key = np.where(nearer, (row + dy) * 61 + column + dx, key)
            nearest = np.where(nearer, distance, nearest)
    return nearest, second, key


def mosaic(rng: Rng) -> Surface:
    nearest, second, key = cells(rng, rng.uniform(12, 34))
    colours = np.stack(palette(rng, 2, 6))
    table = rng.integers(len(colours), size=4099)
    image = colours[table[key % 4099]]
    grout = np.clip((second - nearest) / rng.uniform(2, 5), 0, 1)[..., None]
    image = colour(rng) * (1 - grout) + image * grout
    return Surface(np.clip(image + 0.015 * noise(rng, 180)[..., None], 0, 1).astype(np.float32), patterned=False)


def cobbles(rng: Rng) -> Surface:
    nearest, second, key = cells(rng, rng.uniform(16, 44))
    dome = np.clip((second - nearest) / rng.uniform(8, 18), 0, 1) ** 0.6
    stone = shaded(colour(rng, 0.35, 0.75, 0.06), tones(rng, key, 0.05) + 0.04 * fractal(rng, 30, 3), 1.0)
    return Surface(stone * (rng.uniform(0.2, 0.5) + 0.6 * dome[..., None]).astype(np.float32), patterned=False)


def camouflage(rng: Rng) -> Surface:
    image = plain(colour(rng))
    cells_ = int(rng.integers(5, 22))
    for paint in palette(rng, 2, 4):
        edge = (noise(rng, cells_) + 0.5 * noise(rng, 2 * cells_) - rng.uniform(0.3, 0.8)) * 8
        weight = np.clip(edge, 0, 1)[..., None]
        image = image * (1 - weight) + paint * weight
    return Surface(np.clip(image + 0.015 * noise(rng, 200)[..., None], 0, 1).astype(np.float32), patterned=False)


def sprinkles(rng: Rng) -> Surface:
    canvas, colours = Canvas(plain(colour(rng))), palette(rng, 2, 5)
    length, width = rng.uniform(8, 18), rng.uniform(2.5, 5)
    for x, y in rng.uniform(0, SIZE, (int(0.5 * SIZE * SIZE / (length * width * 2)), 2)):
        turn = rng.uniform(0, np.pi)
        half = np.array([np.cos(turn), np.sin(turn)]) * length / 2
        centre = np.array([x, y])
        canvas.line(np.stack([centre - half, centre + half]), colours[rng.integers(len(colours))], width)
    return Surface(canvas.done(), patterned=False)


def pebbles(rng: Rng) -> Surface:
    base, colours, radius = colour(rng, 0.1, 0.5), palette(rng, 1, 5), rng.uniform(6, 15)
    canvas = Canvas(plain(base))
    for x, y in rng.uniform(-5, SIZE + 5, (int(1.1 * SIZE * SIZE / radius**2), 2)):
        outline = ring(12, 0, 0, radius * rng.uniform(0.6, 1.05)) * [1, rng.uniform(0.6, 1)]
        turn = rng.uniform(0, np.pi)
        outline = outline @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) + [x, y]
        tint = colours[rng.integers(len(colours))] + np.float32(rng.normal(0, 0.05))
        canvas.polygon(outline + 1.2, tint * 0.5)
        canvas.polygon(outline, tint)
    return Surface(canvas.done(), patterned=False)


def spatter(rng: Rng) -> Surface:
    canvas, colours = Canvas(plain(colour(rng))), palette(rng, 1, 4)
    largest = rng.uniform(2.5, 7)
    for x, y in rng.uniform(0, SIZE, (int(0.35 * SIZE * SIZE / largest**2), 2)):
        r = largest * rng.uniform(0.2, 1) ** 1.5
        canvas.disc(x, y, r, r * rng.uniform(0.7, 1), colours[rng.integers(len(colours))])
    return Surface(canvas.done(), patterned=False)


def plaid(rng: Rng) -> Surface:
    u, v = coordinates(rng, turn=bool(rng.random() < 0.5))
    image = plain(colour(rng))
    for along in (u, v):
        for paint in palette(rng, 1, 3):
            period, duty, start = rng.uniform(20, 60), rng.uniform(0.15, 0.5), rng.uniform(0, 60)
            band = np.abs(((along + start) / period) % 1 - 0.5) * 2
            weight = np.clip((duty - band) * period / 3 + 0.5, 0, 1)[..., None] * 0.6
            image = image * (1 - weight) + paint * weight
    return Surface(np.clip(image + 0.03 * np.sin(u * 1.3)[..., None], 0, 1).astype(np.float32))


def roof_tiles(rng: Rng) -> Surface:
    a, b = two_colours(rng, 0.12)
    canvas, pitch = Canvas(plain(b)), rng.uniform(20, 44)
    for j in range(-1, int(SIZE / (0.6 * pitch)) + 3):
        for i in range(-1, int(SIZE / pitch) + 3):
            x, y = (i + 0.5 * (j % 2)) * pitch, SIZE - j * 0.6 * pitch
            canvas.disc(x, y, pitch * 0.52, pitch * 0.75, b)
            canvas.disc(x, y, pitch * 0.46, pitch * 0.68, a + np.float32(rng.normal(0, 0.03)))
    return Surface(canvas.done())


def chain_mail(rng: Rng) -> Surface:
    back, metal = two_colours(rng, 0.25)
    canvas = Canvas(plain(back))
    pitch, places = lattice(rng, 16, 36, 0.01)
    for x, y in places:
        outline = ring(28, x, y, pitch * 0.56)
        canvas.line(np.concatenate([outline, outline[:2]]) + 1, metal * 0.5, pitch * 0.15)
        canvas.line(np.concatenate([outline, outline[:2]]), metal, pitch * 0.13)
    return Surface(canvas.done())


def candies(rng: Rng) -> Surface:
    """A lattice of discs of several colours, each with a highlight."""
    back, colours = colour(rng), palette(rng, 2, 5)
    canvas = Canvas(shaded(back, noise(rng, 60), 0.015))
    pitch, places = lattice(rng, 18, 52, rng.uniform(0.01, 0.06))
    radius = pitch * rng.uniform(0.3, 0.46)
    for x, y in places:
        tint = colours[rng.integers(len(colours))]
        canvas.disc(x, y, radius, radius, tint * 0.7)
        canvas.disc(x - 0.5, y - 0.5, radius * 0.85, radius * 0.85, tint)
        canvas.disc(x - radius * 0.3, y - radius * 0.3, radius * 0.2, radius * 0.2, tint * 0.4 + 0.6)
    return Surface(canvas.done(), [(x - radius, y - radius, x + radius, y + radius) for x, y in places], back)


def keypad(rng: Rng) -> Surface:
    """Rounded keys in rows, with a mark on each."""
    back, key = two_colours(rng, 0.15)
    ink = colour(rng, 0.02, 0.98)
    canvas = Canvas(plain(back))
    width, height = rng.uniform(28, 60), rng.uniform(24, 44)
    parts = []
    for j in range(-1, int(SIZE / height) + 2):
        for i in range(-1, int(SIZE / width) + 2):
            x, y, rx, ry = (i + 0.5) * width, (j + 0.5) * height, 0.42 * width, 0.4 * height
            canvas.draw.rounded_rectangle(canvas.box(x, y, rx, ry), 10, fill=rgb(key))
            canvas.disc(x, y, rx * 0.3, ry * 0.3, ink)
            canvas.disc(x, y, rx * 0.18, ry * 0.18, key)
            parts.append((x - rx, y - ry, x + rx, y + ry))
    return Surface(canvas.done(), parts, back)


def herringbone(rng: Rng) -> Surface:
    u, v = coordinates(rng, turn=bool(rng.random() < 0.5))
    short = rng.uniform(8, 18)
    i, j = np.floor(u / short).astype(int), np.floor(v / short).astype(int)
    lying = ((i - j) % 4) < 2
    a, b = two_colours(rng, 0.04)
    across = np.where(lying, v, u) % short
    seam = np.clip((np.minimum(across, short - across) - 0.6) / 1.5, 0, 1)
    keys = np.where(lying, j * 31 + (i - j) // 4, i * 57 + (j - i - 2) // 4)
    image = mix(a, b, lying.astype(np.float32)) + tones(rng, keys, 0.04)[..., None]
    return Surface(np.clip(image * (0.55 + 0.45 * seam[..., None]), 0, 1).astype(np.float32))


TRAIN: dict[str, Family] = {
    f.__name__: f
    for f in (
        mosaic, cobbles, camouflage, sprinkles, pebbles, spatter, plaid, roof_tiles, chain_mail, candies, keypad,
        herringbone,
    )
}  # fmt: skip
