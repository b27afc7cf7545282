"""AnomalyCLIP, APRIL-GAN and Crane with ViT-L/14 at 518 pixels, seeded: what an export costs and gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipspect.bundle.bundle import Bundle
from seeded.published import write_checkpoint, write_seeded
from support.measured import run_command
from support.precision_cases import halved
from support.rtx import require_built

pytestmark = pytest.mark.slow  # minutes and 6 GB for each method

BYTES = 12e9  # of one export
FLOPS = {"anomalyclip": 1.19e12, "aprilgan": 1.03e12, "crane": 1.35e12}


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_seeded(tmp_path_factory.mktemp("full") / "seeded.safetensors", "anomalyclip")  # and the others'


@pytest.mark.parametrize("method", ["anomalyclip", "aprilgan", "crane"])
def test_the_published_backbone_exports_at_full_size(method: str, weights_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "full.bundle"
    checkpoint = write_checkpoint(tmp_path, method)
    options = ["--weights", str(weights_file), "--checkpoint", str(checkpoint), "--out", str(out)]
    options += ["--few-shot"] if method == "aprilgan" else []
    assert run_command("export", method, *options).peak_bytes < BYTES
    bundle = Bundle.open(out)
    manifest = bundle.manifest
    assert manifest.graphs["words"].flops <= FLOPS[method]
    assert ("both" in manifest.graphs) == (method == "aprilgan")
    parities = [graph.parity for graph in manifest.graphs.values()]
    assert all(max(parity.score, parity.anomaly_map) <= 1e-4 for parity in parities)
    for graph in manifest.graphs.values():
        require_built(out / graph.file, graph)
        require_built(halved(out / graph.file, tmp_path), graph)
