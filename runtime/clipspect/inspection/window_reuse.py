"""Reuse for fixed cameras: windows whose pixels are those that their embedding was made of are not encoded again.

What is compared are the pixels that each kept embedding was made of, not those of the frame before: what moves slowly
is not missed, and no frame between them, no other camera and no other recipe can leave anything stale.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import RecipeError
from clipspect.inspection.cascade import Encode
from clipspect.inspection.window_layout import Bools, Chosen, Floats, Layout
from clipspect.inspection.window_scores import Embedded, Rows
from clipspect.recipes.on_demand import Reuse

_MOST_NOISE = 32  # grey levels between still frames in the model's size: more is no noise

Pixels = npt.NDArray[np.uint8]


@dataclass(eq=False)
class _Kept:
    """Embeddings of one kind, and the pixels that each was made of."""

    pixels: Pixels  # (groups, pixels)
    rows: Rows  # (groups, D)
    there: Bools  # (groups,)


class KeptWindows:
    """What is remembered of one inspector's frames. One thread at a time."""

    def __init__(self, layout: Layout, reuse: Reuse) -> None:
        self.layout, self.reuse = layout, reuse
        self._frames = 0  # since everything was encoded
        self._forget()

    def _forget(self) -> None:
        self._images: _Kept | None = None
        self._patches: Rows | None = None  # of the kept image
        self._windows: list[_Kept] = []

    def encode(self, encode: Encode, pixels: Pixels, chosen: Chosen, *, patches: bool = False) -> Embedded:
        """As `encode`, which is asked for what is not known alone. Raises BackendError."""
        singles = [
            self._one(encode, pixels[at : at + 1], [own[at : at + 1] for own in chosen], patches)
            for at in range(len(pixels))
        ]
        rows = [single.patches for single in singles if single.patches is not None]
        return Embedded(
            np.concatenate([single.images for single in singles]),
            [np.concatenate(own) for own in zip(*(single.windows for single in singles))],
            chosen,
            np.concatenate(rows) if rows else None,
            work=np.concatenate([single.work for single in singles]),
        )

    def next_frames(self, count: int) -> None:
        """So many frames come: every `refresh` of them nothing is known any more."""
        self._frames += count
        if self._frames > self.reuse.refresh:
            self._frames = count
            self._forget()

    def largest_move(self, image: Pixels, chosen: Chosen) -> int:
        """How far, in grey levels, the samples of an image (H, W, 3) are from those that what is kept was made of: of
        chosen windows, (1, windows) of each scale.
        """
        squares, most = self.layout.squares(image), 0
        for at, (scale, kept) in enumerate(zip(self.layout.scales, self._windows)):
            seen = squares[scale.tokens[:, 1:] - 1].reshape(scale.windows, -1)
            asked = kept.there & chosen[at][0]
            moved = np.maximum(kept.pixels, seen) - np.minimum(kept.pixels, seen)
            most = max(most, int(moved[asked].max(initial=0)))
        return most

    def _one(self, encode: Encode, pixels: Pixels, chosen: Chosen, patches: bool) -> Embedded:
        squares = self.layout.squares(pixels[0])  # (L, pixels)
        of_windows = [squares[scale.tokens[:, 1:] - 1].reshape(scale.windows, -1) for scale in self.layout.scales]
        stale = [
            own & ~self._known(at, seen)[None] if self._windows else own
            for at, (own, seen) in enumerate(zip(chosen, of_windows))
        ]
        whole = pixels.reshape(1, -1)
        image = self._images
        known = image is not None and self._same(image, whole)[0] and not (patches and self._patches is None)
        if known and not any(own.any() for own in stale):
            work: Floats = np.zeros(1)
        else:
            found = encode(pixels, stale, patches=patches)
            work = found.work
            if not known:
                self._images = _Kept(whole.copy(), found.images, np.ones(1, bool))
                self._patches = found.patches
            self._keep(found, of_windows, stale)
        assert self._images is not None
        windows = [kept.rows[None] * own[..., None] for kept, own in zip(self._windows, chosen)]
        answer = Embedded(self._images.rows, windows, chosen, self._patches if patches else None, work=work)
        rows = [answer.images, *windows, *([] if answer.patches is None else [answer.patches])]
        if not all(np.isfinite(own).all() for own in rows):
            self._forget()  # the frame is an error, and the next ones are encoded
        return answer

    def _known(self, at: int, seen: Pixels) -> Bools:
        return self._same(self._windows[at], seen)

    def _same(self, kept: _Kept, seen: Pixels) -> Bools:
        """(groups,): whether the pixels of each are those that it was encoded from, within the tolerance."""
        moved = np.maximum(kept.pixels, seen) - np.minimum(kept.pixels, seen)
        same: Bools = kept.there & (moved.max(axis=1) <= self.reuse.tolerance)
        return same

    def _keep(self, found: Embedded, of_windows: list[Pixels], stale: Chosen) -> None:
        if not self._windows:
            self._windows = [
                _Kept(np.zeros_like(seen), np.zeros(rows.shape[1:], np.float32), np.zeros(len(seen), bool))
                for seen, rows in zip(of_windows, found.windows)
            ]
        for kept, seen, rows, own in zip(self._windows, of_windows, found.windows, stale):
            fresh = own[0]
            kept.pixels[fresh], kept.rows[fresh], kept.there[fresh] = seen[fresh], rows[0][fresh], True


def noise_floor(frames: Iterable[Pixels]) -> int:
    """The most grey levels by which a sample of still frames (H, W, 3) moves: with that tolerance their windows are
    all the same. Raises RecipeError for fewer than two, and for frames in which something moves.
    """
    count, low, high = 0, None, None
    for frame in frames:
        low = frame if low is None else np.minimum(low, frame)
        high = frame if high is None else np.maximum(high, frame)
        count += 1
    if count < 2 or low is None or high is None:
        raise RecipeError(f"noise is measured between still frames, found {count}: give some of one scene")
    noise = int((high - low).max())
    if noise > _MOST_NOISE:
        raise RecipeError(
            f"the still frames differ by {noise} grey levels, noise does by at most {_MOST_NOISE}: something moves in "
            "them, or the light does; give frames of a still scene"
        )
    return noise
