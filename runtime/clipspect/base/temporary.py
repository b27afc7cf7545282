"""Files and folders under a name of their own until they are whole.

A process holds a lock on each while it lives. One that is killed leaves them behind: whoever makes the next one in that
folder, or takes a lock there, removes those that nobody holds. Where a file system has no locks they stay.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = ".clipspect-"  # of every name that this process, or one that was killed, may remove
_TRIES = 20

_cleared: set[str] = set()  # folders that were looked through in this process
_clearing = threading.Lock()


@contextmanager
def temporary_file(folder: Path) -> Iterator[tuple[int, Path]]:
    """An empty file of the folder, open for reading and writing; removed at the end, unless it was renamed.

    The folder is made. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    for _ in range(_TRIES):
        path = _new_name(folder)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        if _held(handle, path):
            break
        os.close(handle)
    else:
        raise FileNotFoundError(2, "what is written there is removed at once", str(folder))
    try:
        yield handle, path
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new folder in `parent`, without one where the system keeps such; removed at the end, unless it was renamed.

    The parent is made. Raises OSError.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(parent)
    for _ in range(_TRIES):
        path = _new_name(parent)
        path.mkdir(0o700)
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if _held(handle, path):
            break
        os.close(handle)
    else:
        raise FileNotFoundError(2, "what is written there is removed at once", str(parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left in the folder, once a process. What cannot be removed stays."""
    where = os.path.abspath(folder)
    with _clearing:
        if where in _cleared:
            return
        _cleared.add(where)
    with contextlib.suppress(OSError), os.scandir(where) as entries:
        shared = bool(os.stat(where).st_mode & stat.S_ISVTX)  # everybody's, such as /tmp
        for name in [entry.path for entry in entries if entry.name.startswith(PREFIX)]:
            _remove_if_left(name, shared=shared)


def _remove_if_left(path: str, *, shared: bool) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(handle)
            ours = not shared or status.st_uid == os.geteuid()
            if ours and lock_at_once(handle) and os.path.samestat(status, os.lstat(path)):
                shutil.rmtree(path) if stat.S_ISDIR(status.st_mode) else os.unlink(path)
        finally:
            os.close(handle)


def _new_name(folder: Path) -> Path:
    return folder / f"{PREFIX}{secrets.token_hex(6)}"


def _held(handle: int, path: Path) -> bool:
    """Whether it is ours now, and still there: another process can have taken it for left behind in between."""
    if lock_at_once(handle) is False:
        return False
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def lock_at_once(handle: int) -> bool | None:
    """Whether the lock was free and is held now; None where the file system, or this system, has no locks."""
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
