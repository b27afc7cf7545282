"""Files: output that is either whole or not there, and what a file is by its content."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from clipspect.base.errors import ClipspectError
from clipspect.base.temporary import temporary_file

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})  # of OSError: it may pass
_HASH_BLOCK = 1 << 20


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what caused it, is one that room on the disk mends."""
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, OSError) and cause.errno in DISK_FULL


@dataclass(frozen=True)
class FileEntry:
    """What the exporter wrote: a file's digest and its length in bytes."""

    sha256: str
    size: int


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


class _Output(io.FileIO):
    """A file that remembers the error of its own writing."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.error = error
            raise


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes its name only when the block ends well. Raises ClipspectError."""
    with ExitStack() as stack:
        try:
            handle, temporary = stack.enter_context(temporary_file(path.parent))
        except OSError as error:
            raise _unwritable(path, error) from error
        output, inside = _Output(handle, "wb", closefd=False), False
        try:
            with io.BufferedWriter(output) as file:
                inside = True
                yield file
                inside = False
                file.flush()
                os.fsync(handle)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)  # while it is held, or another process takes it for left behind
        except OSError as error:
            if inside and error is not output.error:  # of something else that the block does
                raise
            raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ClipspectError:
    return ClipspectError(f"{path}: cannot be written ({error.strerror or error}): choose another folder")
