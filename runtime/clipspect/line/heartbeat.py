"""The health document, every so many seconds: a line for the journal and a file that programs read."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from clipspect.base.errors import ClipspectError
from clipspect.base.files import atomic_file
from clipspect.line.health import Health


class Heartbeat:
    """A context manager: a thread writes the document when it is entered, every `every` seconds, and when it is left.

    The line goes to standard error, the file to `path`.
    """

    def __init__(self, path: Path, every: float, document: Callable[[str], dict[str, Any]], health: Health) -> None:
        self._path, self._every, self._document, self._health = path, every, document, health
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clipspect-health", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def finish(self, seconds: float) -> None:
        """Write the last document, but wait no longer for the disk."""
        self._over.set()
        self._thread.join(seconds)

    def _run(self) -> None:
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
