"""`clipspect line` as the tests run it: a file that describes it, and a process of its own."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipspect.line.line import Line
from clipspect.line.plan import read_plan
from support.watched import PATIENCE_S, Watching, grey_png

_FAULTY = Path(__file__).with_name("faulty.py")


def write_plan(path: Path, sources: dict[str, dict[str, Any]], **top: Any) -> Path:
    """A line's TOML file; the sources by their names."""
    lines = [f"{key} = {_value(value)}" for key, value in top.items()]
    for name, source in sources.items():
        lines += ["", "[[sources]]", f"name = {_value(name)}", *(f"{key} = {_value(of)}" for key, of in source.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def quick(folder: Path, **changes: Any) -> dict[str, Any]:
    """A watched folder that is looked at without much waiting."""
    return {"source": f"folder:{folder}", "settle": 0.1, "give_up": 0.5, **changes}


def engine(bundle: Path, out: Path, **changes: Any) -> dict[str, Any]:
    return {"bundle": bundle, "out": out, "backend": "onnxruntime", "threads": 1, "health": 0.1, **changes}


def drop(folder: Path, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        (folder / f"{number}.png").write_bytes(grey_png(50))


@contextlib.contextmanager
def running(plan: Path) -> Iterator[Line]:
    """A line in a thread of this process."""
    with Line(read_plan(plan)) as line:
        line.load()
        thread = threading.Thread(target=line.run)
        thread.start()
        try:
            yield line
        finally:
            line.stop()
            thread.join(PATIENCE_S)
        assert not thread.is_alive()


class Lining(Watching):
    """A context manager over the process."""

    def __init__(self, plan: Path, out: Path, *options: object, fault: str = "", prefix: tuple[str, ...] = ()) -> None:
        self.out, self.err = out, ""
        program = [str(_FAULTY), fault] if fault else ["-m", "clipspect"]
        self._command = [*prefix, sys.executable, *program, "line", str(plan), *map(str, options)]

    def health(self) -> dict[str, Any]:
        """The health document as it is now."""
        document: dict[str, Any] = json.loads((self.out / "health.json").read_text())
        return document


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(of)}" for key, of in value.items()) + "}"
    return json.dumps(str(value) if isinstance(value, Path) else value)
