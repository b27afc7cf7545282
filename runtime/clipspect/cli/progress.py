"""A bar on the terminal for any long work that tells its `clipspect.base.progress.Progress`."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

_SHARE = "{l_bar}{bar}| {elapsed}"  # where the total is no count of things


class ProgressBar:
    """Call it as a `Progress`; nothing is shown where standard error is no terminal. A context manager."""

    def __init__(self, unit: str = "") -> None:
        """`unit` is what `total` counts, e.g. "image"; without one the bar shows a share."""
        self._unit = unit
        self._bar: Any = None

    def __call__(self, step: str, done: float, total: float, /) -> None:
        if self._bar is None:
            from tqdm import tqdm

            shown = {"unit": f" {self._unit}s"} if self._unit else {"bar_format": _SHARE}
            # what was done before this run began says nothing of how long the rest takes
            self._bar = tqdm(total=total, initial=done, disable=None, file=sys.stderr, leave=False, **shown)
        self._bar.total = total
        self._bar.set_description_str(step, refresh=False)
        self._bar.update(done - self._bar.n)
        self._bar.refresh()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
