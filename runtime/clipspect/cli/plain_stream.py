"""Standard output and error as commands have them: open, and no name from outside controls the terminal."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

from clipspect.base.plain_text import for_terminal


class PlainStream:
    """The stream, but that control characters are written as escapes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(for_terminal(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def plain_streams() -> Iterator[None]:
    """What is printed inside, by us and by libraries, does not control the terminal."""
    out: Any = PlainStream(sys.stdout)
    err: Any = PlainStream(sys.stderr)
    with redirect_stdout(out), redirect_stderr(err):
        yield


def open_streams() -> None:
    """Whatever is printed can be: a file's name of any bytes, and where a stream was closed before the start.

    A closed one becomes the null device: the next file that is opened would get its number, and all that is printed.
    """
    lost = sys.stdout is None
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (open as long as the process)
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if lost:
        print("clipspect: standard output is closed: nothing is printed there", file=sys.stderr)
