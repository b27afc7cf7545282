"""Linux's notifications of what happens in folders, by the C library; none elsewhere.

They cost no dependency: three calls and a file to read from.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
from dataclasses import dataclass

_ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_ONLY_FOLDERS, _IS_FOLDER = 0x1000000, 0x40000000
_OF_FILES = _CLOSE_WRITE | _MOVED_TO | _CREATE | _ATTRIB
_OF_FOLDERS = _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_WANTED = _OF_FILES | _OF_FOLDERS | _DELETE_SELF | _MOVE_SELF | _ONLY_FOLDERS
_HEADER = struct.Struct("iIII")  # watch, what happened, cookie, length of the name
_BUFFER = 1 << 16
_REMOTE = frozenset(  # file systems whose files other machines, or a program, change without this kernel's knowledge
    "nfs nfs4 cifs smb3 smbfs fuse 9p afs ceph coda ncpfs gfs2 ocfs2 lustre vboxsf prl_fs virtiofs glusterfs"  # noqa: SIM905
    " beegfs".split()
)


@dataclass(frozen=True)
class Event:
    """What happened to a file, by its path relative to the root."""

    name: str
    complete: bool  # it was closed by who wrote it, or renamed into its folder; else it is new, or was touched


RESCAN = None  # in the place of an event: folders have come, gone or been renamed, or too much happened to be told


class Notifier:
    """What happens in the folders that are added to it. Used by one thread at a time."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """Raises OSError where there are no notifications, or no more to be had."""
        library = ctypes.CDLL(None, use_errno=True)
        if not hasattr(library, "inotify_init1"):
            raise OSError(errno.ENOSYS, "no inotify here")
        self._library, self._root = library, os.fspath(root)
        self._file = library.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "inotify cannot be had")
        self._names: dict[int, str] = {}  # of folders, relative to the root, by their watch
        self._watches: dict[str, int] = {}
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)

    def add(self, folder: str) -> None:
        """Watch a folder, by its path relative to the root. Again: nothing. Raises OSError."""
        if folder in self._watches:
            return
        path = os.fsencode(os.path.join(self._root, folder))
        watch = self._library.inotify_add_watch(self._file, ctypes.c_char_p(path), ctypes.c_uint32(_WANTED))
        if watch < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
        self._forget(watch)  # a folder that was renamed keeps its watch
        self._names[watch], self._watches[folder] = folder, watch

    def forget_all(self) -> None:
        """Watch nothing: what is added from now on is watched anew, though it has the name of what was before."""
        for watch in list(self._names):
            self._library.inotify_rm_watch(self._file, watch)
        self._names.clear()
        self._watches.clear()

    def wait(self, seconds: float) -> None:
        """Until something happens, or for so long."""
        self._poll.poll(seconds * 1e3)

    def events(self) -> list[Event | None]:
        """What has happened since the last call."""
        found: list[Event | None] = []
        while True:
            try:
                content = os.read(self._file, _BUFFER)
            except BlockingIOError:
                return found
            at = 0
            while at < len(content):
                watch, mask, _, length = _HEADER.unpack_from(content, at)
                name = content[at + _HEADER.size : at + _HEADER.size + length].rstrip(b"\0")
                at += _HEADER.size + length
                found += self._event(watch, mask, os.fsdecode(name))

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _event(self, watch: int, mask: int, name: str) -> list[Event | None]:
        if mask & _OVERFLOW:
            return [RESCAN]
        if watch not in self._names:  # let go of meanwhile
            return []
        if mask & (_IGNORED | _UNMOUNT | _DELETE_SELF | _MOVE_SELF):
            self.forget_all()  # the names of those below have changed, too
            return [RESCAN]
        if mask & _IS_FOLDER:
            if mask & (_MOVED_FROM | _DELETE):
                self.forget_all()
            return [RESCAN] if mask & _OF_FOLDERS else []
        folder = self._names[watch]
        if not name or not mask & _OF_FILES:
            return []
        return [Event(f"{folder}/{name}" if folder else name, bool(mask & (_CLOSE_WRITE | _MOVED_TO)))]

    def _forget(self, watch: int) -> None:
        folder = self._names.pop(watch, None)
        if folder is not None and self._watches.get(folder) == watch:
            del self._watches[folder]


def notifier_of(root: str | os.PathLike[str]) -> Notifier | None:
    """None where there are no notifications: not on Linux, or no more to be had."""
    try:
        return Notifier(root)
    except OSError:
        return None


def is_share(path: str | os.PathLike[str]) -> bool:
    """Whether others can change what lies there without this kernel being told; True where it cannot be known."""
    try:
        mount = _mount_type(os.path.realpath(path))
    except OSError:
        return True
    return mount is None or mount.partition(".")[0] in _REMOTE


def _mount_type(path: str) -> str | None:
    """The type of the file system, by the longest mount point that the path begins with."""
    best, found = -1, None
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            _, point, kind, *_ = line.split(" ")
            point = point.encode("utf-8", "surrogateescape").decode("unicode_escape") if "\\" in point else point
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= best:
                best, found = len(point), kind
    return found
