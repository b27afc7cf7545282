from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from clipspect_export.config import read_backbone
from clipspect_export.weights import load_weights
from demo import batches, pool, train
from demo.batches import GRID, IGNORE
from demo.pool import Pool, draw_pool


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "SHARD", 6)
        draw_pool(folder / "pool", 6, train.SEED, workers=1)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SHARD", 6)
    monkeypatch.setattr(train, "PAIRS", 2)
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 1)


def test_labels_leave_out_what_a_person_could_not_decide() -> None:
    assert batches.labels(np.array([0, 1, 79, 80, 500]), 80).tolist() == [0, IGNORE, IGNORE, 1, 1]


def test_a_batch_holds_twins_that_only_the_defect_tells_apart(work: Path) -> None:
    drawn = Pool(draw_pool(work / "pool", 6, train.SEED, workers=1))
    batch = batches.draw_batch(drawn, np.random.default_rng(0), 2, {2: 4, 3: 6})
    assert batch.pixels.shape == (4, 3, 240, 240)
    assert batch.image[::2].tolist() == [0, 0]
    assert (batch.patch[::2] == 0).all()
    same = (batch.pixels[0] - batch.pixels[1]).abs().amax(0) < 0.1  # grey levels outside the defect are the same
    assert same.float().mean() > 0.5
    for scale, windows in zip((2, 3), batch.windows):
        assert windows.tokens.shape[1] == 1 + scale * scale
        assert (windows.tokens[:, 0] == 0).all()
        assert int(windows.tokens.max()) <= GRID * GRID


def test_training_goes_on_where_it_was_interrupted_and_writes_weights_that_the_exporter_reads(
    work: Path, tmp_path: Path
) -> None:
    out = tmp_path / "demo.safetensors"
    train.train(work, out, steps=2, pairs=6)
    (work / "checkpoint.pt").rename(work / "kept.pt")
    straight = out.read_bytes()
    for name in ("log.jsonl",):
        (work / name).unlink()
    state = torch.load(work / "kept.pt", weights_only=True)
    assert state["step"] == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "rate", lambda step, steps: _interrupt(step) or 1e-3)
        with pytest.raises(KeyboardInterrupt):
            train.train(work, out, steps=2, pairs=6)
    assert torch.load(work / "checkpoint.pt", weights_only=True)["step"] == 1
    train.train(work, out, steps=2, pairs=6)
    assert [json.loads(line)["step"] for line in (work / "log.jsonl").read_text().splitlines()] == [1, 2]
    assert len(out.read_bytes()) == len(straight)
    loaded, _ = load_weights(out, read_backbone(train.CONFIG))
    assert loaded.tensors["visual.conv1.weight"].shape == (192, 3, 16, 16)


def _interrupt(step: int) -> None:
    if step == 1:
        raise KeyboardInterrupt
