"""A text file that has its name only when it is whole: until then it is NAME.partial."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

from clipspect.base.errors import ClipspectError


class PartialFile:
    """Open it, write to it, close it. Raises ClipspectError when it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f"{path.name}.partial")
        self._file: TextIO | None = None

    def open(self) -> None:
        """Begin anew; a file that has the name already stays until this one is whole."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        except OSError as error:
            raise ClipspectError(f"{self._path}: cannot be written ({error.strerror}): choose another place") from error

    def write(self, text: str) -> int:
        assert self._file is not None, "it is not open"
        return self._file.write(text)

    def close(self, *, whole: bool) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            if whole:
                os.replace(self._partial, self._path)
