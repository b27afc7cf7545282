"""How a source tells what keeps it from giving frames: a callback, which says None when it works again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

Problem: TypeAlias = Callable[[str | None], None]  # may be told the same again and again, from any thread


def to_log(name: str) -> Problem:
    """Tells the log `clipspect`: each problem once, and when the source works again."""
    told: list[str | None] = [None]

    def problem(text: str | None) -> None:
        if text is not None and text != told[0]:
            logging.getLogger("clipspect").warning(text)
        elif text is None and told[0] is not None:
            logging.getLogger("clipspect").warning(f"{name}: works again")
        told[0] = text

    return problem
