"""One watcher an output folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipspect.errors import ClipspectError


@contextmanager
def take_lock(path: Path) -> Iterator[None]:
    """Hold a file's lock, which ends with the process however that ends. Raises ClipspectError when another has it."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ClipspectError(f"{path}: cannot be written ({error.strerror}): choose another --out") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 20, 0).decode(errors="replace").strip() or "unknown"
            raise ClipspectError(
                f"{path.parent.parent}: another clipspect watch (process {holder}) writes there: stop it, or choose "
                "another --out"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
