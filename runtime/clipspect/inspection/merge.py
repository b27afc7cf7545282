"""From the answers to a frame's views to one map and one score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from clipspect.frame.views import View
from clipspect.inspection.maps import Map, enlarge


def merge(
    scores: npt.NDArray[np.float32], maps: Map, views: Sequence[View], size: tuple[int, int]
) -> tuple[float, Map]:
    """The score and the map of a frame of that size (width, height) from those of its views: (V,) and (V, H, W).

    The score is that of the most anomalous view. One view of the whole frame keeps its map in the model's size; several
    make one map (height, width) in the frame's, each in its placement, and 0 where no view is placed.
    """
    score = float(scores.max())
    if len(views) == 1 and views[0].placement.size == size:
        return score, np.array(maps[0])  # a map of its own: a result that is kept must not keep its whole batch
    width, height = size
    merged = np.zeros((height, width), np.float32)
    for answered, view in zip(maps, views):
        crop, place = view.crop, view.placement
        part = enlarge(answered, *crop.size, place.seen_from(crop))
        merged[place.top : place.bottom, place.left : place.right] = part
    return score, merged


def merge_embeddings(rows: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32] | None:
    """The embedding (D,) of a frame from those of its views (V, D): their mean, of length 1; a single one as it is."""
    if rows is None or len(rows) == 1:
        return None if rows is None else np.array(rows[0])
    total = rows.sum(axis=0)
    merged: npt.NDArray[np.float32] = total / max(float(np.linalg.norm(total)), np.finfo(np.float32).tiny)
    return merged
