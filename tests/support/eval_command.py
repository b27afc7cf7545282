"""`clipspect eval` as its tests call it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.command_line import run as run_command

Capture = pytest.CaptureFixture[str]


def evaluated(capture: Capture, *arguments: object) -> dict[str, Any]:
    """The document of a run that succeeds."""
    assert run(*arguments, "--json") == 0
    document: dict[str, Any] = json.loads(capture.readouterr().out)
    return document


def run(*arguments: object) -> int:
    return run_command("eval", *arguments)


def inspected(out: Path) -> list[str]:
    """The images that the folder has a score for, in the order of their inspection."""
    return [json.loads(line)["image"] for line in (out / "images.jsonl").read_text().splitlines()]
