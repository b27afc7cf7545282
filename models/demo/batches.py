"""Training batches: random crops of drawn pairs with their labels, and prompts with their objects."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor

from clipspect.recipes.prompts import Ensemble
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.config import CLIP_MEAN, CLIP_STD
from clipspect_export.towers.prompts import tokenize
from demo.fields import SIZE
from demo.pool import Pool
from demo.surfaces import HELD_OUT

IMAGE, PATCH = 240, 16
GRID = IMAGE // PATCH
IGNORE = -1  # the label of what a person could not decide
SEEN_IN_IMAGE = 200  # pixels of a defect that make a picture defective
SEEN_IN_WINDOW = 80  # ... a window
SEEN_IN_PATCH = 40  # ... a patch
MOST_OF_WINDOW = 0.97  # a window all inside a defect shows no edge of it: nobody could tell

NEGATIVE = 0.1  # the chance of a negative


def labels(pixels: npt.NDArray[np.integer], seen: int) -> npt.NDArray[np.int64]:
    """0 normal, 1 anomalous, IGNORE for too few pixels to be seen."""
    return np.where(pixels == 0, 0, np.where(pixels >= seen, 1, IGNORE)).astype(np.int64)


@dataclass(frozen=True)
class Windows:
    """Sampled windows of one scale: which image, which tokens of it, and the label."""

    image: Tensor  # (M,)
    tokens: Tensor  # (M, 1 + scale * scale), 0 is the class token
    label: Tensor  # (M,)


@dataclass(frozen=True)
class Batch:
    """N pictures with labels of some of their windows, and of the first K, which are read whole, of all patches."""

    pixels: Tensor  # (N, 3, IMAGE, IMAGE) normalised
    image: Tensor  # (K,)
    patch: Tensor  # (K, GRID * GRID)
    windows: list[Windows]


def draw_batch(
    pool: Pool, rng: np.random.Generator, pairs: int, whole: int, windows: dict[int, int], twins_alike: bool = False
) -> Batch:
    """`pairs` good parts and their damaged twins, cropped, turned, mirrored and coloured at random, twins alike.

    The defect is all that tells twins apart, so that nothing else is learned. The first `whole` pairs are read whole.
    `windows` says how many windows to read of each scale and picture, with `twins_alike` the same of both twins.
    """
    pictures = np.empty((2 * pairs, IMAGE, IMAGE, 3), np.uint8)
    counts = np.zeros((2 * pairs, GRID, GRID), np.int64)  # defective pixels a patch
    for k, index in enumerate(rng.integers(len(pool), size=pairs)):
        images, mask = pool[int(index)]
        y, x = rng.integers(SIZE - IMAGE + 1, size=2)
        crop = np.s_[y : y + IMAGE, x : x + IMAGE]
        turn, mirror = int(rng.integers(4)), bool(rng.integers(2))
        for bad in (0, 1):
            pictures[2 * k + bad] = _turned(images[bad][crop], turn, mirror)
        cells = _turned(mask[crop], turn, mirror).reshape(GRID, PATCH, GRID, PATCH)
        counts[2 * k + 1] = cells.sum((1, 3))
    return Batch(
        pixels=_coloured(pictures, rng),
        image=torch.from_numpy(labels(counts[: 2 * whole].sum((1, 2)), SEEN_IN_IMAGE)),
        patch=torch.from_numpy(labels(counts[: 2 * whole].reshape(2 * whole, -1), SEEN_IN_PATCH)),
        windows=[_windows(counts, scale, number, rng, twins_alike) for scale, number in windows.items()],
    )


def _turned(image: npt.NDArray[np.generic], turn: int, mirror: bool) -> npt.NDArray[np.generic]:
    image = np.rot90(image, turn)
    return image[:, ::-1] if mirror else image


def _coloured(pictures: npt.NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
    """Random contrast, brightness, tint, order of the channels, sometimes the negative; then CLIP's normalisation."""
    n = len(pictures) // 2
    gain = (
        rng.uniform(0.7, 1.25, (n, 1))
        * rng.uniform(0.88, 1.12, (n, 3))
        * np.where(rng.random((n, 1)) < NEGATIVE, -1, 1)
    )
    bias = rng.uniform(-0.12, 0.12, (n, 1)) + rng.uniform(-0.05, 0.05, (n, 3))
    order = np.stack([rng.permutation(3) for _ in range(n)])
    gain, bias, order = (value.repeat(2, axis=0) for value in (gain, bias, order))
    scale = torch.from_numpy((gain / 255).astype(np.float32))[:, :, None, None]
    shift = torch.from_numpy((0.5 - 0.5 * gain + bias).astype(np.float32))[:, :, None, None]
    planes = torch.from_numpy(pictures).permute(0, 3, 1, 2)  # (N, 3, H, W)
    planes = planes[torch.arange(2 * n)[:, None], torch.from_numpy(order)]
    value = (planes.float() * scale + shift).clamp_(0, 1)
    return (value - torch.tensor(CLIP_MEAN)[:, None, None]) / torch.tensor(CLIP_STD)[:, None, None]


def _windows(
    counts: npt.NDArray[np.int64], scale: int, number: int, rng: np.random.Generator, twins_alike: bool
) -> Windows:
    """`number` windows a picture; of a damaged one, half of them where the defect is, of its twin perhaps the same."""
    places = GRID - scale + 1
    view = np.lib.stride_tricks.sliding_window_view(counts, (scale, scale), (1, 2)).sum((-1, -2))
    view = view.reshape(len(counts), -1)  # (N, places * places)
    label = labels(view, SEEN_IN_WINDOW)
    label[view > MOST_OF_WINDOW * (scale * PATCH) ** 2] = IGNORE
    chosen = np.empty((len(counts), number), np.int64)
    for k, row in enumerate(label):
        chosen[k] = rng.integers(places * places, size=number)
        inside = np.flatnonzero(row == 1)
        if len(inside):
            chosen[k, : number // 2] = rng.choice(inside, number // 2)
    if twins_alike:
        chosen[::2] = chosen[1::2]
    top, left = np.divmod(chosen.reshape(-1, 1), places)
    dy, dx = np.divmod(np.arange(scale * scale), scale)
    tokens = 1 + (top + dy) * GRID + left + dx
    tokens = np.concatenate([np.zeros((len(tokens), 1), np.int64), tokens], 1)
    return Windows(
        image=torch.arange(len(counts)).repeat_interleave(number),
        tokens=torch.from_numpy(tokens),
        label=torch.from_numpy(np.take_along_axis(label, chosen, 1).reshape(-1)),
    )


class Vocabulary:
    """Object names: one to three words of CLIP's own vocabulary, so that no name is special."""

    def __init__(self) -> None:
        words = (token.removesuffix("</w>") for token in SimpleTokenizer().encoder if token.endswith("</w>"))
        unseen = set(" ".join(HELD_OUT).replace("_", " ").split()) | {"object", "pipe", "textile"}
        self.words = sorted(word for word in words if re.fullmatch(r"[a-z]{3,12}", word) and word not in unseen)

    def name(self, rng: np.random.Generator) -> str:
        return " ".join(rng.choice(self.words, rng.choice([1, 2, 3], p=[0.5, 0.4, 0.1])))


def draw_prompts(
    ensemble: Ensemble, vocabulary: Vocabulary, clip: Clip, rng: np.random.Generator, *, objects: int, each: int
) -> Tensor:
    """Token ids (objects * 2 * each, T): for every object `each` normal, then `each` anomalous prompts."""
    prompts: list[str] = []
    for _ in range(objects):
        for state in ensemble.prompts(vocabulary.name(rng)):
            prompts += rng.choice(state, each).tolist()
    return tokenize(prompts, clip)
