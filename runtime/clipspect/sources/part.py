"""An image file's identity: what says that it has been inspected already."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from clipspect.base.clock import LAST_NS

_ID_BYTES = 16


@dataclass(frozen=True)
class Part:
    """A file as it was when it was looked at. Overwritten with new content, or touched, it is another part."""

    name: str  # path relative to the watched folder
    size: int  # bytes
    mtime_ns: int  # time of the last change, as the file system has it, within what a document holds
    inode: int = field(default=0, compare=False)
    ctime_ns: int = field(default=0, compare=False)  # of the last change of the file or of what is said of it
    attributes: tuple[int, int, int, int] = field(default=(0, 0, 0, 0), compare=False)  # links, mode, owner, group
    again: bool = field(default=False, compare=False)  # another file of the same name, size and time was inspected

    @classmethod
    def at(cls, folder: Path, name: str) -> Part | None:
        """The file as it is now; None when it cannot be seen."""
        try:
            return cls.of(name, os.stat(folder / name))
        except OSError:
            return None

    @classmethod
    def of(cls, name: str, status: os.stat_result) -> Part:
        attributes = (status.st_nlink, status.st_mode, status.st_uid, status.st_gid)
        mtime_ns = min(max(status.st_mtime_ns, -LAST_NS), LAST_NS)
        return cls(name, status.st_size, mtime_ns, status.st_ino, status.st_ctime_ns, attributes)

    @property
    def id(self) -> str:
        """32 hexadecimal digits over name, size and time.

        No inode: a network share can give others after a restart. One that is there `again` has it in its id, and
        the time that nobody can set.
        """
        content = b"%b\0%d\0%d" % (os.fsencode(self.name), self.size, self.mtime_ns)
        if self.again:
            content += b"\0%d\0%d" % (self.inode, self.ctime_ns)
        return hashlib.blake2b(content, digest_size=_ID_BYTES).hexdigest()

    def is_untouched(self, before: Part) -> bool:
        """Whether it is the file that it was before, to the last of its times."""
        return (self, self.inode, self.ctime_ns) == (before, before.inode, before.ctime_ns)
