"""`advise`: every candidate on a user's photographs, one after the other, and the one to take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipspect.base.errors import BackendError, ClipspectError, ImageError, RecipeError
from clipspect.base.progress import Progress, quiet
from clipspect.base.temporary import temporary_folder
from clipspect.frame.item import Item
from clipspect.recipes.promise import FALSE_REJECT_RATE
from clipspect_lab.advice.candidates import Candidate, candidates_of, in_other_precisions, open_bundles
from clipspect_lab.advice.drawn import Drawn, draw
from clipspect_lab.advice.recommend import Recommendation, recommend
from clipspect_lab.advice.trial import Trial, runs_of, try_candidate

SHOTS = (1, 4, 16)


@dataclass(frozen=True, eq=False)
class Advice:
    """All that was tried."""

    drawn: Drawn
    trials: tuple[Trial, ...]  # in the order of their trial
    left_out: dict[str, str]  # what was not tried, and why
    recommendation: Recommendation
    false_reject_rate: float


def advise(
    good: Iterable[Item],
    defective: Iterable[Item] = (),
    *,
    bundles: Sequence[str] | None = None,
    shots: Sequence[int] = SHOTS,
    object: str | None = None,
    group: str | None = None,
    seed: int = 0,
    false_reject_rate: float = FALSE_REJECT_RATE,
    backend: str | None = None,
    options: Mapping[str, Any] | None = None,
    require_signature: str | None = None,
    here: Path = Path(),
    progress: Progress = quiet,
) -> Advice:
    """Try what the bundles can on image files of good and of defective parts. `bundles` are by default the demo and
    those in the folder `here`.

    Every judge of every bundle is tried with every number of `shots`, in the precision that `options` name, else the
    bundle's own, and what is best so also in the others that are recorded. The references are drawn from the good parts
    by `seed`, and are the same for all; `group` names the part in a path, as `calibrate` takes it. `object` is what
    prompts call it. With `require_signature`, the file of a public key, bundles and recipes that it did not sign are
    not tried. What cannot be tried is left out, with its reason; where that is all, its error is raised.
    Raises ClipspectError.
    """
    options = options or {}
    opened, left_out = open_bundles(bundles, here, require_signature)
    spec = next(iter(opened.values())).manifest.image
    drawn = draw(good, defective, spec, shots=shots, seed=seed, group=group, progress=progress)
    left_out = {**left_out, **drawn.left_out}
    candidates: list[Candidate] = []
    for named, bundle in opened.items():
        found, unable = candidates_of(named, bundle, drawn.shots, object)
        candidates += found
        left_out = {**left_out, **unable}
    with temporary_folder() as folder:
        run = _Run(drawn, folder, backend, options, false_reject_rate, progress, left_out)
        run.try_all(candidates)
        if not run.trials:
            raise ClipspectError("; ".join(dict.fromkeys(left_out.values())) or "nothing can be tried")
        best, tried = recommend(run.trials, seed), len(run.trials)
        if best.trial is not None and "precision" not in options:
            run.try_all(in_other_precisions(best.trial.candidate, best.trial.device))
        if len(run.trials) > tried:
            best = recommend(run.trials, seed)
    return Advice(drawn, tuple(run.trials), left_out, best, false_reject_rate)


class _Run:
    """Candidates that are tried, and what came of them so far."""

    def __init__(
        self,
        drawn: Drawn,
        folder: Path,
        backend: str | None,
        options: Mapping[str, Any],
        false_reject_rate: float,
        progress: Progress,
        left_out: dict[str, str],
    ) -> None:
        self.trials: list[Trial] = []
        self._drawn, self._folder, self._options = drawn, folder, options
        self._backend, self._false_reject_rate = backend, false_reject_rate
        self._progress, self._left_out = progress, left_out
        self._engines: dict[tuple[str, str, str | None], str] = {}  # the fastest, once found
        self._done = 0

    def try_all(self, candidates: Sequence[Candidate]) -> None:
        """One after the other; what cannot be tried is left out."""
        total = self._done + sum(runs_of(candidate, self._drawn) for candidate in candidates)

        def progress(step: str, done: float, _: float) -> None:
            self._progress(step, self._done + done, total)

        for candidate in candidates:
            graph = candidate.named, candidate.judge, candidate.precision
            try:
                trial = try_candidate(
                    candidate,
                    self._drawn,
                    self._folder,
                    self._engines.get(graph, self._backend),
                    self._options,
                    false_reject_rate=self._false_reject_rate,
                    progress=progress,
                )
            except (RecipeError, ImageError, BackendError) as error:
                self._left_out[candidate.label] = str(error)
            else:
                self.trials.append(trial)
                self._engines[graph] = trial.backend
            self._done += runs_of(candidate, self._drawn)
