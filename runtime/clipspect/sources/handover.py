"""From the thread that captures to the one that inspects: where frames wait, or are let go and counted."""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from clipspect.base.errors import ClipspectError
from clipspect.base.plug_ins import described
from clipspect.frame.decode import FrameLike
from clipspect.frame.item import Item
from clipspect.sources.policy import Policy


@dataclasses.dataclass
class _Waiting:
    item: Item
    picture: Callable[[], FrameLike] | None  # makes the item's frame when it is taken: none that is let go costs that


class Handover:
    """Items in their order, by a policy. Any thread may call.

    Where one is let go, the next that is taken counts it: over all items that were put, and that came to be taken,
    `dropped + 1` adds up to the frames that there were.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()  # its lock is one that a signal's handler may take again
        self._ended = self.closed = False
        self._error: BaseException | None = None

    def put(self, item: Item, picture: Callable[[], FrameLike] | None = None) -> bool:
        """Hand over an item, with what makes its frame. Waits for room where the policy says so; False once closed."""
        with self._changed:
            if not self._policy.drops:
                self._changed.wait_for(lambda: self._ended or len(self._waiting) < self._policy.room)
            if self._ended:
                return False
            self._waiting.append(_Waiting(item, picture))
            if len(self._waiting) > self._policy.room:
                gone = self._waiting.popleft().item
                oldest = self._waiting[0]
                oldest.item = dataclasses.replace(oldest.item, dropped=oldest.item.dropped + gone.dropped + 1)
            self._changed.notify_all()
        return True

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more comes: what waits is still taken, then the error is raised, if there is one."""
        with self._changed:
            self._error = self._error or error
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody takes any more: what waits is let go."""
        with self._changed:
            self._ended = self.closed = True
            self._error = None
            self._waiting.clear()
            self._changed.notify_all()

    def take(self) -> Item | None:
        """The oldest item, as soon as there is one; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or bool(self._waiting))
            if not self._waiting:
                if self._error is not None:
                    raise self._error
                return None
            oldest = self._waiting.popleft()
            self._changed.notify_all()
        item = oldest.item
        return item if oldest.picture is None else dataclasses.replace(item, frame=oldest.picture())

    def __iter__(self) -> Iterator[Item]:
        """Whoever leaves the loop closes it."""
        try:
            while (item := self.take()) is not None:
                yield item
        finally:
            self.close()


def handed_over(items: Iterable[Item], policy: Policy) -> Iterator[Item]:
    """The items of a source that is read by a thread of its own, by a policy."""
    handover = Handover(policy)

    def read() -> None:
        try:
            for item in items:
                if not handover.put(item):
                    return
        except ClipspectError as error:
            handover.end(error)
        except Exception as error:
            handover.end(ClipspectError(f"the source failed ({described(error)}): what came before it is done"))
        else:
            handover.end()

    threading.Thread(target=read, name="clipspect-capture", daemon=True).start()
    yield from handover
