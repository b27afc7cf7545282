"""Files: output that is either whole or not there, and what a file is by its content."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from clipspect.base.errors import ClipspectError

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
    output, temporary = _temporary(path)
    inside = False
    try:
        with io.BufferedWriter(output) as file:
            inside = True
            yield file
            inside = False
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if inside and error is not output.error:  # of something else that the block does
            raise
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> tuple[_Output, Path]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    return _Output(handle, "wb"), Path(name)


def _unwritable(path: Path, error: OSError) -> ClipspectError:
    return ClipspectError(f"{path}: cannot be written ({error.strerror or error}): choose another folder")
