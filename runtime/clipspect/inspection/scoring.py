"""Prepared frames through the engine: those of one view together, the tiles of one frame some at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import AnswerError
from clipspect.engines.graph import ANOMALY_MAP, IMAGE_EMBEDDING, SCORE
from clipspect.frame.prepare import Frame
from clipspect.frame.region_of_interest import CROP
from clipspect.inspection.answer import Answer
from clipspect.inspection.explain import outputs_to_explain
from clipspect.inspection.merge import Merged
from clipspect.inspection.shared_engine import Outputs, Serving, SharedEngine
from clipspect.inspection.window_use import WindowMemory

TILES_AT_ONCE = 4  # through the engine, and as many more are made meanwhile: what bounds the memory

Answers = list["Answer | AnswerError"]


class Scoring:
    """What an inspector answers before anybody judges."""

    def __init__(
        self, engine: SharedEngine, extras: Sequence[str], map_limit: float | None, *, explain: bool = False
    ) -> None:
        """With `explain` answers also keep the outputs that explain them."""
        self._engine, self._extras, self._map_limit, self._explain = engine, tuple(extras), map_limit, explain
        self._windows = WindowMemory()

    def limit_of(self, serving: Serving) -> float:
        """The anomaly map's value over which a pixel belongs to a region."""
        if self._map_limit is not None:
            return self._map_limit
        if serving.limits is not None and serving.limits.map is not None:
            return serving.limits.map
        return sum(serving.graph.map_range) / 2

    def answer(self, frames: Sequence[Frame], in_use: Callable[[], Serving], pool: Executor) -> Answers | None:
        """Of frames of one view each, or of one frame of tiles, by the recipe in use when the engine takes them.

        A frame that the engine answers NaN or infinity to has that as its error. None: the frames were prepared for a
        recipe that looks at them otherwise. Raises BackendError.
        """
        if frames[0].is_tiled:
            return self._of_tiles(frames[0], in_use, pool)
        pixels = frames[0].pixels if len(frames) == 1 else np.concatenate([frame.pixels for frame in frames])
        if not pixels.flags.writeable:  # to an engine a read-only array is a constant
            pixels = pixels.copy()
        with self._engine.free:
            serving = in_use()  # another thread may switch it while the engine runs
            if not _fit(frames, serving):
                return None
            start = perf_counter()
            outputs = self._engine.run(serving, pixels, self._asked(serving), self._windows.of(frames, serving.recipe))
            infer_ms = (perf_counter() - start) * 1e3 / len(frames)
        answers: Answers = []
        for place, frame in enumerate(frames):
            own = {name: values[place : place + 1] for name, values in outputs.items()}
            if (error := self._fault(frame, own)) is not None:
                answers.append(error)
                continue
            merged = Merged(frame.views, own[ANOMALY_MAP].shape[1:])
            merged.add(own[SCORE], own[ANOMALY_MAP])
            extras = {name: np.array(own[name]) for name in self._kept(serving)}
            answers.append(self._answered(frame, merged, serving, infer_ms, own.get(IMAGE_EMBEDDING), extras))
        return answers

    def _of_tiles(self, frame: Frame, in_use: Callable[[], Serving], pool: Executor) -> Answers | None:
        """The whole is read for its embedding, as of any frame; then the tiles, all by one recipe."""
        start = perf_counter()
        with self._engine.free:
            serving = in_use()
            if not _fit([frame], serving):
                return None
            whole = self._engine.run(serving, frame.pixels, [IMAGE_EMBEDDING]) if _embeds(serving) else {}
            if (error := self._fault(frame, whole)) is not None:
                return [error]
        spec, kept = self._engine.bundle.manifest.image, self._kept(serving)
        names = [SCORE, ANOMALY_MAP, *kept]
        merged = Merged(frame.views, (spec.height, spec.width))
        extras: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in kept}
        infer_s = perf_counter() - start
        for pixels in frame.tiles(spec, pool, TILES_AT_ONCE):
            with self._engine.free:  # others may use the engine between two of them
                began = perf_counter()
                outputs = self._engine.run(serving, pixels, names)
                infer_s += perf_counter() - began
            if (error := self._fault(frame, outputs)) is not None:
                return [error]
            merged.add(outputs[SCORE], outputs[ANOMALY_MAP])
            for name, rows in extras.items():
                rows.append(outputs[name])
        waited_ms = (perf_counter() - start - infer_s) * 1e3  # for tiles to be made
        frame = dataclasses.replace(frame, preprocess_ms=frame.preprocess_ms + waited_ms)
        joined = {name: np.concatenate(rows) for name, rows in extras.items()}
        return [self._answered(frame, merged, serving, infer_s * 1e3, whole.get(IMAGE_EMBEDDING), joined)]

    def _kept(self, serving: Serving) -> list[str]:
        """The outputs that an answer keeps."""
        explaining = outputs_to_explain(serving.graph.outputs) if self._explain else []
        return list(dict.fromkeys([*self._extras, *explaining]))

    def _asked(self, serving: Serving) -> list[str]:
        names = [SCORE, ANOMALY_MAP, *self._kept(serving)]
        return [*names, IMAGE_EMBEDDING] if _embeds(serving) and IMAGE_EMBEDDING not in names else names

    def _fault(self, frame: Frame, outputs: Outputs) -> AnswerError | None:
        """The error of a frame whose outputs are not all finite."""
        for name, values in outputs.items():
            if not np.isfinite(values).all():
                first = self._engine.first
                return AnswerError(
                    f"{frame.source or 'frame'}: {first.name} on {first.device} answered NaN or infinity in {name}: "
                    "nothing is known of this part; where it goes on, run clipspect verify"
                )
        return None

    def _answered(
        self,
        frame: Frame,
        merged: Merged,
        serving: Serving,
        infer_ms: float,
        embedding: npt.NDArray[np.float32] | None,
        extras: dict[str, npt.NDArray[Any]],
    ) -> Answer:
        return Answer(
            frame=frame,
            score=merged.score,
            model_map=merged.map,
            map_box=merged.box,
            infer_ms=infer_ms,
            recipe=serving.recipe,
            limits=serving.limits,
            map_limit=self.limit_of(serving),
            embedding=None if embedding is None else np.array(embedding[0]),
            extras=extras,
        )


def _fit(frames: Sequence[Frame], serving: Serving) -> bool:
    """Whether the frames were prepared for what the recipe looks at."""
    viewing = serving.recipe.viewing
    return all(frame.viewing == viewing for frame in frames)


def _embeds(serving: Serving) -> bool:
    """Whether frames are known by the embedding of what is seen: not where that is more than what is judged."""
    region = serving.recipe.region_of_interest
    return IMAGE_EMBEDDING in serving.graph.outputs and (region is None or region.mode == CROP)
