"""Galleries: what the few-shot graph remembers of photos of good parts, made by that graph itself, and thinned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from clipspect.base.progress import Progress, quiet
from clipspect.bundle.manifest import InspectionGraph
from clipspect.engines import Backend
from clipspect.engines.graph import ANOMALY_MAP, FEATURES, IMAGE, REFERENCE, TEXT_FEATURES

MAP_LIMITS = "map_limits"  # input of APRIL-GAN's few-shot graph: [low, high] of the map's maximum, float32 (2,)
SMALLEST_SPAN = 0.01  # between them, of the map's range: less would make a score of the noise between good photos
EFFECT_IMAGES = 8  # of the references, on which the effect of thinning is measured
_BATCH = 4  # photos through the graph at once

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]
_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Thinning:
    """Which rows of a gallery are kept, and how far the others are from them in cosine distance (1 - cosine)."""

    kept: npt.NDArray[np.int64]  # indices, ascending
    largest_distance: float  # of a dropped row from the nearest kept one; 0 when none was dropped
    mean_distance: float


@dataclass(frozen=True, eq=False)
class Gallery:
    """The rows of all references, (R, D) of length 1, the index of each row's reference, (R,), and which are kept."""

    rows: Array
    owners: npt.NDArray[np.int64]
    thinning: Thinning

    @property
    def kept(self) -> Array:
        rows: Array = self.rows[self.thinning.kept]
        return rows

    @property
    def kept_of_each(self) -> npt.NDArray[np.int64]:
        """Of each reference, how many rows are kept; they lie one reference after the other."""
        return np.bincount(self.owners[self.thinning.kept], minlength=int(self.owners[-1]) + 1)

    @property
    def is_thinned(self) -> bool:
        return len(self.thinning.kept) < len(self.rows)

    def without(self, reference: int | None, *, thinned: bool) -> Array:
        """The rows, all or those kept, less those of one reference; `None` leaves none out."""
        chosen = self.thinning.kept if thinned else np.arange(len(self.rows))
        others = chosen[self.owners[chosen] != reference] if reference is not None else chosen
        rows = self.rows
        if not len(others):  # every kept row was that reference's: thin the others' as much
            rows = rows[self.owners != reference]
            others = thin(rows, len(chosen)).kept
        return rows[others]


Galleries = dict[str, Gallery]  # by the name of the graph's input, reference_*


@dataclass(frozen=True)
class Effect:
    """What thinning changes in the maps of good images: absolute differences over their pixels."""

    largest: float
    mean: float
    images: int


@dataclass(frozen=True, eq=False)
class GalleryMaker:
    """References at the model's size, uint8 (n, H, W, 3), and what reads them: the graph in an engine, the words."""

    pixels: Pixels
    few_shot: InspectionGraph
    backend: Backend  # with the few-shot graph
    text_features: Array  # (2, P, D)
    blank: dict[str, Array]  # what stands for references while there are none, `blank_references`
    progress: Progress = quiet

    def galleries(self, size: int | None = None) -> Galleries:
        """Every gallery of the graph: all photos' rows, of which at most `size` are kept. Raises BackendError."""
        own = {name: FEATURES + name.removeprefix(REFERENCE) for name in rows_of_a_photo(self.few_shot)}
        features: dict[str, list[Array]] = {name: [] for name in own}
        batch = min(_BATCH, self.backend.most_images or _BATCH)
        for first in range(0, len(self.pixels), batch):
            self.progress("references", first, len(self.pixels))
            found = self._run(self.pixels[first : first + batch], {})
            for name, parts in features.items():
                parts.append(found[own[name]])
        self.progress("references", len(self.pixels), len(self.pixels))
        return {name: _gallery(np.concatenate(features[name]), size) for name in self._counted("galleries", features)}

    def map_limits(self, galleries: Galleries) -> Array | None:
        """[low, high] that a score takes the map's maximum between, or None where the graph takes none.

        They are the smallest and the largest maximum of the references' maps, each scored against the galleries less
        its own rows: leave one out. APRIL-GAN's paper takes them over the whole test set, defects included, which no
        box has. Here, the maximum on a part as good as the references comes out around 0 to 1, and on a worse one
        above 1, which nothing clamps. With a single reference there is nothing to leave out: its own map gives the low
        end, and its mirror images stand in for another photo. Raises BackendError.
        """
        if MAP_LIMITS not in self.few_shot.inputs:
            return None
        trials = self._trials()
        if len(self.pixels) == 1:
            trials.append((self.pixels[0], None))
        maxima = [float(self._map(image, galleries, out).max()) for image, out in self._counted("map limits", trials)]
        low, high = self.few_shot.map_range
        span = max(max(maxima) - min(maxima), SMALLEST_SPAN * (high - low))
        return np.array([min(maxima), min(maxima) + span], np.float32)

    def effect(self, galleries: Galleries) -> Effect | None:
        """What thinning changed, measured on the references' maps as in `map_limits`. Raises BackendError."""
        if not any(gallery.is_thinned for gallery in galleries.values()):
            return None
        trials = self._trials()[:EFFECT_IMAGES]
        changes = [
            np.abs(self._map(image, galleries, out) - self._map(image, galleries, out, thinned=False))
            for image, out in self._counted("effect of thinning", trials)
        ]
        return Effect(float(np.max(changes)), float(np.mean(changes)), len(trials))

    def _trials(self) -> list[tuple[Pixels, int | None]]:
        """Good images whose rows are not in the galleries, and the reference to leave out for that."""
        if len(self.pixels) > 1:
            return [(image, index) for index, image in enumerate(self.pixels)]
        (image,) = self.pixels
        return [(image[:, ::-1], None), (image[::-1], None)]

    def _map(self, image: Pixels, galleries: Galleries, left_out: int | None, thinned: bool = True) -> Array:
        rows = {name: gallery.without(left_out, thinned=thinned) for name, gallery in galleries.items()}
        found: Array = self._run(image[None], rows, [ANOMALY_MAP])[ANOMALY_MAP][0]
        return found

    def _run(self, pixels: Pixels, rows: dict[str, Array], outputs: Sequence[str] | None = None) -> dict[str, Array]:
        others = {**self.blank, TEXT_FEATURES: self.text_features, **rows}
        return self.backend.run_finite({IMAGE: np.ascontiguousarray(pixels), **others}, outputs)

    def _counted(self, step: str, items: Iterable[_T]) -> Iterator[_T]:
        """The items, with progress told of them."""
        listed = list(items)
        for done, item in enumerate(listed):
            self.progress(step, done, len(listed))
            yield item
        self.progress(step, len(listed), len(listed))


def rows_of_a_photo(few_shot: InspectionGraph) -> dict[str, tuple[int, int]]:
    """By gallery, the rows that a photo adds and their width."""
    shapes = {
        name: few_shot.outputs[FEATURES + name.removeprefix(REFERENCE)].shape
        for name in few_shot.inputs
        if name.startswith(REFERENCE)
    }
    return {name: (int(shape[1]), int(shape[2])) for name, shape in shapes.items()}


def blank_references(few_shot: InspectionGraph, photos: int | None = None) -> dict[str, Array]:
    """Galleries that are like nothing, and limits where the graph takes them: enough to get an image's own rows.

    Of one row each, or of as many as so many photos have, for engines that are built for given shapes.
    """
    blanks = {
        name: np.zeros((1 if photos is None else photos * rows, dim), np.float32)
        for name, (rows, dim) in rows_of_a_photo(few_shot).items()
    }
    limits = {MAP_LIMITS: np.array([0, 1], np.float32)} if MAP_LIMITS in few_shot.inputs else {}
    return {**blanks, **limits}


def thin(rows: Array, size: int | None) -> Thinning:
    """At most `size` of the rows, (R, D) of length 1, such that no other row is far from all of them.

    Greedy k-centre (Gonzalez 1985): begin with the row that is closest to the mean direction, then take, time and
    again, the row that is farthest from those taken. Its largest distance, as length of the difference between rows,
    is at most twice that of the best choice of as many rows. O(R size D), and the same rows for the same input.
    """
    if size is None or size >= len(rows):
        return Thinning(np.arange(len(rows)), 0.0, 0.0)
    picks = [int(np.argmax(rows @ rows.mean(axis=0)))]
    distances = 1 - rows @ rows[picks[0]]  # of each row from the nearest one taken
    while len(picks) < size:
        distances[picks[-1]] = -np.inf  # taken, whatever rounding makes of its distance from itself
        picks.append(int(np.argmax(distances)))
        np.minimum(distances, 1 - rows @ rows[picks[-1]], out=distances)
    dropped = np.clip(np.delete(distances, picks), 0, None)
    return Thinning(np.sort(np.array(picks)), float(dropped.max()), float(dropped.mean(dtype=np.float64)))


def _gallery(features: Array, size: int | None) -> Gallery:
    """From the rows of each reference, (references, rows, D)."""
    rows = features.reshape(-1, features.shape[-1])
    return Gallery(rows, np.repeat(np.arange(len(features)), features.shape[1]), thin(rows, size))
