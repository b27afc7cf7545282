"""AnomalyCLIP and APRIL-GAN with ViT-L/14 at 518 pixels, seeded weights: what an export costs, and what it gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from clipspect.bundle.bundle import Bundle
from support.golden_clip import weights, write_weights
from support.golden_dense import CRANE
from support.precision_cases import halved
from support.rtx import require_built

pytestmark = pytest.mark.slow  # minutes and 6 GB for each method: make test-all

FULL = {"embed_dim": 768, "image_size": 336, "patch": 14, "vwidth": 1024, "vlayers": 24, "twidth": 768, "tlayers": 12}
BYTES = 12e9  # of one export
FLOPS = {"anomalyclip": 1.19e12, "aprilgan": 1.03e12}
# The command line in a process of its own that says how much memory it held.
EXPORT = (
    "import resource, sys; from clipspect.cli import main; status = main(sys.argv[1:]);"
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(status)"
)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("full") / "seeded.safetensors", weights(FULL))


def linear_layers(path: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    layers = {}
    for number in range(4):
        layers[f"fc.{number}.weight"] = torch.randn(768, 1024, generator=generator) / 32
        layers[f"fc.{number}.bias"] = torch.randn(768, generator=generator) / 32
    torch.save({"trainable_linearlayer": layers}, path)
    return path


@pytest.mark.parametrize("method", ["anomalyclip", "aprilgan"])
def test_the_published_backbone_exports_at_full_size(method: str, weights_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "full.bundle"
    checkpoint = CRANE if method == "anomalyclip" else linear_layers(tmp_path / "linear.pth")
    options = ["--weights", str(weights_file), "--checkpoint", str(checkpoint), "--out", str(out)]
    options += ["--few-shot"] if method == "aprilgan" else []
    done = subprocess.run(
        [sys.executable, "-c", EXPORT, "export", method, *options], check=True, stdout=subprocess.PIPE, text=True
    )
    assert int(done.stdout.split()[-1]) * 1024 < BYTES
    bundle = Bundle.open(out)
    manifest = bundle.manifest
    assert manifest.graph.flops <= FLOPS[method]
    assert (manifest.few_shot is not None) == (method == "aprilgan")
    parities = [manifest.parity] + ([manifest.few_shot.parity] if manifest.few_shot else [])
    assert all(max(parity.score, parity.anomaly_map) <= 1e-4 for parity in parities)
    for graph in manifest.graphs:
        require_built(out / graph.file, graph)
        require_built(halved(out / graph.file, tmp_path), graph)
