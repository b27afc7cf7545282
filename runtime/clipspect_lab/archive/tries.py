"""How often what is under way was begun: kept outside of the processes that it may end. Ray runs one of it a run."""

from __future__ import annotations

from collections import Counter

TRIES = 3  # processes that an image may end, and attempts to read one that the system does not give


class Tries:
    """Counts of what was begun and not ended. A chunk is begun once more when Ray gives it to another process."""

    def __init__(self) -> None:
        self._chunks: Counter[int] = Counter()
        self._images: Counter[int] = Counter()
        self._loads = 0

    def begin_load(self) -> int:
        """How many engines were begun to load and did not end with it, before this one."""
        self._loads += 1
        return self._loads - 1

    def end_load(self) -> None:
        self._loads -= 1

    def begin_chunk(self, chunk: int) -> int:
        """How many processes ended with this chunk."""
        self._chunks[chunk] += 1
        return self._chunks[chunk] - 1

    def begin_image(self, number: int) -> int:
        """How many processes ended with this image alone."""
        self._images[number] += 1
        return self._images[number] - 1

    def end_image(self, number: int) -> None:
        del self._images[number]

    def lost(self) -> int:
        """How many processes ended with a chunk in hand."""
        return sum(count - 1 for count in self._chunks.values())
