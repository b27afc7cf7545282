"""Which of the files that have the name, size and time of an inspected one are another part all the same.

A camera without a clock, and uploads that keep times, give the same name, size and time again.
"""

from __future__ import annotations

from clipspect.sources.part import Part

_MOST = 50_000  # files that are remembered, the last ones: some 10 MB


class InspectedFiles:
    """What inspected files looked like, within one run: their inode, and the time that nobody can set."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, int, tuple[int, int, int, int]]] = {}

    def remember(self, part: Part) -> None:
        key = hash(part)
        self._seen.pop(key, None)
        self._seen[key] = part.inode, part.ctime_ns, part.attributes
        if len(self._seen) > _MOST:
            del self._seen[next(iter(self._seen))]

    def forget_all(self) -> None:
        """After another file system has been mounted there: nothing is known of its inodes."""
        self._seen.clear()

    def is_another(self, part: Part, *, written: bool) -> bool:
        """Whether a part of the id of an inspected one is another.

        It is where its change time is another, and neither a new link (sorting makes one) nor rights or owner explain
        that; where it was `written`, nothing does. One that was never seen is the inspected one.
        """
        before = self._seen.get(hash(part))
        if before is None:
            return False
        inode, ctime_ns, attributes = before
        if part.ctime_ns == ctime_ns:
            return False
        return written or part.inode != inode or part.attributes == attributes
