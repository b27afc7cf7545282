"""The health document, every so many seconds: a file that programs read and a line for the journal."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from clipspect.base.errors import ClipspectError
from clipspect.base.files import atomic_file
from clipspect.line.background import Background
from clipspect.line.health import Health


class Heartbeat(Background):
    """A context manager: a thread writes the document when it is entered, every `every` seconds, and when it is left.

    The file is `path`; the line goes to standard error.
    """

    def __init__(self, path: Path, every: float, document: Callable[[str], dict[str, Any]], health: Health) -> None:
        super().__init__("health")
        self.path = path
        self.writing_since: float | None = None  # monotonic seconds: a disk, and who reads standard error, can hang
        self._every, self._document, self._health = every, document, health

    def write(self, status: str) -> None:
        """The document as it is now. Raises what making it raises; a file that cannot be written is a problem."""
        document = self._document(status)
        try:
            with atomic_file(self.path) as file:
                file.write(json.dumps(document, indent=2).encode() + b"\n")
        except ClipspectError as error:
            self._health.problem("health", str(error))
        else:
            self._health.problem("health", None)
        self._health.print_line(json.dumps(document))

    def _work(self) -> None:
        while True:
            ending = self._over.is_set()
            self.writing_since = monotonic()
            self.write("offline" if ending else "online")
            self.writing_since = None
            if ending:
                return
            self._over.wait(min(self._every, threading.TIMEOUT_MAX))
