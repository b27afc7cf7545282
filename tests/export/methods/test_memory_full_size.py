"""A memory over DINOv2 S/14 at 448 pixels, seeded: what an export costs and gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipspect.bundle.bundle import Bundle
from seeded.dino import SMALL, dino_weights, to_timm
from seeded.weights import write_weights
from support.measured import run_command
from support.rtx import require_built

pytestmark = pytest.mark.slow  # minutes on a busy machine

BYTES = 3e9  # of one export; its minute is asserted by the benchmark


@pytest.mark.parametrize(
    ("backbone", "registers"), [("vit_small_patch14_dinov2", 0), ("vit_small_patch14_reg4_dinov2", 4)]
)
def test_both_names_of_the_weights_give_the_same_graph(backbone: str, registers: int, tmp_path: Path) -> None:
    own = dino_weights(17, registers=registers, **SMALL)
    bundles = []
    for name, weights in (("official", own), ("timm", to_timm(own))):
        file, out = write_weights(tmp_path / f"{name}.safetensors", weights), tmp_path / f"{name}.bundle"
        options = ["--backbone", backbone, "--weights", file, "--image-size", "448x448", "--out", out]
        assert run_command("export", "anomalydino", *options).peak_bytes < BYTES
        bundles.append(Bundle.open(out))
    official, timm = (bundle.manifest for bundle in bundles)
    assert {name: file.sha256 for name, file in official.files.items()} == {
        name: file.sha256 for name, file in timm.files.items()
    }
    graph = official.graphs["photos"]
    assert max(graph.parity.score, graph.parity.anomaly_map) <= 1e-5
    require_built(bundles[0].path / graph.file, graph)
