"""`clipspect watch` as the tests run it: a process of its own, and the images that a camera drops."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from PIL import Image

from clipspect.sinks.records import lines_of
from support import handmade

PATIENCE_S = 300.0  # for what takes a fraction of a second on an idle machine

# Root reads every file, without these capabilities only its own by their rights.
_CAPABILITIES = "-dac_override,-dac_read_search"
WITHOUT_OVERRIDE = (
    ("setpriv", f"--bounding-set={_CAPABILITIES}", f"--inh-caps={_CAPABILITIES}") if os.geteuid() == 0 else ()
)


def grey_png(value: int) -> bytes:
    """A small image whose score is value / 255."""
    content = io.BytesIO()
    Image.fromarray(handmade.grey(value)).save(content, "PNG")
    return content.getvalue()


def wait_for(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def rows_of(out: Path) -> list[dict[str, Any]]:
    """The whole lines of the log, as they are now, over all of its files."""
    return [json.loads(line) for line in _lines_of(out)]


def _lines_of(out: Path) -> list[bytes]:
    if not any(out.glob("results*.jsonl")):
        return []
    return [line.content for line in lines_of(out / "results.jsonl") if line.whole]


class Watching:
    """A context manager over the process; what it has said is in `err` when it has ended."""

    def __init__(self, folder: Path, bundle: Path, out: Path, *options: object, prefix: tuple[str, ...] = ()) -> None:
        self.folder, self.out, self.err = folder, out, ""
        settings = {"--backend": "onnxruntime", "--threads": 1, "--settle": 0.1, "--give-up": 0.5}
        if "triton" in options:  # whose threads are the server's
            del settings["--threads"]
        given = [part for name, value in settings.items() if name not in options for part in (name, value)]
        arguments = ["watch", folder, "--bundle", bundle, "--out", out, *given, *options]
        self._command = [*prefix, sys.executable, "-m", "clipspect", *map(str, arguments)]

    def __enter__(self) -> Watching:
        self._errors = self.out.with_name(f"{self.out.name}.stderr")
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=errors)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.err = self.said()

    def said(self) -> str:
        return self._errors.read_text()

    def wait_for_rows(self, count: int) -> list[dict[str, Any]]:
        """Until the log has that many lines."""
        self.wait_until(lambda: len(_lines_of(self.out)) >= count)
        return rows_of(self.out)

    def wait_until(self, condition: Callable[[], Any]) -> None:
        """Until it holds, while the process lives."""
        wait_for(lambda: condition() or self.process.poll() is not None)
        assert self.process.poll() is None, self.said()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit status after a signal, which a process that only starts does not know yet."""
        self.wait_until(lambda: '"status": "online"' in self.said())
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)
