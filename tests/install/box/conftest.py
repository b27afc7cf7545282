"""The tests of an installed clipspect: they need pytest, the package and an engine, and nothing else of the repository.

`make compat` and `make arm` run them in environments of their own, with a bundle that the repository made for them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

import clipspect

Command = Callable[..., str]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bundle", type=Path, required=True, help="support.handmade.write_full_bundle's")
    parser.addoption("--engines", default=",".join(_installed()), help="to test (default: those installed)")
    parser.addoption("--patience", type=float, default=120, help="seconds for one command; more under emulation")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        engines = metafunc.config.getoption("engines").split(",")
        assert engines != [""], "no engine is installed"
        metafunc.parametrize("engine", engines, scope="session")


def pytest_report_header() -> list[str]:
    """Where the package lies, so that a report cannot be of another one."""
    return [f"clipspect {clipspect.__version__} in {Path(clipspect.__file__).parent}"]


@pytest.fixture(scope="session")
def bundle(pytestconfig: pytest.Config) -> Path:
    """A tiny one with a few-shot graph and a text encoder: its map is the grey value, its score the maximum."""
    path: Path = pytestconfig.getoption("bundle")
    return path


@pytest.fixture(scope="session")
def command(pytestconfig: pytest.Config) -> Command:
    """Runs `clipspect ARGUMENTS` and answers with its stdout; asserts the status."""

    def run(*arguments: object, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "clipspect", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=pytestconfig.getoption("patience"),
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done.stdout

    return run


def _installed() -> list[str]:
    found = []
    for name in ("onnxruntime", "openvino"):
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        found.append(name)
    return found
