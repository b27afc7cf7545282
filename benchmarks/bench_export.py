"""How long exports of the published backbones take from the command line, with seeded weights, on an idle machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from seeded.published import write_checkpoint, write_seeded

SECONDS = {"winclip": 120, "anomalyclip": 300, "aprilgan": 300, "crane": 300}  # promised for 2 cores


@pytest.mark.parametrize("method", SECONDS)
def bench_export_at_full_size(benchmark: BenchmarkFixture, method: str, tmp_path: Path) -> None:
    source = write_seeded(tmp_path / "seeded.safetensors", method)
    command = [sys.executable, "-m", "clipspect", "export", method, "--weights", str(source)]
    if method == "winclip":
        command += ["--backbone", "ViT-B-16-plus-240"]
    if (trained := write_checkpoint(tmp_path, method)) is not None:
        command += ["--checkpoint", str(trained)]
    if method in {"winclip", "aprilgan"}:
        command += ["--few-shot"]
    command += ["--out", str(tmp_path / "full.bundle")]
    benchmark.pedantic(subprocess.run, args=(command,), kwargs={"check": True}, rounds=1)
    assert benchmark.stats.stats.median < SECONDS[method]
