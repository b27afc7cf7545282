"""One process at a time builds an engine: a lock that ends with its process, however that ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipspect.errors import BackendError


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Holds the file's lock for the block, and removes the file. Raises BackendError that names who holds it."""
    handle = _taken(path, what)
    try:
        os.truncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        path.unlink(missing_ok=True)  # while the lock is held: whoever waits for this file sees that it is gone
        os.close(handle)


def _taken(path: Path, what: str) -> int:
    """An open file whose lock is ours and which is still the one of that name."""
    try:
        import fcntl
    except ImportError as error:
        raise BackendError("clipspect compile needs file locks of Linux, which this system does not have") from error
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise BackendError(
                f"{path}: cannot be written ({error.strerror}): choose another folder by --cache"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except BlockingIOError:
            holder = os.read(handle, 20).decode(errors="replace") or "unknown"
            os.close(handle)
            raise BackendError(f"process {holder} is compiling {what} now: wait until it has ended") from None
        except FileNotFoundError:
            pass
        os.close(handle)  # its holder removed the file in between
