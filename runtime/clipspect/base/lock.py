"""One process at a time: a lock on a file, which ends with its process, however that ends.

The library filelock does not serve here: its lock does not say which process holds it, stays as a file when it is
free, and becomes one that survives its process where a file system has no locks.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from clipspect.base.errors import ClipspectError
from clipspect.base.temporary import PREFIX, remove_leftovers

_LOCK = ".lock"
_LONGEST_NAME = 200  # bytes of a target's name in that of its lock
_TRIES, _PAUSE_S = 5, 0.02  # a process that looks for what others left holds a lock for a moment


def only_writer_in(folder: Path, error: type[ClipspectError] = ClipspectError) -> AbstractContextManager[None]:
    """Nobody else writes into the folder for the block; it is made. Raises `error`."""
    return _only_writer(folder, folder / f"{PREFIX}folder{_LOCK}", "choose another --out", error)


def only_writer_of(target: Path, error: type[ClipspectError] = ClipspectError) -> AbstractContextManager[None]:
    """Nobody else makes or changes a file, or a folder that is written at once, for the block. Raises `error`."""
    name = os.fsencode(target.name)
    if len(name) > _LONGEST_NAME:
        name = hashlib.sha256(name).hexdigest().encode()
    lock = target.absolute().parent / f"{PREFIX}{os.fsdecode(name)}{_LOCK}"
    return _only_writer(target, lock, "choose another name or --out", error)


def _only_writer(target: Path, lock: Path, elsewhere: str, error: type[ClipspectError]) -> AbstractContextManager[None]:
    def busy(holder: str) -> str:
        return f"{target}: another clipspect (process {holder}) writes there: wait for its end, or {elsewhere}"

    return locked(lock, busy, elsewhere, error, target)


@contextmanager
def locked(
    path: Path,
    busy: Callable[[str], str],
    elsewhere: str,
    error: type[ClipspectError] = ClipspectError,
    target: Path | None = None,
) -> Iterator[None]:
    """Hold the file's lock for the block, and then remove the file.

    Raises `error`: the words of `busy`, told the number of the process that holds it; or that the file cannot
    be written or locked, or the `target` that it is of, and `elsewhere`, what to do about that.
    """
    handle = _taken(path, busy, elsewhere, error, target or path)
    remove_leftovers(path.parent)
    try:
        try:
            os.truncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
        except OSError as problem:
            raise error(f"{target or path}: cannot be written ({problem.strerror}): {elsewhere}") from problem
        yield
    finally:
        path.unlink(missing_ok=True)  # while the lock is held: whoever waits for this file sees that it is gone
        os.close(handle)


def _taken(path: Path, busy: Callable[[str], str], elsewhere: str, error: type[ClipspectError], target: Path) -> int:
    """An open file whose lock is ours and which is still the one of that name."""
    try:
        import fcntl
    except ImportError as missing:
        raise error("this command needs the file locks of Linux, which this system does not have") from missing
    tries = 0
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as problem:
            raise error(f"{target}: cannot be written ({problem.strerror}): {elsewhere}") from problem
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except BlockingIOError:
            holder = os.read(handle, 20).decode(errors="replace") or "unknown"
            tries += 1
            if tries == _TRIES:
                os.close(handle)
                raise error(busy(holder)) from None
            time.sleep(_PAUSE_S)
        except FileNotFoundError:
            pass
        except OSError as problem:  # network shares can be without locks
            os.close(handle)
            raise error(f"{target}: cannot be locked ({problem.strerror}): {elsewhere}") from problem
        os.close(handle)  # its holder removed the file in between
