"""How long exports of the published backbones take from the command line, with seeded weights, on an idle machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from seeded.dino import SMALL, dino_weights
from seeded.published import write_checkpoint, write_seeded
from seeded.weights import write_weights

SECONDS = {"winclip": 120, "anomalyclip": 300, "aprilgan": 300, "crane": 300}  # promised for 2 cores
MEMORY_SECONDS = 60  # of DINOv2 S/14 at 448 pixels


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


def bench_export_of_a_memory(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    source = write_weights(tmp_path / "seeded.safetensors", dino_weights(17, registers=4, **SMALL))
    command = [
        sys.executable,
        "-m",
        "clipspect",
        "export",
        "anomalydino",
        "--backbone",
        "vit_small_patch14_reg4_dinov2",
    ]
    command += ["--weights", str(source), "--image-size", "448x448", "--out", str(tmp_path / "full.bundle")]
    benchmark.pedantic(subprocess.run, args=(command,), kwargs={"check": True}, rounds=1)
    assert benchmark.stats.stats.median < MEMORY_SECONDS
