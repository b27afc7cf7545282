"""How long work tells how far it is: one protocol for all of it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called as the work goes on: the step in a few words, and how much of it is done, of how much.

    `total` is a count of things, infinite where nobody knows it, or 1 where only a share is known.
    """

    def __call__(self, step: str, done: float, total: float, /) -> None: ...


def quiet(step: str, done: float, total: float, /) -> None:
    """Tells nobody."""
