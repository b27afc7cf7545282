"""Procedurally drawn surfaces and objects: what a good part may look like, one function a family.

A family takes a random generator and returns a `Surface`: an RGB picture, float32 in 0..1, and the
boxes of its separate parts, if it has any. `TRAIN` and `HELD_OUT` were fixed before the first
training run; every published figure comes from the families in `HELD_OUT`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import ImageFont

from demo.fields import (
    SIZE,
    Canvas,
    Colour,
    Family,
    Rng,
    Surface,
    blurred,
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

# --- families: cloth ------------------------------------------------------------------------------


def plain_weave(rng: Rng) -> Surface:
    u, v = coordinates(rng, turn=bool(rng.random() < 0.4))
    period = rng.uniform(7, 20)
    i, j = np.floor(u / period), np.floor(v / period)
    across = np.abs(np.sin(np.pi * v / period))
    along = np.abs(np.sin(np.pi * u / period))
    over = ((i + j) % 2) == 0
    a, b = two_colours(rng, 0.05) if rng.random() < 0.5 else (c := colour(rng), c)
    thread = np.where(over, across, along)
    relief = thread - 0.6 + np.where(over, tones(rng, j.astype(int), 0.06), tones(rng, i.astype(int), 0.06))
    return Surface(np.clip(mix(a, b, over.astype(np.float32)) + rng.uniform(0.15, 0.4) * relief[..., None], 0, 1))


def knit(rng: Rng) -> Surface:
    u, v = coordinates(rng, turn=False)
    width, height = rng.uniform(10, 22), rng.uniform(8, 16)
    x = u / width
    bend = np.abs((x % 1) - 0.5) * 1.2
    relief = np.sin(2 * np.pi * (v / height + bend)) * 0.6 + np.cos(2 * np.pi * x) * 0.4
    return Surface(shaded(colour(rng, 0.25, 0.8), relief, rng.uniform(0.1, 0.22)))


def carpet(rng: Rng) -> Surface:
    base = colour(rng, 0.2, 0.75)
    relief = noise(rng, 90, rng.integers(40, 120)) * 0.5 + noise(rng, 200) * 0.5
    return Surface(shaded(base, relief, rng.uniform(0.07, 0.15)), patterned=False)


def stripes(rng: Rng) -> Surface:
    u, _ = coordinates(rng)
    period, duty = rng.uniform(14, 50), rng.uniform(0.3, 0.7)
    a, b = two_colours(rng)
    edge = np.abs((u / period) % 1 - 0.5) * 2
    return Surface(mix(a, b, (edge - duty) * period / 3 + 0.5))


def twill(rng: Rng) -> Surface:  # held out
    u, v = coordinates(rng, turn=False)
    period = rng.uniform(6, 13)
    i, j = np.floor(u / period), np.floor(v / period)
    over = ((i + j) % 4) < 2
    thread = np.where(over, np.abs(np.sin(np.pi * v / period)), np.abs(np.sin(np.pi * u / period)))
    a, b = two_colours(rng, 0.08)
    relief = thread - 0.6 + np.where(over, tones(rng, j.astype(int), 0.05), tones(rng, i.astype(int), 0.05))
    return Surface(np.clip(mix(a, b, over.astype(np.float32)) + rng.uniform(0.12, 0.3) * relief[..., None], 0, 1))


# --- families: metal, wood, stone, plastic ----------------------------------------------------------


def brushed_metal(rng: Rng) -> Surface:
    streaks = noise(rng, 240, int(rng.integers(2, 8))) * 0.6 + noise(rng, 120, 3) * 0.4
    if rng.random() < 0.5:
        streaks = streaks.T
    return Surface(shaded(colour(rng, 0.35, 0.8, 0.04), streaks, rng.uniform(0.03, 0.08)), patterned=False)


def wood(rng: Rng) -> Surface:
    _, v = coordinates(rng, turn=False)
    warp = noise(rng, 3) * rng.uniform(4, 12)
    rings = np.sin(2 * np.pi * (v + warp) / rng.uniform(12, 36)) * 0.7 + noise(rng, 200, 5) * 0.35
    light = np.array([rng.uniform(0.55, 0.8), rng.uniform(0.4, 0.58), rng.uniform(0.2, 0.38)], np.float32)
    image = shaded(light, rings, rng.uniform(0.04, 0.1))
    return Surface(image if rng.random() < 0.5 else image.transpose(1, 0, 2).copy())


def leather(rng: Rng) -> Surface:
    field_ = fractal(rng, int(rng.integers(14, 36)), 2)
    return Surface(shaded(colour(rng, 0.2, 0.65), np.abs(field_) - 0.6, rng.uniform(0.1, 0.22)), patterned=False)


def granite(rng: Rng) -> Surface:
    a, b = two_colours(rng)
    grain = noise(rng, int(rng.integers(60, 130)))
    dark = (noise(rng, int(rng.integers(50, 100))) > 1.1).astype(np.float32)
    image = mix(a, b, 0.5 + 0.35 * grain)
    return Surface(blurred(image * (1 - 0.6 * dark[..., None]), 0.6), patterned=False)


def marble(rng: Rng) -> Surface:
    u, _ = coordinates(rng)
    veins = np.sin(2 * np.pi * u / rng.uniform(60, 150) + 1.6 * fractal(rng, 3, 4))
    a, b = two_colours(rng, 0.12)
    return Surface(mix(a, b, np.abs(veins) ** rng.uniform(0.6, 1.5)), patterned=False)


def concrete(rng: Rng) -> Surface:
    relief = fractal(rng, int(rng.integers(3, 8)), 6)
    return Surface(shaded(colour(rng, 0.35, 0.75, 0.05), relief, rng.uniform(0.04, 0.09)), patterned=False)


def plastic(rng: Rng) -> Surface:
    u, _ = coordinates(rng)
    glow = (u - u.mean()) / SIZE * rng.normal(0, 0.25) + noise(rng, 2) * 0.03 + noise(rng, 220) * 0.012
    return Surface(shaded(colour(rng, 0.2, 0.85, 0.25), glow, 1.0), patterned=False)


def corrugated(rng: Rng) -> Surface:
    u, _ = coordinates(rng)
    wave = np.sin(2 * np.pi * u / rng.uniform(14, 48))
    return Surface(shaded(colour(rng, 0.3, 0.75, 0.06), wave + 0.25 * noise(rng, 150), rng.uniform(0.1, 0.2)))


def diamond_plate(rng: Rng) -> Surface:  # held out
    pitch = rng.uniform(30, 46)
    canvas = Canvas(shaded(base := colour(rng, 0.35, 0.7, 0.05), noise(rng, 120), 0.02))
    for j in range(-1, int(SIZE / pitch) + 2):
        for i in range(-1, int(SIZE / pitch) + 2):
            cx, cy = (i + 0.5) * pitch, (j + 0.5) * pitch
            way = 1 if (i + j) % 2 else -1
            axis = np.array([0.36, 0.36 * way], np.float32) * pitch
            side = np.array([0.1 * way, -0.1], np.float32) * pitch
            centre = np.array([cx, cy], np.float32)
            tips = np.stack([centre - axis, centre + side, centre + axis, centre - side])
            canvas.polygon(tips, base + 0.2)
            canvas.polygon(np.stack([tips[0], tips[3], tips[2]]), base - 0.14)
    return Surface(canvas.done())


# --- families: tiles and granules -------------------------------------------------------------------


def bricks(rng: Rng) -> Surface:
    u, v = coordinates(rng, turn=False)
    height = rng.uniform(20, 44)
    width = height * rng.uniform(1.6, 3)
    row = np.floor(v / height)
    x = u / width + 0.5 * (row % 2)
    gap = rng.uniform(1.5, 4)
    edge = np.minimum(np.minimum(x % 1, 1 - x % 1) * width, np.minimum(v % height, height - v % height))
    key = (row * 57 + np.floor(x) * 31).astype(int)
    a, b = two_colours(rng, 0.15)
    image = mix(a, b, (edge - gap) / 2 + 0.5)
    inside = (edge > gap)[..., None]
    return Surface(np.clip(image + inside * (tones(rng, key, 0.04) + 0.03 * noise(rng, 90))[..., None], 0, 1))


def square_tiles(rng: Rng) -> Surface:
    u, v = coordinates(rng, turn=bool(rng.random() < 0.3))
    size, gap = rng.uniform(28, 70), rng.uniform(1.2, 3)
    edge = np.minimum(np.minimum(u % size, size - u % size), np.minimum(v % size, size - v % size))
    a, b = two_colours(rng, 0.15)
    key = (np.floor(u / size) * 57 + np.floor(v / size) * 31).astype(int)
    image = mix(a, b, (edge - gap) / 2 + 0.5)
    return Surface(np.clip(image + (tones(rng, key, 0.02) + 0.015 * fractal(rng, 20, 2))[..., None], 0, 1))


def checker(rng: Rng) -> Surface:
    u, v = coordinates(rng)
    size = rng.uniform(18, 44)
    field_ = np.sin(np.pi * u / size) * np.sin(np.pi * v / size)
    a, b = two_colours(rng)
    return Surface(mix(a, b, field_ * size / 4 + 0.5))


def hexagons(rng: Rng) -> Surface:  # held out
    u, v = coordinates(rng, turn=bool(rng.random() < 0.5))
    size = rng.uniform(16, 30)
    best = np.full((2, SIZE, SIZE), np.inf, np.float32)
    key = np.zeros((SIZE, SIZE), np.int64)
    for shift in (0.0, 0.5):
        i, j = np.round(u / size - shift), np.round(v / (size * 1.732) - shift)
        for di in (-1, 0, 1):
            x, y = (i + di + shift) * size, (j + shift) * size * 1.732
            distance = np.hypot(u - x, v - y)
            nearer = distance < best[0]
            best[1] = np.where(nearer, best[0], np.minimum(best[1], distance))
            best[0] = np.where(nearer, distance, best[0])
            key = np.where(nearer, ((i + di) * 57 + j * 31 + shift * 7).astype(np.int64), key)
    a, b = two_colours(rng, 0.15)
    image = mix(a, b, (best[1] - best[0]) / 3)
    return Surface(np.clip(image + tones(rng, key, 0.035)[..., None], 0, 1))


def granules(rng: Rng) -> Surface:
    canvas = Canvas(plain(base := colour(rng, 0.15, 0.5)))
    tint, radius = colour(rng, 0.3, 0.85), rng.uniform(5, 11)
    count = int(0.9 * SIZE * SIZE / radius**2)
    for x, y, tone, r in zip(
        *rng.uniform(-5, SIZE + 5, (2, count)), rng.normal(0, 0.06, count), rng.uniform(0.7, 1.1, count) * radius
    ):
        canvas.disc(x, y, r, r, base * 0.6)
        canvas.disc(x - 0.6, y - 0.6, r * 0.85, r * 0.85, tint + tone)
    return Surface(canvas.done(), patterned=False)


def terrazzo(rng: Rng) -> Surface:  # held out
    canvas = Canvas(plain(colour(rng, 0.5, 0.85, 0.06)))
    chips = [colour(rng, 0.2, 0.8) for _ in range(4)]
    radius = rng.uniform(5, 10)
    _, places = lattice(rng, 1.9 * radius, 2.6 * radius, 0.2)
    for x, y in places:
        corners = ring(6, x, y, radius * rng.uniform(0.5, 1.1, 6), rng.uniform(0, 6))
        canvas.polygon(corners, chips[rng.integers(4)])
    return Surface(np.clip(canvas.done() + 0.02 * noise(rng, 200)[..., None], 0, 1))


# --- families: printed marks --------------------------------------------------------------------------


def printed_text(rng: Rng) -> Surface:
    paper, ink = two_colours(rng, 0.4)
    canvas = Canvas(plain(paper))
    height = rng.uniform(16, 34)
    font = ImageFont.load_default(2 * height * 0.75)
    letters = np.array(list("ABCDEFGHJKLMNPRSTUVWXYZ0123456789abcdefghkmnpqrstuvwxyz-/."))
    y = rng.uniform(2, height)
    while y < SIZE - height / 2:
        text = "".join(rng.choice(letters, 40))
        canvas.draw.text((2 * rng.uniform(-20, 8), 2 * y), text, fill=rgb(ink), font=font)
        y += height * 1.25
    return Surface(canvas.done())


def dots(rng: Rng) -> Surface:
    paper, ink = two_colours(rng)
    canvas = Canvas(plain(paper))
    pitch, places = lattice(rng, 18, 44, 0.01)
    radius = pitch * rng.uniform(0.2, 0.38)
    for x, y in places:
        canvas.disc(x, y, radius, radius, ink)
    return Surface(canvas.done(), [(x - radius, y - radius, x + radius, y + radius) for x, y in places], paper)


def circuit(rng: Rng) -> Surface:
    board, trace = two_colours(rng, 0.15)
    canvas = Canvas(plain(board))
    step = rng.uniform(12, 20)
    for k in range(int(SIZE / step) + 1):
        y, x = k * step, -5.0
        points = [(x, y)]
        while x < SIZE:
            x += rng.uniform(30, 110)
            points.append((x, y))
            shift = float(rng.choice([-1, 0, 1])) * step * 0.5
            x, y = x + abs(shift), y + shift
            points.append((x, y))
        canvas.line(np.array(points), trace, step * 0.22)
        for px, py in points[1::3]:
            canvas.disc(px, py, step * 0.32, step * 0.32, trace)
            canvas.disc(px, py, step * 0.13, step * 0.13, board * 0.5)
    return Surface(canvas.done())


def symbols(rng: Rng) -> Surface:  # held out
    paper, ink = two_colours(rng, 0.35)
    canvas = Canvas(plain(paper))
    pitch, places = lattice(rng, 34, 56, 0.0)
    corners = int(rng.integers(3, 7))
    star = np.tile([1.0, 0.45], corners) if rng.random() < 0.5 else 1.0
    count = 2 * corners if isinstance(star, np.ndarray) else corners
    radius, phase = pitch * rng.uniform(0.28, 0.4), rng.uniform(0, 6)
    for x, y in places:
        canvas.polygon(ring(count, x, y, radius * star, phase), ink)
        canvas.disc(x, y, radius * 0.25, radius * 0.25, paper)
    return Surface(canvas.done(), [(x - radius, y - radius, x + radius, y + radius) for x, y in places], paper)


# --- families: parts ------------------------------------------------------------------------------------


def _parts(
    rng: Rng, low: float, high: float, draw: Callable[[Canvas, float, float, float], None], base: Colour
) -> Surface:
    canvas = Canvas(shaded(base, noise(rng, 60), 0.015))
    pitch, places = lattice(rng, low, high, 0.015)
    radius = pitch * rng.uniform(0.32, 0.42)
    for x, y in places:
        draw(canvas, x, y, radius)
    return Surface(canvas.done(), [(x - radius, y - radius, x + radius, y + radius) for x, y in places], base)


def pills(rng: Rng) -> Surface:
    tray, tint = two_colours(rng, 0.25)
    slim = rng.uniform(0.5, 1.0)

    def draw(canvas: Canvas, x: float, y: float, r: float) -> None:
        canvas.disc(x + 1.5, y + 2, r, r * slim, tray * 0.6)
        canvas.disc(x, y, r, r * slim, tint * 0.85)
        canvas.disc(x - r * 0.1, y - r * 0.1, r * 0.8, r * slim * 0.75, tint)
        canvas.disc(x - r * 0.3, y - r * slim * 0.3, r * 0.3, r * slim * 0.2, tint + 0.15)

    return _parts(rng, 34, 80, draw, tray)


def screws(rng: Rng) -> Surface:
    tray, tint = two_colours(rng, 0.25)

    def draw(canvas: Canvas, x: float, y: float, r: float) -> None:
        canvas.disc(x + 1.5, y + 1.5, r, r, tray * 0.6)
        canvas.disc(x, y, r, r, tint)
        canvas.disc(x, y, r * 0.82, r * 0.82, tint + 0.08)
        centre, turn = np.array([x, y]), rng.uniform(0, np.pi)
        for angle in (turn, turn + np.pi / 2):
            arm = np.array([np.cos(angle), np.sin(angle)]) * r * 0.6
            canvas.line(np.stack([centre - arm, centre + arm]), tint * 0.4, r * 0.2)

    return _parts(rng, 36, 80, draw, tray)


def wire_mesh(rng: Rng) -> Surface:
    back, wire = two_colours(rng, 0.25)
    u, v = coordinates(rng, turn=bool(rng.random() < 0.5))
    period, width = rng.uniform(16, 34), rng.uniform(2, 4.5)
    du = np.abs(u % period - period / 2)
    dv = np.abs(v % period - period / 2)
    edge = width - np.minimum(du, dv)
    return Surface(np.clip(mix(back, wire, edge + 0.5) + 0.05 * np.clip(edge, 0, 2)[..., None], 0, 1))


def nut(rng: Rng) -> Surface:
    back, metal = two_colours(rng, 0.25)
    canvas = Canvas(shaded(back, noise(rng, 40), 0.015))
    x, y = SIZE / 2 + rng.uniform(-12, 12, 2)
    r = rng.uniform(70, 100)
    phase = rng.uniform(0, 6)
    canvas.polygon(ring(6, x + 3, y + 3, r, phase), back * 0.6)
    canvas.polygon(ring(6, x, y, r, phase), metal)
    canvas.disc(x, y, r * 0.8, r * 0.8, metal + 0.07)
    canvas.disc(x, y, r * 0.5, r * 0.5, metal * 0.6)
    canvas.disc(x, y, r * 0.45, r * 0.45, back)
    return Surface(np.clip(canvas.done() + 0.02 * noise(rng, 150)[..., None], 0, 1))


def bottle_top(rng: Rng) -> Surface:
    back, glass = two_colours(rng, 0.25)
    canvas = Canvas(plain(back))
    x, y = SIZE / 2 + rng.uniform(-12, 12, 2)
    r = rng.uniform(75, 115)
    for k, share in enumerate(np.sort(rng.uniform(0.25, 1.0, int(rng.integers(3, 6))))[::-1]):
        canvas.disc(x, y, r * share, r * share, glass * (0.6 if k % 2 else 1.0) + (0.05 * k))
    return Surface(canvas.done())


def connector(rng: Rng) -> Surface:
    back, body = two_colours(rng, 0.25)
    canvas = Canvas(plain(back))
    pin = colour(rng, 0.6, 0.9)
    rows, columns = int(rng.integers(2, 5)), int(rng.integers(4, 8))
    w, h = rng.uniform(190, 240), rng.uniform(110, 200)
    x0, y0 = (SIZE - w) / 2, (SIZE - h) / 2
    canvas.draw.rounded_rectangle((2 * x0, 2 * y0, 2 * (x0 + w), 2 * (y0 + h)), 20, fill=rgb(body))
    parts = []
    r = min(w / columns, h / rows) * 0.3
    for j in range(rows):
        for i in range(columns):
            x, y = x0 + (i + 0.5) * w / columns, y0 + (j + 0.5) * h / rows
            canvas.draw.rectangle(canvas.box(x, y, r, r), fill=rgb(pin))
            canvas.draw.rectangle(canvas.box(x, y, r * 0.5, r * 0.5), fill=rgb(pin * 0.6))
            parts.append((x - r, y - r, x + r, y + r))
    return Surface(canvas.done(), parts, body)


def gear(rng: Rng) -> Surface:  # held out
    back, metal = two_colours(rng, 0.25)
    canvas = Canvas(shaded(back, noise(rng, 40), 0.015))
    x, y = SIZE / 2 + rng.uniform(-12, 12, 2)
    r, teeth = rng.uniform(80, 112), int(rng.integers(12, 25))
    profile = np.tile([1.0, 1.0, 0.86, 0.86], teeth)
    phase = rng.uniform(0, 6)
    canvas.polygon(ring(4 * teeth, x + 3, y + 3, r * profile, phase), back * 0.6)
    canvas.polygon(ring(4 * teeth, x, y, r * profile, phase), metal)
    canvas.disc(x, y, r * 0.7, r * 0.7, metal * 0.85)
    for cx, cy in ring(int(rng.integers(4, 7)), x, y, r * 0.47, phase):
        canvas.disc(cx, cy, r * 0.13, r * 0.13, back)
    canvas.disc(x, y, r * 0.2, r * 0.2, back)
    return Surface(np.clip(canvas.done() + 0.02 * noise(rng, 150)[..., None], 0, 1))


HELD_OUT: dict[str, Family] = {f.__name__: f for f in (twill, diamond_plate, hexagons, terrazzo, symbols, gear)}
TRAIN: dict[str, Family] = {
    f.__name__: f
    for f in (
        plain_weave, knit, carpet, stripes, brushed_metal, wood, leather, granite, marble, concrete, plastic,
        corrugated, bricks, square_tiles, checker, granules, printed_text, dots, circuit, pills, screws,
        wire_mesh, nut, bottle_top, connector,
    )
}  # fmt: skip
