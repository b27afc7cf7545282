"""The cascade: windows far apart first, and all windows where the map that they make is over a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from clipspect.engines import Tensors
from clipspect.inspection.window_layout import Bools, Chosen, Layout
from clipspect.inspection.window_scores import Embedded, Scored
from clipspect.recipes.on_demand import Cascade


class Encode(Protocol):
    """What encodes chosen windows of images, or remembers them."""

    def __call__(self, pixels: npt.NDArray[np.uint8], chosen: Chosen, *, patches: bool = False) -> Embedded: ...


class Scorer(Protocol):
    """What makes values of embeddings."""

    layout: Layout

    def scored(self, embedded: Embedded, tensors: Tensors) -> Scored: ...


def cascaded(
    scorer: Scorer,
    encode: Encode,
    pixels: npt.NDArray[np.uint8],
    wanted: Chosen,
    tensors: Tensors,
    cascade: Cascade,
    needed: Bools | None,
    *,
    patches: bool,
) -> Embedded:
    """Images (N, H, W, 3) with the windows `cascade.stride` patches apart of those `wanted`, and all of them around
    patches whose value is over the limit. Raises BackendError.
    """
    layout = scorer.layout
    apart = [own & far for own, far in zip(wanted, layout.apart(cascade.stride, len(pixels)))]
    coarse = replace(encode(pixels, apart, patches=patches), needed=needed)
    values = scorer.scored(coarse, tensors).patches.astype(np.float32)  # as the limit was found
    suspicious = layout.around(values > np.float32(cascade.limit))
    covering = layout.covering(suspicious)
    missing = [own & near & ~there for own, near, there in zip(wanted, covering, apart)]
    again = np.logical_or.reduce([own.any(axis=1) for own in missing])  # (N,)
    if not again.any():
        return coarse
    fine = encode(pixels[again], [own[again] for own in missing])
    work = coarse.work.copy()
    work[again] += fine.work
    return replace(
        coarse,
        windows=[_filled(own, more, again) for own, more in zip(coarse.windows, fine.windows)],
        there=[own | more for own, more in zip(apart, missing)],
        work=work,
    )


def _filled(rows: npt.NDArray[np.float32], more: npt.NDArray[np.float32], images: Bools) -> npt.NDArray[np.float32]:
    """Rows (N, windows, D), 0 where a window is not there, with those of some images."""
    filled: npt.NDArray[np.float32] = rows.copy()
    filled[images] += more
    return filled


def lowest_limit(
    layout: Layout, patches: Sequence[npt.NDArray[np.float32]], stride: int, work: float, needed: Bools | None = None
) -> float:
    """The lowest limit at which images, whose coarse values are these (rows, columns), take at most `work` on average.

    `work` is a share of all windows' tokens; where the first step alone takes more, the largest of the values. Only
    windows that cover patches `needed` (N, rows, columns) are encoded.
    """
    values = np.stack(patches)
    candidates = np.unique(values)
    low, high = 0, len(candidates) - 1  # of the last nothing is over it
    while low < high:
        middle = (low + high) // 2
        if expected_work(layout, values, stride, float(candidates[middle]), needed) <= work:
            high = middle
        else:
            low = middle + 1
    return float(candidates[low])


def expected_work(
    layout: Layout, values: npt.NDArray[np.float32], stride: int, limit: float, needed: Bools | None = None
) -> float:
    """The mean share of tokens that images of these coarse values (N, rows, columns) take at a limit."""
    wanted = layout.all(len(values)) if needed is None else layout.covering(needed)
    apart = [own & far for own, far in zip(wanted, layout.apart(stride, len(values)))]
    covering = layout.covering(layout.around(values > limit))
    missing = [own & near & ~there for own, near, there in zip(wanted, covering, apart)]
    again = np.logical_or.reduce([own.any(axis=1) for own in missing])
    return float((layout.share(apart) + np.where(again, layout.share(missing), 0)).mean())
