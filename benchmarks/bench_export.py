"""How long an export of the published WinCLIP backbone takes, seeded weights, from the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "export"))

from golden_clip import FULL, weights, write_weights

SECONDS = 120  # the promise, on 2 cores that do nothing else


@pytest.mark.full_size
def bench_export_of_vit_b_16_plus_240(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    source = write_weights(tmp_path / "seeded.safetensors", weights(FULL))
    command = [sys.executable, "-m", "clipspect", "export", "winclip", "--backbone", "ViT-B-16-plus-240"]
    command += ["--weights", str(source), "--out", str(tmp_path / "full.bundle"), "--force"]
    benchmark.pedantic(subprocess.run, args=(command,), kwargs={"check": True}, rounds=1)
    assert benchmark.stats.stats.median < SECONDS
