"""The command line as the tests of commands call it."""

from __future__ import annotations

import pytest

from clipspect.cli import main


def run(*arguments: object) -> int:
    """The exit status of a command."""
    return main([str(argument) for argument in arguments])


def error_of(capture: pytest.CaptureFixture[str]) -> str:
    """What a refused command said: one line, and nothing on stdout."""
    out, err = capture.readouterr()
    assert out == ""
    assert err.startswith("clipspect: error: ")
    assert err.count("\n") == 1
    return err
