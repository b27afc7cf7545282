"""An image file's identity: what says that it has been inspected already."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from clipspect.base.clock import LAST_NS

_ID_BYTES = 16


@dataclass(frozen=True)
class Part:
    """A file as it was when it was looked at. Overwritten with new content, or touched, it is another part."""

    name: str  # path relative to the watched folder
    size: int  # bytes
    mtime_ns: int  # time of the last change, as the file system has it, within what a document holds

    @classmethod
    def at(cls, folder: Path, name: str) -> Part | None:
        """The file as it is now; None when it cannot be seen."""
        try:
            return cls.of(name, os.stat(folder / name))
        except OSError:
            return None

    @classmethod
    def of(cls, name: str, status: os.stat_result) -> Part:
        return cls(name, status.st_size, min(max(status.st_mtime_ns, -LAST_NS), LAST_NS))

    @property
    def id(self) -> str:
        """32 hexadecimal digits over the three fields. No inode: a network share can give others after a restart."""
        content = b"%b\0%d\0%d" % (os.fsencode(self.name), self.size, self.mtime_ns)
        return hashlib.blake2b(content, digest_size=_ID_BYTES).hexdigest()
