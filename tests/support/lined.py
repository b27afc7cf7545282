"""`clipspect line` as the tests run it: a file that describes it, and a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from support.watched import Watching

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
