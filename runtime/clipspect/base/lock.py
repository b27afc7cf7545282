"""One process at a time: a lock on a file, which ends with its process, however that ends.

The library filelock does not serve here: its lock does not say which process holds it, stays as a file when it is
free, and becomes one that survives its process where a file system has no locks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clipspect.base.errors import ClipspectError


@contextmanager
def locked(
    path: Path, busy: Callable[[str], str], elsewhere: str, error: type[ClipspectError] = ClipspectError
) -> Iterator[None]:
    """Hold the file's lock for the block, and then remove the file.

    Raises `error`: the words of `busy`, told the number of the process that holds it; or that the file cannot
    be written or locked, and `elsewhere`, what to do about that.
    """
    handle = _taken(path, busy, elsewhere, error)
    try:
        try:
            os.truncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
        except OSError as problem:
            raise error(f"{path}: cannot be written ({problem.strerror}): {elsewhere}") from problem
        yield
    finally:
        path.unlink(missing_ok=True)  # while the lock is held: whoever waits for this file sees that it is gone
        os.close(handle)


def _taken(path: Path, busy: Callable[[str], str], elsewhere: str, error: type[ClipspectError]) -> int:
    """An open file whose lock is ours and which is still the one of that name."""
    try:
        import fcntl
    except ImportError as missing:
        raise error("this command needs the file locks of Linux, which this system does not have") from missing
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as problem:
            raise error(f"{path}: cannot be written ({problem.strerror}): {elsewhere}") from problem
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except BlockingIOError:
            holder = os.read(handle, 20).decode(errors="replace") or "unknown"
            os.close(handle)
            raise error(busy(holder)) from None
        except FileNotFoundError:
            pass
        except OSError as problem:  # network shares can be without locks
            os.close(handle)
            raise error(f"{path}: cannot be locked ({problem.strerror}): {elsewhere}") from problem
        os.close(handle)  # its holder removed the file in between
