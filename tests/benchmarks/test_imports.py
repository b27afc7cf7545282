"""Benchmarks stand on their own: they run without the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_benchmark_imports_no_test_module(script: str) -> None:
    roots = [str(ROOT / name) for name in ("runtime", "export", "models", "benchmarks")]
    code = (
        f"import sys, {script}\n"
        "tests = [name for name, module in sys.modules.items() if "
        f"str(getattr(module, '__file__', '')).startswith({str(ROOT / 'tests')!r})]\n"
        "sys.exit(f'imports {tests}' if tests else 0)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
