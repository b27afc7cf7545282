"""A text file that has its name only when it is whole: until then it is NAME.partial, which one process writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

from clipspect.base.errors import ClipspectError
from clipspect.base.temporary import lock_at_once


class PartialFile:
    """Open it, write to it, close it. Raises ClipspectError when it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f"{path.name}.partial")
        self._file: TextIO | None = None

    def open(self) -> None:
        """Begin anew, over what a killed process left; a file that has the name stays until this one is whole."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._file = os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="")
            if lock_at_once(handle) is False or not self._is_still(handle):
                self._file.close()
                raise ClipspectError(f"{self._path}: another clipspect writes there: wait, or choose another place")
            os.ftruncate(handle, 0)
        except OSError as error:
            raise ClipspectError(f"{self._path}: cannot be written ({error.strerror}): choose another place") from error

    def write(self, text: str) -> int:
        assert self._file is not None, "it is not open"
        return self._file.write(text)

    def close(self, *, whole: bool) -> None:
        if self._file is not None:
            self._file.flush()
            if whole:  # while it is held
                os.fsync(self._file.fileno())  # or after a power cut it has its name and is empty
                os.replace(self._partial, self._path)
            self._file.close()
            self._file = None

    def _is_still(self, handle: int) -> bool:
        """Whether nobody has given it its final name since it was opened: it is another's whole file then."""
        try:
            return os.path.samestat(os.fstat(handle), os.stat(self._partial))
        except FileNotFoundError:
            return False
