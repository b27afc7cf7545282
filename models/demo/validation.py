"""What a model in training is worth on new pictures of the families and kinds that it trains on: the learning curve.

Nothing here is held out: a choice may be made by these figures. The map is WinCLIP's own, as the bundle makes it.
"""

from __future__ import annotations

import copy

import numpy as np
import torch

from clipspect.recipes.prompts import read_ensemble, text_features
from clipspect_export.methods.winclip.graph import WinClip
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.prompts import embed_prompts
from clipspect_lab.demo.figures import PictureFigures, figures_by_family, mean_of_families
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
def figures(clip: Clip, pairs: list[Pair]) -> list[PictureFigures]:
    """The figures of each family, the good pictures' pixels included, and their mean, which is the last."""
    graph = WinClip(copy.deepcopy(clip.visual), clip.config, SCALES).eval()  # a copy: it changes its tower
    features = text_features(read_ensemble("winclip"), "object", lambda prompts: embed_prompts(prompts, clip))
    images = torch.from_numpy(np.stack([image for pair in pairs for image in (pair.good, pair.bad)]))
    masks = [mask for pair in pairs for mask in (np.zeros_like(pair.mask), pair.mask)]
    parts = [graph(part, torch.from_numpy(features))[:2] for part in images.split(BATCH)]  # not the embedding
    scores, maps = (torch.cat(values).numpy() for values in zip(*parts))
    rows = figures_by_family(scores, maps, masks, [pair.family for pair in pairs for _ in range(2)])
    return [*rows, mean_of_families(rows)]
