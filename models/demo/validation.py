"""What a model in training is worth on new pictures of the families and kinds that it trains on: the learning curve.

Nothing here is held out: a choice may be made by these figures. The map is WinCLIP's own, as the bundle makes it.
"""

from __future__ import annotations

import copy

import numpy as np
import torch

from clipspect.recipes.prompts import read_ensemble, text_features
from clipspect_export.clip import Clip
from clipspect_export.prompts import embed_prompts
from clipspect_export.winclip import WinClip
from clipspect_lab.evaluation.metrics import auroc
from clipspect_lab.evaluation.pixels import pixel_figures
from demo import surfaces
from demo.batches import IMAGE
from demo.fields import Family, Kind
from demo.pool import Pair, draw_pair

SEED = 7331  # no shard of the training's pictures has it
SCALES = (2, 3)
BATCH = 8


def draw_pairs(families: dict[str, Family], kinds: dict[str, Kind], each: int, seed: int = SEED) -> list[Pair]:
    """`each` pairs of every family, with defects of any kind, cropped to the model's size."""
    pairs = []
    for f, (family, draw) in enumerate(families.items()):
        rng = np.random.default_rng([seed, f])
        for _ in range(each):
            pairs.append(draw_pair(rng, {family: draw}, kinds, surfaces.TRAIN).centre(IMAGE))
    return pairs


@torch.no_grad()
def figures(clip: Clip, pairs: list[Pair]) -> dict[str, dict[str, float]]:
    """Image AUROC, pixel AUROC and exact AUPRO by family, the good pictures' pixels included, and their mean."""
    graph = WinClip(copy.deepcopy(clip.visual), clip.config, SCALES).eval()  # a copy: it changes its tower
    features = text_features(read_ensemble("winclip"), "object", lambda prompts: embed_prompts(prompts, clip))
    rows: dict[str, dict[str, float]] = {}
    for family in dict.fromkeys(pair.family for pair in pairs):
        own = [pair for pair in pairs if pair.family == family]
        images = np.stack([image for pair in own for image in (pair.good, pair.bad)])
        truth = np.stack([mask for pair in own for mask in (np.zeros_like(pair.mask), pair.mask)])
        parts = [graph(part, torch.from_numpy(features)) for part in torch.from_numpy(images).split(BATCH)]
        scores, maps = (torch.cat(values).numpy() for values in zip(*parts))
        pixel = pixel_figures(lambda maps=maps, truth=truth: zip(maps, truth)).figures
        image = auroc(truth.any((1, 2)), scores)
        rows[family] = {"image_auroc": image, "pixel_auroc": pixel.auroc, "aupro": pixel.aupro_exact}
    keys = next(iter(rows.values()))
    return rows | {"mean": {key: float(np.mean([row[key] for row in rows.values()])) for key in keys}}
