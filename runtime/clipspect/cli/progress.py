"""A bar on the terminal for any long work that tells its `clipspect.base.progress.Progress`."""

from __future__ import annotations

import math
import sys
from time import monotonic
from types import TracebackType
from typing import Any, TextIO

_REFRESH_S = 0.05
_SHARE = "{l_bar}{bar}| {elapsed}"  # where the total is no count of things


class ProgressBar:
    """Call it as a `Progress`; nothing is shown where standard error is no terminal. A context manager."""

    def __init__(self, unit: str = "") -> None:
        """`unit` is what `total` counts, e.g. "image"; without one the bar shows a share."""
        self._unit = unit
        self._bar: Any = None
        self._drawn = -math.inf

    def __call__(self, step: str, done: float, total: float, /) -> None:
        if self._bar is None:
            from tqdm import tqdm

            shown = {"unit": f" {self._unit}s"} if self._unit else {"bar_format": _SHARE}
            # what was done before this run began says nothing of how long the rest takes
            self._bar = tqdm(total=total, initial=done, disable=None, file=sys.stderr, leave=False, **shown)
        self._bar.total = total if math.isfinite(total) else None
        self._bar.set_description_str(step, refresh=False)
        self._bar.n = done
        if done >= total or monotonic() - self._drawn > _REFRESH_S:
            self._bar.refresh()
            self._drawn = monotonic()

    def write(self, line: str, file: TextIO) -> None:
        """Print a line above the bar; a program that reads it gets it at once."""
        if self._bar is None:
            print(line, file=file)
        else:
            self._bar.write(line, file=file)
        file.flush()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
