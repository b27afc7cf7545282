from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from clipspect_export.config import read_backbone
from clipspect_export.weights import load_weights
from demo import batches, pool, train
from demo.batches import GRID, IGNORE, Batch
from demo.pool import Pool, draw_pool
from safetensors.torch import load_file


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "SHARD", 6)
        draw_pool(folder, 6, train.SEED, workers=1)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SHARD", 6)
    monkeypatch.setattr(train, "PAIRS", 2)
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 1)


def test_labels_leave_out_what_a_person_could_not_decide() -> None:
    assert batches.labels(np.array([0, 1, 79, 80, 500]), 80).tolist() == [0, IGNORE, IGNORE, 1, 1]


def test_a_batch_holds_twins_that_only_the_defect_tells_apart(work: Path) -> None:
    drawn = Pool(draw_pool(work, 6, train.SEED, workers=1))
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
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = _trained(work, work / "straight.safetensors")
    for name in ("checkpoint.pt", "log.jsonl"):
        (work / name).unlink()
    real = train.draw_batch
    with monkeypatch.context() as patch:
        patch.setattr(train, "draw_batch", lambda *given: _until_step_2(real, *given))
        with pytest.raises(KeyboardInterrupt):
            train.train(work, work / "never.safetensors", steps=3, pairs=6)
    interrupted = torch.load(work / "checkpoint.pt", weights_only=True)
    assert interrupted["step"] == 2
    resumed = _trained(work, work / "resumed.safetensors")
    assert [json.loads(line)["step"] for line in (work / "log.jsonl").read_text().splitlines()] == [1, 2, 3]
    loaded, _ = load_weights(work / "resumed.safetensors", read_backbone(train.CONFIG))
    far = 0.0
    for name, value in resumed.items():
        torch.testing.assert_close(loaded.tensors[name], value.float())
        torch.testing.assert_close(value.float(), straight[name].float(), atol=1e-4, rtol=0)
        far = max(far, (value.float() - interrupted["clip"][name]).abs().max().item())
    assert far > 3e-4  # the last step was taken


def test_a_checkpoint_of_another_plan_is_not_resumed(work: Path) -> None:
    torch.save({"plan": {"steps": 9, "pairs": 6, "seed": 1}}, work / "checkpoint.pt")
    with pytest.raises(SystemExit, match="another plan"):
        train.train(work, work / "never.safetensors", steps=3, pairs=6)
    (work / "checkpoint.pt").unlink()


def _trained(work: Path, out: Path) -> dict[str, torch.Tensor]:
    train.train(work, out, steps=3, pairs=6)
    return load_file(out)


def _until_step_2(real: Callable[..., Batch], drawn: Pool, rng: np.random.Generator, *rest: object) -> Batch:
    """The batches of the first two steps; a step's generator is seeded with (seed, step)."""
    if rng.bit_generator.seed_seq.entropy[1] >= 2:  # type: ignore[attr-defined]
        raise KeyboardInterrupt
    return real(drawn, rng, *rest)
