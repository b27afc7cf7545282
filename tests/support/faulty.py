"""`clipspect`, but that a white pixel makes something fail: python faulty.py FAULT ARGUMENTS. What no test can have
otherwise: an engine that hangs in the middle of its work, a share that does not answer.
"""

from __future__ import annotations

import dataclasses
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipspect.base.errors import BackendError
from clipspect.cli import main
from clipspect.frame.item import Item
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record
from clipspect.inspection.shared_engine import SharedEngine
from clipspect.line.followed_recipe import FollowedRecipe
from clipspect.line.heartbeat import Heartbeat
from clipspect.sinks.log import Log
from clipspect.sources import registry
from clipspect.sources.folder import Folder

_answered, _look, _state, _take = SharedEngine._answered, Folder._look, FollowedRecipe._state, Log.take
_write = Heartbeat.write
_FOREVER_S = 10_000
_opened = [0]


def _engine_hangs(self: SharedEngine, serving: Any, pixels: Any, outputs: Sequence[str]) -> Any:
    if pixels.max() == 255:
        time.sleep(_FOREVER_S)
    return _answered(self, serving, pixels, outputs)


def _engine_raises(self: SharedEngine, serving: Any, pixels: Any, outputs: Sequence[str]) -> Any:
    if pixels.max() == 255:
        raise BackendError("the engine fell over")
    return _answered(self, serving, pixels, outputs)


def _engine_answers_nan(self: SharedEngine, serving: Any, pixels: Any, outputs: Sequence[str]) -> Any:
    answer = _answered(self, serving, pixels, outputs)
    return {name: values * np.nan for name, values in answer.items()} if pixels.max() == 255 else answer


def _engine_at_random(self: SharedEngine, serving: Any, pixels: Any, outputs: Sequence[str]) -> Any:
    """Raises, hangs, or answers NaN, each time once in a hundred, and writes down which; otherwise as it should."""
    way = random.choices(["raises", "hangs", "answers NaN", ""], [1, 1, 1, 97])[0]
    if way:
        with open(os.environ["CLIPSPECT_FAULTS"], "a") as file:
            print(way, file=file)
    if way == "raises":
        raise BackendError("the engine fell over")
    if way == "hangs":
        time.sleep(_FOREVER_S)
    answer = _answered(self, serving, pixels, outputs)
    return {name: values * np.nan for name, values in answer.items()} if way else answer


def _engine_exits(self: SharedEngine, serving: Any, pixels: Any, outputs: Sequence[str]) -> Any:
    """As a package may that believes itself alone."""
    if pixels.max() == 255:
        sys.exit(3)
    return _answered(self, serving, pixels, outputs)


def _share_hangs(self: Folder) -> None:
    """Once there is a file named "hang" in the folder."""
    if (self.root / "hang").exists():
        time.sleep(_FOREVER_S)
    _look(self)


def _recipe_hangs(self: FollowedRecipe) -> Any:
    """The share of the bundle, once there is a file named "hang" beside the recipe."""
    if self._path.with_name("hang").exists():
        time.sleep(_FOREVER_S)
    return _state(self)


def _log_hangs(self: Log, record: Record, outcome: Outcome | None = None) -> None:
    """The disk that the log is on, once there is a file named "hang" beside it."""
    if self.path.with_name("hang").exists():
        time.sleep(_FOREVER_S)
    _take(self, record, outcome)


def _health_hangs(self: Heartbeat, status: str) -> None:
    """The disk that it is on, once there is a file named "hang" beside it."""
    if self.path.with_name("hang").exists():
        time.sleep(_FOREVER_S)
    _write(self, status)


def _health_fails(self: Heartbeat, status: str) -> None:
    """By a fault of our own, once there is a file named "fail" beside it."""
    if self.path.with_name("fail").exists():
        raise ValueError("a fault in the document")
    _write(self, status)


def _flaky(source: str, skip: object) -> Iterator[Item]:
    """A camera that gives three frames, fails, and gives three more when it is opened again, and so on."""
    _opened[0] += 1
    for number in range(3):
        yield Item(source, number, None, np.full((32, 32), 20 * _opened[0] + number, np.uint8))
    raise OSError(f"the cable was pulled {_opened[0]} times")


def _drawn(source: str, skip: object) -> Iterator[Item]:
    """drawn:N, a camera that gives N frames and ends."""
    for number in range(int(source.partition(":")[2])):
        yield Item(source, number, None, np.full((32, 32), 20 + number, np.uint8), dropped=number % 2)


def _unnumbered(source: str, skip: object) -> Iterator[Item]:
    """unnumbered:N, as a package may write it that knows of no numbers."""
    return (dataclasses.replace(item, number=0) for item in _drawn(source, skip))


if __name__ == "__main__":
    match sys.argv.pop(1):
        case "engine hangs":
            SharedEngine._answered = _engine_hangs
        case "engine raises":
            SharedEngine._answered = _engine_raises
        case "engine at random":
            SharedEngine._answered = _engine_at_random
        case "engine answers NaN":
            SharedEngine._answered = _engine_answers_nan
        case "engine exits":
            SharedEngine._answered = _engine_exits
        case "health hangs":
            Heartbeat.write = _health_hangs
        case "health fails":
            Heartbeat.write = _health_fails
        case "share hangs":
            Folder._look = _share_hangs
        case "recipe hangs":
            FollowedRecipe._state = _recipe_hangs
        case "log hangs":
            Log.take = _log_hangs
        case "cameras":
            registry.BUILT_IN_SOURCES.update(flaky=_flaky, drawn=_drawn, unnumbered=_unnumbered)
        case fault:
            raise ValueError(fault)
    sys.argv[0] = str(Path(sys.argv[0]).with_name("clipspect"))
    sys.exit(main())
