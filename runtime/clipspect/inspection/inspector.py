"""The inspector: a frame in, a result out, with one recipe, over an engine that others may share."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from types import TracebackType

from PIL import Image

from clipspect.base.errors import AnswerError, BackendError, ImageError
from clipspect.frame.decode import FrameLike
from clipspect.frame.item import Item
from clipspect.frame.prepare import Frame, prepare
from clipspect.inspection.answer import Answer
from clipspect.inspection.explain import explain
from clipspect.inspection.judge import judge, unjudged
from clipspect.inspection.judged import found_in
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.result import Result, Timings
from clipspect.inspection.scoring import Scoring
from clipspect.inspection.shared_engine import SharedEngine
from clipspect.inspection.stream import outcomes_of
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.shelf import recipe_for


class Inspector:
    """Inspects frames with one recipe. Made by `clipspect.load`; close it, or use it as a context manager."""

    def __init__(
        self,
        engine: SharedEngine,
        recipe: Recipe,
        *,
        map_limit: float | None = None,
        verdicts: bool = True,
        extras: Sequence[str] = (),
        explain: bool = False,
        workers: int = 1,
    ) -> None:
        self.bundle = engine.bundle
        self.workers = workers  # threads that prepare frames
        self.extras = tuple(extras)
        self._engine = engine
        self._map_limit = map_limit
        self._scoring = Scoring(engine, self.extras, map_limit, explain=explain)
        self._verdicts, self._explain = verdicts, explain
        self._serving = engine.serve(recipe, self.extras, verdicts=verdicts)
        self._pool: ThreadPoolExecutor | None = ThreadPoolExecutor(workers, "clipspect-workers")
        engine.hold()

    @property
    def recipe(self) -> Recipe:
        """The recipe in use."""
        return self._serving.recipe

    @property
    def limits(self) -> Limits | None:
        """What is judged by: the recipe's limits, widened where they were calibrated with another engine."""
        return self._serving.limits

    @property
    def map_range(self) -> tuple[float, float]:
        """The range that the anomaly map of this method and recipe can take."""
        return self._serving.graph.map_range

    @property
    def map_limit(self) -> float:
        """The anomaly map's value over which a pixel belongs to a region."""
        return self._scoring.limit_of(self._serving)

    @property
    def backend(self) -> str:
        """The engine's name, e.g. "onnxruntime"."""
        return self._engine.first.name

    @property
    def device(self) -> str:
        """What the engine runs on, e.g. "cpu"."""
        return self._engine.first.device

    @property
    def precision(self) -> str:
        """What the engine computes in: "fp32", "bf16", "fp16" or "int8"."""
        return self._engine.first.precision

    @property
    def reason(self) -> str:
        """Why this engine was taken, with the times of the others; empty where it was named."""
        return self._engine.first.reason

    @property
    def running_since(self) -> float | None:
        """Since when the engine runs, for whichever of its inspectors, in monotonic seconds; None between two runs."""
        return self._engine.running_since

    @property
    def finished_at(self) -> float:
        """When the engine's last run ended, in monotonic seconds; when it was opened, where there was none."""
        return self._engine.finished_at

    def use_recipe(self, recipe: str | os.PathLike[str] | Recipe) -> None:
        """Switch to another recipe of the bundle, or one in memory; the engine stays as it is.

        A frame is scored and judged by one recipe: the one in use when its batch comes to the engine. A `stream` works
        ahead, so that the first results after the switch can still be the old recipe's. For another product or camera
        beside this one, see `with_recipe`. Raises RecipeError, BackendError.
        """
        self._serving = self._engine.serve(recipe_for(self.bundle, recipe), self.extras, verdicts=self._verdicts)

    def with_recipe(
        self,
        recipe: str | os.PathLike[str] | Recipe,
        *,
        verdicts: bool | None = None,
        extras: Sequence[str] | None = None,
    ) -> Inspector:
        """A second inspector, for another recipe of the bundle or one in memory, over the same engine.

        Each is closed by itself, and the engine with the last. Any number of threads may use them at once; the engine
        runs one batch at a time. `verdicts` and `extras` are those of `load`, by default this one's.
        Raises RecipeError, BackendError.
        """
        return Inspector(
            self._engine,
            recipe_for(self.bundle, recipe),
            map_limit=self._map_limit,
            verdicts=self._verdicts if verdicts is None else verdicts,
            extras=self.extras if extras is None else extras,
            explain=self._explain,
            workers=self.workers,
        )

    def inspect(self, frame: FrameLike) -> Result:
        """Inspect a path, PIL image, or uint8 array (H, W, 3) RGB or (H, W) grey. Raises ImageError, BackendError."""
        return self.score([self.prepare(frame)])[0]

    def inspect_batch(self, frames: Iterable[FrameLike]) -> list[Result]:
        """Inspect frames of any sizes in one run of the engine, in their order. Raises ImageError, BackendError."""
        _refuse_one(frames, "inspect_batch")
        self._require_usable()
        run = map if self._pool is None else self._pool.map
        return self.score(list(run(self.prepare_alone, frames)))

    def stream(
        self, items: Iterable[Item | FrameLike], batch: int = 1, *, keep_pictures: bool = False
    ) -> Generator[Outcome, None, None]:
        """Inspect items as they come, in their order: for each an outcome, its result or its error: that of a
        damaged frame, or of one that the engine answers NaN or infinity to (AnswerError).

        Plain frames are numbered and become items of the source "caller". Frames are read, decoded and resized by other
        threads while the engine runs, `batch` frames at once; as many as that takes are fetched ahead, no more. A
        frame's array must stay as it is until its outcome is there: a camera's buffer that is filled again has to be
        copied. With `keep_pictures` an outcome keeps its frame in full size, to be drawn. After `use_recipe`, frames
        that the engine has taken already keep the recipe that scored them, limits included; all others, fetched or not,
        get the new one. What `items` raises is raised after the outcomes of the items before it. To stop early, leave
        the loop: what is under way is waited for, a next item that does not come only for a second.
        Raises BackendError, and ClipspectError for a batch below 1.
        """
        _refuse_one(items, "stream")
        return outcomes_of(self, items, batch, keep_pictures=keep_pictures)

    @property
    def tiled(self) -> bool:
        """Whether the recipe in use sees frames in tiles: then they keep their pictures until they are scored."""
        return self.recipe.tiling is not None

    def prepare(self, frame: FrameLike) -> Frame:
        """Decode and resize, the half of `inspect` that needs no engine. Raises ImageError that names the file.

        Raises BackendError where the inspector is closed or this process was forked from the one that loaded it.
        """
        self._require_usable()
        return prepare(frame, self.bundle.manifest.image, self._pool, self.workers, self.recipe.viewing)

    def prepare_alone(self, frame: FrameLike) -> Frame:
        """`prepare` in the calling thread alone: for when several frames are prepared at once."""
        return prepare(frame, self.bundle.manifest.image, viewing=self.recipe.viewing)

    def score(self, frames: Sequence[Frame]) -> list[Result]:
        """The other half of `inspect`: prepared frames through the engine in one batch. Raises BackendError.

        Frames that were prepared for a recipe with another region or other tiles are prepared again: ImageError.
        """
        results = []
        for answer in self.answer(frames):
            if not isinstance(answer, Answer):
                raise answer
            results.append(self.finish(answer))
        return results

    def answer(self, frames: Sequence[Frame]) -> list[Answer | AnswerError | ImageError]:
        """Prepared frames through the engine, their views merged, nothing more.

        Frames of one view go in one batch; of a frame of tiles some tiles go at once, whatever their number. A frame
        that the engine answers NaN or infinity to, or that cannot be prepared again for a recipe that looks at it
        otherwise, has that as its error. Raises BackendError.
        """
        self._require_usable()
        answers: list[Answer | AnswerError | ImageError] = []
        waiting = deque(frames)
        while waiting:
            group = self._next_group(waiting)
            if isinstance(group, ImageError):
                answers.append(group)
            elif (found := self._scoring.answer(group, lambda: self._serving, self._require_usable())) is not None:
                answers += found
            else:  # the recipe was switched to one that looks at frames otherwise
                waiting.extendleft(reversed(group))
        return answers

    def finish(self, answer: Answer) -> Result:
        """Regions, and the verdict by the limits of the recipe that scored the frame, if they speak of such frames."""
        start = perf_counter()
        frame, found = answer.frame, found_in(answer)
        judged = judge(answer, found.score) if self._verdicts else unjudged(answer)
        explanation = explain(self.bundle, answer, found.regions) if self._explain else None
        post_ms = (perf_counter() - start) * 1e3
        timings = Timings(frame.decode_ms, frame.preprocess_ms, answer.infer_ms, post_ms)
        return Result(
            source=frame.source,
            score=found.score,
            model_map=answer.model_map,
            size=frame.size,
            recipe=answer.recipe,
            verdict=judged.verdict,
            regions=found.regions,
            map_limit=answer.map_limit,
            timings=timings,
            quality=frame.quality,
            embedding=answer.embedding,
            limits=answer.limits,
            reasons=judged.reasons,
            notes=judged.notes,
            explanation=explanation,
            map_box=answer.map_box,
            area=frame.area,
        )

    def close(self) -> None:
        """Let go of the engine, which closes with its last inspector; a run that is under way is waited for.

        In a forked process this does nothing: what would be waited for is not there.
        """
        pool, self._pool = self._pool, None
        if pool is not None and not self._engine.is_forked:
            pool.shutdown()
            self._engine.release()

    def _require_usable(self) -> ThreadPoolExecutor:
        """The threads that prepare frames. Raises BackendError for a closed inspector, and in a forked process, whose
        threads would be waited for.
        """
        if self._pool is None:
            raise BackendError("the inspector is closed: load the bundle again")
        self._engine.require_usable()
        return self._pool

    def _next_group(self, waiting: deque[Frame]) -> list[Frame] | ImageError:
        """The next frame if it has tiles, else all of one view up to one that has; ready for the recipe in use."""
        group: list[Frame] = []
        while waiting and not (group and group[0].is_tiled):
            frame = waiting.popleft()
            viewing = self.recipe.viewing
            if frame.viewing != viewing:
                try:
                    frame = prepare(frame.given, self.bundle.manifest.image, viewing=viewing)
                except ImageError as error:
                    if not group:
                        return error
                    waiting.appendleft(frame)
                    break
            if group and frame.is_tiled:
                waiting.appendleft(frame)
                break
            group.append(frame)
        return group

    def __enter__(self) -> Inspector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refuse_one(frames: object, method: str) -> None:
    if isinstance(frames, (str, os.PathLike, Image.Image, Item)) or getattr(frames, "ndim", 4) < 4:
        raise ImageError(f"{method} takes several frames, as a list; for one frame call inspect")
