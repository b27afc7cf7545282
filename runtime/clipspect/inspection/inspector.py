"""The conductor: a frame in, a result out, over one bundle, one recipe and one engine."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.base.errors import BackendError, ClipspectError, ImageError, RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.precision import open_graph
from clipspect.engines import Backend
from clipspect.engines.graph import ANOMALY_MAP, IMAGE, SCORE
from clipspect.frame.decode import FrameLike
from clipspect.frame.prepare import Frame, prepare
from clipspect.host.system import usable_cores
from clipspect.inspection.regions import regions_in_source
from clipspect.inspection.result import Result, Timings, decide
from clipspect.inspection.stream import results, stream
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.shelf import open_recipe, own, serving

_MOST_HANDS = 8  # threads that prepare frames; each can hold a frame in full size


@dataclass(frozen=True, eq=False)
class Answer:
    """What the engine says of one frame."""

    score: float
    model_map: npt.NDArray[np.float32] = field(repr=False)  # (H, W), in the model's size
    infer_ms: float
    recipe: Recipe = field(repr=False)  # whose tensors it was scored with, and whose limits judge it


def load(
    bundle: str | os.PathLike[str],
    recipe: str | Recipe | None = None,
    backend: str | None = None,
    *,
    map_limit: float | None = None,
    **options: Any,
) -> Inspector:
    """Verify a bundle and load it into an engine; `"demo"` is the embedded bundle.

    `recipe` is a name, or a recipe in memory as `make_recipe` returns it; without one: the bundle's only one. Without a
    backend: the fastest of the installed by real runs, `.backend` and `.reason` say which and why; to name one saves
    their time. `map_limit` is the anomaly map's value over which a pixel belongs to a region; the default is the middle
    of the range of the method's map (0.5 for WinCLIP's probabilities: the anomalous state wins). `options` are the
    engine's, e.g. threads=4 or precision="int8"; `force_precision=True` takes one that did not pass at export. On the
    CPU, the first frame is the engine's first run. Raises BundleError, RecipeError or BackendError.
    """
    opened = Bundle.open(bundle)
    chosen = _chosen(opened, recipe)
    graph, map_range = serving(opened, chosen)
    manifest = opened.manifest
    if map_limit is None:
        map_limit = sum(map_range) / 2
    elif not math.isfinite(map_limit):
        raise ClipspectError(f"map_limit: expected a finite number, found {map_limit}")
    blank = np.zeros((1, manifest.image.height, manifest.image.width, 3), np.uint8)
    probe: dict[str, npt.NDArray[Any]] = {IMAGE: blank, **chosen.tensors}
    engine = open_graph(opened, graph, backend, probe=probe, **options)
    hands = min(options.get("threads") or usable_cores(), _MOST_HANDS)
    return Inspector(opened, chosen, engine, map_range=map_range, map_limit=float(map_limit), hands=hands)


class Inspector:
    """Inspects frames with one recipe. Made by `clipspect.load`; close it, or use it as a context manager."""

    def __init__(
        self,
        bundle: Bundle,
        recipe: Recipe,
        backend: Backend,
        *,
        map_range: tuple[float, float],
        map_limit: float,
        hands: int = 1,
    ) -> None:
        self.bundle = bundle
        self.recipe = recipe
        self.map_range = map_range  # that the method's anomaly map can take
        self.map_limit = map_limit
        self.hands = hands  # threads that prepare frames
        self._backend = backend
        self._engine_free = threading.Lock()  # engines run one batch at a time, and are not closed in the middle
        self._pool: ThreadPoolExecutor | None = ThreadPoolExecutor(hands, "clipspect-hands")

    @property
    def backend(self) -> str:
        """The engine's name, e.g. "onnxruntime"."""
        return self._backend.name

    @property
    def device(self) -> str:
        """What the engine runs on, e.g. "cpu"."""
        return self._backend.device

    @property
    def precision(self) -> str:
        """What the engine computes in: "fp32", "bf16", "fp16" or "int8"."""
        return self._backend.precision

    @property
    def reason(self) -> str:
        """Why this engine was taken, with the times of the others; empty where it was named."""
        return self._backend.reason

    def use_recipe(self, name: str | Recipe) -> None:
        """Switch to another recipe of the bundle, or one in memory; the engine stays as it is.

        A frame is scored and judged by one recipe: the one in use when its batch comes to the engine. A `stream` works
        ahead, so that the first results after the switch can still be the old recipe's. Raises RecipeError.
        """
        recipe = _chosen(self.bundle, name)
        if recipe.has_references != self.recipe.has_references:
            raise RecipeError(
                f"recipe {recipe.name!r} needs the other graph, that of recipes "
                f"{'with' if recipe.has_references else 'without'} references: load the bundle with it"
            )
        serving(self.bundle, recipe)
        self.recipe = recipe

    def inspect(self, frame: FrameLike) -> Result:
        """Inspect a path, PIL image, or uint8 array (H, W, 3) RGB or (H, W) grey. Raises ImageError, BackendError."""
        return self.score([self.prepare(frame)])[0]

    def inspect_batch(self, frames: Iterable[FrameLike]) -> list[Result]:
        """Inspect frames of any sizes in one run of the engine, in their order. Raises ImageError, BackendError."""
        self._refuse_one(frames, "inspect_batch")
        run = map if self._pool is None else self._pool.map
        return self.score(list(run(self._prepare_alone, frames)))

    def stream(self, frames: Iterable[FrameLike], batch: int = 1) -> Generator[Result | ImageError, None, None]:
        """Inspect frames as they come, in their order: for each its result, or the ImageError of one that is damaged.

        Frames are read, decoded and resized by other threads while the engine runs, `batch` frames at once; as many as
        that takes are fetched ahead, no more. A frame's array must stay as it is until its result is there: a camera's
        buffer that is filled again has to be copied. After `use_recipe`, frames that the engine has taken already keep
        the recipe that scored them, limits included; all others, fetched or not, get the new one. What `frames` raises
        is raised after the results of the frames before it. To stop early, leave the loop: what is under way is waited
        for, and no thread stays.
        Raises BackendError, and ClipspectError for a batch below 1.
        """
        self._refuse_one(frames, "stream")
        return results(stream(self, frames, batch))

    def prepare(self, frame: FrameLike) -> Frame:
        """Decode and resize, the half of `inspect` that needs no engine. Raises ImageError that names the file."""
        return prepare(frame, self.bundle.manifest.image, self._pool, self.hands)

    def score(self, frames: Sequence[Frame]) -> list[Result]:
        """The other half of `inspect`: prepared frames through the engine in one batch. Raises BackendError."""
        return [self.finish(frame, answer) for frame, answer in zip(frames, self.answer(frames))]

    def answer(self, frames: Sequence[Frame]) -> list[Answer]:
        """Prepared frames through the engine in one batch, nothing more. Raises BackendError."""
        if not frames:
            return []
        pixels = frames[0].pixels[None] if len(frames) == 1 else np.stack([frame.pixels for frame in frames])
        if not pixels.flags.writeable:  # to an engine a read-only array is a constant
            pixels = pixels.copy()
        with self._engine_free:
            recipe = self.recipe  # another thread may switch it while the engine runs
            start = perf_counter()
            outputs = self._backend.run({IMAGE: pixels, **recipe.tensors})
            infer_ms = (perf_counter() - start) * 1e3 / len(frames)
        scores, maps = outputs[SCORE], outputs[ANOMALY_MAP]
        if not (np.isfinite(scores).all() and np.isfinite(maps).all()):
            raise BackendError(f"{self.backend} on {self.device} answered NaN or infinity: run clipspect doctor")
        # a map of its own: a result that is kept must not keep its whole batch
        return [Answer(float(score), np.array(answered), infer_ms, recipe) for score, answered in zip(scores, maps)]

    def finish(self, frame: Frame, answer: Answer) -> Result:
        """Regions, and the verdict by the limits of the recipe that scored the frame."""
        start = perf_counter()
        regions = regions_in_source(answer.model_map, *frame.size, self.map_limit)
        verdict = decide(answer.score, answer.recipe.limits)
        post_ms = (perf_counter() - start) * 1e3
        timings = Timings(frame.decode_ms, frame.preprocess_ms, answer.infer_ms, post_ms)
        return Result(
            frame.source, answer.score, answer.model_map, frame.size, verdict, regions, self.map_limit, timings
        )

    def close(self) -> None:
        """Release the engine; a run that is under way is waited for."""
        with self._engine_free:
            self._backend.close()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _prepare_alone(self, frame: FrameLike) -> Frame:
        """In one thread: for when several frames are prepared at once."""
        return prepare(frame, self.bundle.manifest.image)

    @staticmethod
    def _refuse_one(frames: object, method: str) -> None:
        if isinstance(frames, (str, os.PathLike, Image.Image)) or getattr(frames, "ndim", 4) < 4:
            raise ImageError(f"{method} takes several frames, as a list; for one frame call inspect")

    def __enter__(self) -> Inspector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _chosen(bundle: Bundle, recipe: str | Recipe | None) -> Recipe:
    return own(bundle, recipe) if isinstance(recipe, Recipe) else open_recipe(bundle, recipe)
