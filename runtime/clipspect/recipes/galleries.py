"""What a graph remembers of photos of good parts, made by that graph itself: galleries, and what goes with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from clipspect.base.progress import Progress, quiet
from clipspect.bundle.inspection_graph import InspectionGraph
from clipspect.engines import Tensors
from clipspect.engines.backend import Arrays
from clipspect.engines.graph import ANOMALY_MAP, COMPONENTS, FEATURES, IMAGE, MEAN, REFERENCE, SPREAD
from clipspect.recipes.gallery import Array, Galleries, Gallery, distances, thin

MAP_LIMITS = "map_limits"  # input of APRIL-GAN's few-shot graph: [low, high] of the map's maximum, float32 (2,)
SMALLEST_SPAN = 0.01  # between them, of the map's range: less would make a score of the noise between good photos
SMALLEST_SPREAD = 1e-3  # cosine distance: equal photos would divide by nothing
EFFECT_IMAGES = 8  # of the references, on which the effect of thinning is measured
SPREAD_IMAGES = 32  # of the references, on which the spread is measured
_BATCH = 4  # photos through the graph at once

Pixels = npt.NDArray[np.uint8]
_T = TypeVar("_T")


class Images(Protocol):
    """Images at the model's size, uint8 (H, W, 3): an array of them, or what makes each as it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Pixels: ...


class Asked(Protocol):
    """A graph in an engine, or what stands in for it."""

    @property
    def most_images(self) -> int | None: ...

    def run_finite(self, inputs: Tensors, outputs: Sequence[str] | None = None) -> Arrays: ...


@dataclass(frozen=True, eq=False)
class _Trial:
    """A good image that is compared with galleries as if it were new."""

    images: Images
    place: int = 0
    mirrored: Any = ()  # an index into it
    left_out: int | None = None  # the photo whose rows are not to be there

    @property
    def image(self) -> Pixels:
        found: Pixels = self.images[self.place][self.mirrored]
        return found


@dataclass(frozen=True)
class Effect:
    """What thinning changes in the maps of good images: absolute differences over their pixels."""

    largest: float
    mean: float
    images: int


@dataclass(frozen=True, eq=False)
class GalleryMaker:
    """References at the model's size, each uint8 (H, W, 3), and what reads them: the graph in an engine."""

    pixels: Images
    graph: InspectionGraph  # that compares with references
    backend: Asked  # with that graph
    given: dict[str, Array]  # its inputs but the image: the words where it reads them, and `blank_references`
    owners: tuple[int, ...] = ()  # the photo that each of the references shows; default: each another
    tried: tuple[int, ...] = ()  # references that are compared as if they were new; default: of each photo the first
    images_kept: int | None = None  # without a gallery's size as many rows are kept as these give; default: all
    progress: Progress = quiet

    def features(self) -> Iterator[dict[str, Array]]:
        """The references' own rows, by their name without `features_`, (n, rows, D), some photos at a time.

        Raises BackendError.
        """
        batch = min(_BATCH, self.backend.most_images or _BATCH)
        for first in range(0, len(self.pixels), batch):
            self.progress("references", first, len(self.pixels))
            found = self._run(self._stacked(first, first + batch), {})
            yield {name: found[FEATURES + name] for name in self.graph.features}
        self.progress("references", len(self.pixels), len(self.pixels))

    def galleries(self, size: int | None = None) -> Galleries:
        """Every gallery of the graph: all photos' rows, of which at most `size` are kept. Raises BackendError."""
        parts: dict[str, list[Array]] = {name: [] for name in self.graph.galleries}
        for found in self.features():
            for name, own in parts.items():
                own.append(found[name])
        owners = np.array(self._owners)
        return {
            REFERENCE + name: _gallery(np.concatenate(parts.pop(name)), owners, size or self._rows_kept(name))
            for name in self._counted("galleries", parts)
        }

    def _rows_kept(self, name: str) -> int | None:
        return None if self.images_kept is None else self.images_kept * self.graph.features[name][0]

    def spread(self, galleries: Galleries) -> Array | None:
        """What each gallery's distances are divided by, or None where the graph joins none.

        It is the mean distance of good parts' rows from the gallery: of each photo's, from the others'; with a single
        photo, of its mirror images', from its own. Raises BackendError.
        """
        if SPREAD not in self.graph.inputs:
            return None
        sums = np.zeros(len(galleries))
        trials = self._trials()
        trials = [trials[place] for place in np.unique(np.linspace(0, len(trials) - 1, SPREAD_IMAGES).astype(int))]
        for trial in self._counted("spread", trials):
            found = self._run(trial.image[None], {})
            for place, (name, gallery) in enumerate(galleries.items()):
                rows = found[FEATURES + name.removeprefix(REFERENCE)][0]
                sums[place] += distances(rows, gallery.without(trial.left_out, thinned=True)).mean(dtype=np.float64)
        return np.maximum(sums / len(trials), SMALLEST_SPREAD).astype(np.float32)

    def map_limits(self, galleries: Galleries) -> Array | None:
        """[low, high] that a score takes the map's maximum between, or None where the graph takes none.

        They are the smallest and the largest maximum of the references' maps, each scored against the galleries less
        its own rows: leave one out. APRIL-GAN's paper takes them over the whole test set, defects included, which no
        box has. Here, the maximum on a part as good as the references comes out around 0 to 1, and on a worse one
        above 1, which nothing clamps. With a single reference there is nothing to leave out: its own map gives the low
        end, and its mirror images stand in for another photo. Raises BackendError.
        """
        if MAP_LIMITS not in self.graph.inputs:
            return None
        trials = self._trials()
        if len(set(self._owners)) == 1:
            trials += [_Trial(self.pixels, place) for place in self.tried or (0,)]
        maxima = [float(self._map(trial, galleries).max()) for trial in self._counted("map limits", trials)]
        low, high = self.graph.map_range
        span = max(max(maxima) - min(maxima), SMALLEST_SPAN * (high - low))
        return np.array([min(maxima), min(maxima) + span], np.float32)

    def effect(self, galleries: Galleries) -> Effect | None:
        """What thinning changed, measured on the references' maps as in `map_limits`. Raises BackendError."""
        if not any(gallery.is_thinned for gallery in galleries.values()):
            return None
        trials = self._trials()[:EFFECT_IMAGES]
        changes = [
            np.abs(self._map(trial, galleries) - self._map(trial, galleries, thinned=False))
            for trial in self._counted("effect of thinning", trials)
        ]
        return Effect(float(np.max(changes)), float(np.mean(changes)), len(trials))

    def _trials(self) -> list[_Trial]:
        """Good images whose rows are not in the galleries less the photo to leave out."""
        owners = self._owners
        tried = self.tried or tuple(owners.index(owner) for owner in dict.fromkeys(owners))
        if len(set(owners)) > 1:
            return [_Trial(self.pixels, place, left_out=owners[place]) for place in tried]
        return [_Trial(self.pixels, place, mirror) for place in tried for mirror in (np.s_[:, ::-1], np.s_[::-1])]

    def _stacked(self, first: int, end: int) -> Pixels:
        return np.stack([self.pixels[index] for index in range(first, min(end, len(self.pixels)))])

    @property
    def _owners(self) -> tuple[int, ...]:
        return self.owners or tuple(range(len(self.pixels)))

    def _map(self, trial: _Trial, galleries: Galleries, thinned: bool = True) -> Array:
        rows = {name: gallery.without(trial.left_out, thinned=thinned) for name, gallery in galleries.items()}
        found: Array = self._run(trial.image[None], rows, [ANOMALY_MAP])[ANOMALY_MAP][0]
        return found

    def _run(self, pixels: Pixels, rows: dict[str, Array], outputs: Sequence[str] | None = None) -> dict[str, Array]:
        return self.backend.run_finite({IMAGE: np.ascontiguousarray(pixels), **self.given, **rows}, outputs)

    def _counted(self, step: str, items: Iterable[_T]) -> Iterator[_T]:
        """The items, with progress told of them."""
        listed = list(items)
        for done, item in enumerate(listed):
            self.progress(step, done, len(listed))
            yield item
        self.progress(step, len(listed), len(listed))


def blank_references(graph: InspectionGraph, photos: int | None = None) -> dict[str, Array]:
    """Galleries that are like nothing, and what goes with them: enough to get an image's own rows.

    Of one row each, or of as many as so many photos have, for engines that are built for given shapes.
    """
    features = graph.features
    blanks = {
        REFERENCE + name: np.zeros((1 if photos is None else photos * features[name][0], features[name][1]), np.float32)
        for name in graph.galleries
    }
    usual = {MAP_LIMITS: np.array([0, 1], np.float32), SPREAD: np.ones(len(blanks), np.float32)}
    still = {name: value for name, value in usual.items() if name in graph.inputs}
    fixed = {name: _zeros(graph, name) for name in (MEAN, COMPONENTS) if name in graph.inputs}
    return {**blanks, **still, **fixed}


def _zeros(graph: InspectionGraph, name: str) -> Array:
    """Of an input whose shape is fixed."""
    return np.zeros([int(side) for side in graph.inputs[name].shape], np.float32)


def _gallery(features: Array, owners: npt.NDArray[np.int64], size: int | None) -> Gallery:
    """From the rows of each reference, (references, rows, D), and the photo that each of them shows."""
    rows = features.reshape(-1, features.shape[-1])
    return Gallery(rows, np.repeat(owners, features.shape[1]), thin(rows, size))
