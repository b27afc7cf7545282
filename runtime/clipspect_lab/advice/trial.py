"""One candidate on the photographs: its scores, the time of a frame, and the memory of a process that judges."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from clipspect.base.errors import DatasetError
from clipspect.base.progress import Progress
from clipspect.inspection.load import load
from clipspect.recipes.checks import blank_reason
from clipspect.recipes.make import make_recipe
from clipspect.recipes.recipe import RECIPE_SUFFIX, write_recipe
from clipspect_lab.advice.candidates import NAME, Candidate
from clipspect_lab.advice.drawn import Drawn
from clipspect_lab.advice.figures import Accuracy, Scores, Steadiness, accuracy_of, steadiness_of
from clipspect_lab.benchmark.cold_start import start_cold


@dataclass(frozen=True, eq=False)
class Trial:
    """What became of a candidate."""

    candidate: Candidate
    words: str  # whose, empty where it reads none
    backend: str
    device: str
    precision: str
    good: Scores = field(repr=False)  # one a part
    defective: Scores = field(repr=False)
    milliseconds: float  # a frame, decoding included, one after the other; median
    peak_bytes: int | None  # of a fresh process that inspects one frame
    false_reject_rate: float

    @cached_property
    def accuracy(self) -> Accuracy | None:
        """None without defective parts."""
        return accuracy_of(self.good, self.defective, self.false_reject_rate) if len(self.defective) else None

    @cached_property
    def steadiness(self) -> Steadiness:
        """Of the good parts."""
        return steadiness_of(self.good)


def runs_of(candidate: Candidate, drawn: Drawn) -> int:
    """About how often its graph runs: each reference once for its rows, once for what goes with them."""
    return drawn.scored_frames + 2 * candidate.shots + 2


def try_candidate(
    candidate: Candidate,
    drawn: Drawn,
    folder: Path,
    backend: str | None,
    options: Mapping[str, Any],
    *,
    false_reject_rate: float,
    progress: Progress,
) -> Trial:
    """Make its recipe, score every part by its highest frame; `folder` is for a file of the recipe.

    `progress` is told the runs of its graph. Raises RecipeError, ImageError, BackendError, and DatasetError for a frame
    that is black or white.
    """
    bundle, runs = candidate.bundle, runs_of(candidate, drawn)
    chosen = {**options, **({"precision": candidate.precision} if candidate.precision else {})}
    references = [photograph.item.frame for photograph in drawn.references[: candidate.shots]]
    progress(candidate.label, 0, runs)
    recipe = make_recipe(
        bundle, NAME, judge=candidate.judge, references=references, backend=backend, **candidate.words, **chosen
    )
    times: list[float] = []
    with load(bundle, recipe, backend, verdicts=False, **chosen) as inspector:
        inspector.inspect(drawn.good[0][0].item.frame)  # the first run is slower than all others

        def score(part: tuple[Any, ...]) -> float:
            found = []
            for photograph in part:
                result = inspector.inspect(photograph.item.frame)
                if reason := blank_reason(result.quality):
                    raise DatasetError(f"{photograph.name}: {reason}: this is no photograph of a part, take it out")
                found.append(result.score)
                times.append(result.timings.total)
                progress(candidate.label, 2 * candidate.shots + 1 + len(times), runs)
            return max(found)

        good, defective = (np.array([score(part) for part in parts]) for parts in (drawn.good, drawn.defective))
        ran = inspector.backend, inspector.device, inspector.precision
    file = folder / f"{NAME}{RECIPE_SUFFIX}"
    write_recipe(file, recipe)
    own = dataclasses.replace(bundle, key=None)  # the recipe was made here, and nobody signed it
    start = start_cold(own, file, ran[0], drawn.good[0][0].name, {**chosen, "device": ran[1]})
    progress(candidate.label, runs, runs)
    return Trial(
        candidate,
        recipe.object if candidate.words else "",
        *ran,
        good=good,
        defective=defective,
        milliseconds=statistics.median(times),
        peak_bytes=start.peak_bytes,
        false_reject_rate=false_reject_rate,
    )
