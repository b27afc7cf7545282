"""What becomes of frames that come faster than they are inspected."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clipspect.base.errors import ClipspectError

_MOST = 10_000  # frames that may wait; each is held in memory


@dataclass(frozen=True)
class Policy:
    """How many frames may wait, and whether one more lets the oldest of them go, counted, or waits for room."""

    room: int
    drops: bool

    def __str__(self) -> str:
        return "block" if not self.drops else "latest" if self.room == 1 else f"queue:{self.room}"


BLOCK = Policy(1, drops=False)  # every frame; the source waits, as far as it can
LATEST = Policy(1, drops=True)  # the newest frame, whatever was missed


def parse_policy(text: str) -> Policy:
    """`latest`, `block` or `queue:N`. Raises ClipspectError."""
    if text in {"latest", "block"}:
        return LATEST if text == "latest" else BLOCK
    queue = re.fullmatch(r"queue:(\d{1,9})", text)
    if queue is None or not 1 <= int(queue[1]) <= _MOST:
        raise ClipspectError(f"policy {text!r}: expected latest, block, or queue:N with N from 1 to {_MOST:,}")
    return Policy(int(queue[1]), drops=True)


def policy_of(given: str | Policy | None, default: Policy) -> Policy:
    """The policy that was given, as text or as itself, or the default."""
    return default if given is None else parse_policy(given) if isinstance(given, str) else given
