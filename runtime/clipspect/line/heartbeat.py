"""The health document, every so many seconds: a line for the journal and a file that programs read."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipspect.base.errors import ClipspectError
from clipspect.base.files import atomic_file
from clipspect.line.background import Background
from clipspect.line.health import Health


class Heartbeat(Background):
    """A context manager: a thread writes the document when it is entered, every `every` seconds, and when it is left.

    The line goes to standard error, the file to `path`.
    """

    def __init__(self, path: Path, every: float, document: Callable[[str], dict[str, Any]], health: Health) -> None:
        super().__init__("health")
        self._path, self._every, self._document, self._health = path, every, document, health

    def _work(self) -> None:
        while True:
            ending = self._over.is_set()
            document = self._document("offline" if ending else "online")
            print(json.dumps(document), file=sys.stderr, flush=True)
            try:
                with atomic_file(self._path) as file:
                    file.write(json.dumps(document, indent=2).encode() + b"\n")
            except ClipspectError as error:
                self._health.problem("health", str(error))
            else:
                self._health.problem("health", None)
            if ending:
                return
            self._over.wait(min(self._every, threading.TIMEOUT_MAX))
