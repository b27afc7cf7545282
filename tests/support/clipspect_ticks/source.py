"""The source `ticks`: so many drawn frames, each brighter than the one before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone

import numpy as np

from clipspect import ClipspectError, Item


def ticks(text: str) -> Iterator[Item]:
    """For `ticks:3` or `ticks://camera/3` three frames."""
    wanted = re.search(r"(\d+)$", text)
    if wanted is None:
        raise ClipspectError(f"{text}: expected a number of frames, e.g. ticks:3")
    return _frames(text, int(wanted[1]))


def _frames(text: str, count: int) -> Iterator[Item]:
    for number in range(count):
        frame = np.full((6, 9), 50 * (number + 1), np.uint8)
        yield Item(text, number, datetime.now(timezone.utc), frame)


def unplugged(text: str) -> Iterator[Item]:
    yield from _frames(text, 2)
    raise RuntimeError("the camera was unplugged")
