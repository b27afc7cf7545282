"""The pages of the documentation in their order, and a page's commands: its `sh` and `python` blocks."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.installed import ROOT

sys.path.append(str(ROOT / "docs" / "_site"))
from site_pages import ELSEWHERE

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELL = ("sh", "bash")


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).with_suffix('')}-{self.line}"

    def commands(self) -> list[list[str]]:
        """The words of each command of a block of `sh`, without comments."""
        joined = self.text.replace("\\\n", " ")
        return [words for line in joined.splitlines() if (words := shlex.split(line, comments=True))]


def pages() -> list[Path]:
    """All pages of the site, in the order of its navigation, which is that of a newcomer."""
    outside = {name: ROOT / source for source, name in ELSEWHERE.items()}
    document = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    return [outside.get(name, ROOT / "docs" / name) for name in _names(document["nav"])]


def _names(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        (value,) = entry.values()
        yield from [value] if isinstance(value, str) else _names(value)


def fences_of(page: Path) -> list[Block]:
    """Every fenced block of a page, whatever its language."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, "sh" if found[1] in _SHELL else found[1], found[2])
        for found in _BLOCK.finditer(text)
    ]


def blocks_of(page: Path) -> list[Block]:
    """Those that can be run."""
    return [block for block in fences_of(page) if block.language in {"sh", "python"}]


def prose_of(page: Path) -> str:
    """The page without its fenced blocks, lines kept."""
    return _BLOCK.sub(lambda found: "\n" * found[0].count("\n"), page.read_text(encoding="utf-8"))
