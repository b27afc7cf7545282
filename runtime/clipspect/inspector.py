"""The conductor: a frame in, a result out, over one bundle, one recipe and one engine."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.backends import Backend, open_backend
from clipspect.bundle import Bundle
from clipspect.errors import BackendError, ClipspectError, ImageError, RecipeError
from clipspect.image import FrameLike, decode, source_name, to_model_size
from clipspect.manifest import ANOMALY_MAP, IMAGE, SCORE
from clipspect.recipe import Recipe
from clipspect.regions import find_regions
from clipspect.result import Result, Timings, decide, to_source_size


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame that is ready to be scored."""

    source: str | None
    image: Image.Image  # RGB, in its own size
    pixels: npt.NDArray[np.uint8]  # (H, W, 3), in the model's size
    decode_ms: float
    preprocess_ms: float


def load(
    bundle: str | os.PathLike[str],
    recipe: str | None = None,
    backend: str | None = None,
    *,
    map_limit: float | None = None,
    **options: Any,
) -> Inspector:
    """Verify a bundle and load it into an engine; `"demo"` is the embedded bundle.

    Without a recipe: the bundle's only one. Without a backend: the best that is installed and works, `.backend` says
    which. `map_limit` is the anomaly map's value over which a pixel belongs to a region; the default is the middle of
    the range of the method's map (0.5 for WinCLIP's probabilities: the anomalous state wins). `options` are the
    engine's, e.g. threads=4. Raises BundleError, RecipeError or BackendError.
    """
    opened = Bundle.open(bundle)
    chosen = opened.recipe(recipe)
    graph, map_range = opened.serving(chosen)
    manifest = opened.manifest
    if map_limit is None:
        map_limit = sum(map_range) / 2
    elif not math.isfinite(map_limit):
        raise ClipspectError(f"map_limit: expected a finite number, found {map_limit}")
    blank = np.zeros((1, manifest.image.height, manifest.image.width, 3), np.uint8)
    probe: dict[str, npt.NDArray[Any]] = {IMAGE: blank, **chosen.tensors}
    engine = open_backend(backend, opened.path / graph.file, precision=manifest.precision, probe=probe, **options)
    return Inspector(opened, chosen, engine, map_range=map_range, map_limit=float(map_limit))


class Inspector:
    """Inspects frames with one recipe. Made by `clipspect.load`; close it, or use it as a context manager."""

    def __init__(
        self, bundle: Bundle, recipe: Recipe, backend: Backend, *, map_range: tuple[float, float], map_limit: float
    ) -> None:
        self.bundle = bundle
        self.recipe = recipe
        self.map_range = map_range  # that the method's anomaly map can take
        self.map_limit = map_limit
        self._backend = backend

    @property
    def backend(self) -> str:
        """The engine's name, e.g. "onnxruntime"."""
        return self._backend.name

    @property
    def device(self) -> str:
        """What the engine runs on, e.g. "cpu"."""
        return self._backend.device

    def use_recipe(self, name: str) -> None:
        """Switch to another recipe of the bundle; the engine stays as it is. Raises RecipeError."""
        recipe = self.bundle.recipe(name)
        if recipe.has_references != self.recipe.has_references:
            raise RecipeError(
                f"recipe {name!r} needs the other graph, that of recipes "
                f"{'with' if recipe.has_references else 'without'} references: load the bundle with it"
            )
        self.bundle.serving(recipe)
        self.recipe = recipe

    def inspect(self, frame: FrameLike) -> Result:
        """Inspect a path, PIL image, or uint8 array (H, W, 3) RGB or (H, W) grey. Raises ImageError, BackendError."""
        return self.score([self.prepare(frame)])[0]

    def inspect_batch(self, frames: Iterable[FrameLike]) -> list[Result]:
        """Inspect frames of any sizes in one run of the engine, in their order. Raises ImageError, BackendError."""
        if isinstance(frames, (str, os.PathLike, Image.Image)) or getattr(frames, "ndim", 4) < 4:
            raise ImageError("inspect_batch takes several frames, as a list; for one frame call inspect")
        return self.score([self.prepare(frame) for frame in frames])

    def prepare(self, frame: FrameLike) -> Frame:
        """Decode and resize, the half of `inspect` that needs no engine. Raises ImageError that names the file."""
        start = perf_counter()
        image = decode(frame)
        decoded = perf_counter()
        pixels = to_model_size(image, self.bundle.manifest.image)
        done = perf_counter()
        return Frame(source_name(frame), image, pixels, (decoded - start) * 1e3, (done - decoded) * 1e3)

    def score(self, frames: Sequence[Frame]) -> list[Result]:
        """The other half of `inspect`: prepared frames through the engine in one batch. Raises BackendError."""
        if not frames:
            return []
        start = perf_counter()
        outputs = self._backend.run({IMAGE: np.stack([frame.pixels for frame in frames]), **self.recipe.tensors})
        infer_ms = (perf_counter() - start) * 1e3 / len(frames)
        scores, maps = outputs[SCORE], outputs[ANOMALY_MAP]
        if not (np.isfinite(scores).all() and np.isfinite(maps).all()):
            raise BackendError(f"{self.backend} on {self.device} answered NaN or infinity: run clipspect doctor")
        return [self._result(frame, float(s), m, infer_ms) for frame, s, m in zip(frames, scores, maps)]

    def _result(self, frame: Frame, score: float, model_map: npt.NDArray[np.float32], infer_ms: float) -> Result:
        start = perf_counter()
        anomaly_map = to_source_size(model_map, *frame.image.size)
        regions = find_regions(anomaly_map, self.map_limit)
        verdict = decide(score, self.recipe.limits)
        timings = Timings(frame.decode_ms, frame.preprocess_ms, infer_ms, (perf_counter() - start) * 1e3)
        return Result(frame.source, score, anomaly_map, verdict, regions, self.map_limit, timings)

    def close(self) -> None:
        """Release the engine."""
        self._backend.close()

    def __enter__(self) -> Inspector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
