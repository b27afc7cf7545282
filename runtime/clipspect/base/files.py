"""Files: output that is either whole or not there, and what a file is by its content."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from clipspect.base.errors import ClipspectError

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})  # of OSError: it may pass
_HASH_BLOCK = 1 << 20


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


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes its name only when the block ends well. Raises ClipspectError."""
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise ClipspectError(f"{path}: cannot be written ({error.strerror or error}): choose another folder") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
