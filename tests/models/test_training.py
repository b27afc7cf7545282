from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from clipspect.recipes.prompts import read_ensemble
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.config import read_backbone
from clipspect_export.towers.weights import load_weights
from demo import batches, choice, curve, defects, pool, surfaces, train
from demo.batches import GRID, IGNORE, Batch
from demo.initial import initialise
from demo.muon import Muon
from demo.objective import OBJECTS, PROMPTS, losses
from demo.pool import Pool, draw_pool
from demo.rounds import ROUNDS, Round

FEW = {"plastic": surfaces.TRAIN["plastic"], "stripes": surfaces.TRAIN["stripes"]}
PLAN = dataclasses.replace(ROUNDS[0], families=FEW, drawn=6, steps=3, pairs=2, whole=1, falling=3)


def draw(folder: Path) -> Pool:
    return Pool(draw_pool(folder, PLAN.drawn, PLAN.seed, PLAN.families, PLAN.kinds, workers=1))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "SHARD", 6)
        draw(folder)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SHARD", 6)
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 1)
    monkeypatch.setattr(train, "VALIDATION_PAIRS", 1)
    monkeypatch.setattr(train, "ROUNDS", [PLAN])


def test_labels_leave_out_what_a_person_could_not_decide() -> None:
    assert batches.labels(np.array([0, 1, 79, 80, 500]), 80).tolist() == [0, IGNORE, IGNORE, 1, 1]


def test_a_batch_holds_twins_that_only_the_defect_tells_apart(work: Path) -> None:
    drawn = draw(work)
    batch = batches.draw_batch(drawn, np.random.default_rng(0), 2, 2, {2: 4, 3: 6})
    assert batch.pixels.shape == (4, 3, 240, 240)
    assert batch.image[::2].tolist() == [0, 0]
    assert (batch.patch[::2] == 0).all()
    same = (batch.pixels[0] - batch.pixels[1]).abs().amax(0) < 0.1  # grey levels outside the defect are the same
    assert same.float().mean() > 0.5
    for scale, windows in zip((2, 3), batch.windows):
        assert windows.tokens.shape[1] == 1 + scale * scale
        assert (windows.tokens[:, 0] == 0).all()
        assert int(windows.tokens.max()) <= GRID * GRID


def test_of_some_pairs_windows_alone_are_read(work: Path) -> None:
    batch = batches.draw_batch(draw(work), np.random.default_rng(0), 3, 1, {2: 4})
    assert batch.pixels.shape[0] == 6
    assert batch.image.shape == (2,)
    assert batch.patch.shape == (2, GRID * GRID)
    assert batch.windows[0].image.unique().tolist() == [0, 1, 2, 3, 4, 5]
    clip = Clip(read_backbone(train.CONFIG))
    initialise(clip, 0)
    prompts = batches.draw_prompts(
        read_ensemble("winclip"), batches.Vocabulary(), clip, np.random.default_rng(0), objects=OBJECTS, each=PROMPTS
    )
    found = losses(clip, batch, prompts, torch.zeros(6, dtype=torch.int64))
    assert all(torch.isfinite(part) for part in found.values())


@pytest.mark.parametrize("shape", [(24, 8), (8, 24), (16, 16)])
def test_muon_moves_a_matrix_as_torchs_own_does_in_bfloat16(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(3)
    start = torch.randn(shape, generator=generator)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    optimisers = [
        Muon([ours], weight_decay=0.1),
        torch.optim.Muon([theirs], lr=0.1, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    ]
    optimisers[0].param_groups[0]["lr"] = 0.1
    for _ in range(3):
        gradient = torch.randn(shape, generator=generator)
        for matrix, optimiser in zip((ours, theirs), optimisers):
            matrix.grad = gradient.clone()
            optimiser.step()
    moved = (start - theirs).norm()
    assert moved > 0.1
    assert (ours - theirs).norm() < 0.02 * moved


def test_twins_can_be_read_in_the_same_windows(work: Path) -> None:
    apart, alike = (
        batches.draw_batch(draw(work), np.random.default_rng(0), 2, 2, {2: 4}, twins_alike)
        for twins_alike in (False, True)
    )
    tokens = alike.windows[0].tokens.reshape(2, 2, 4, -1)  # pairs, twins, windows
    assert (tokens[:, 0] == tokens[:, 1]).all()
    assert (tokens[:, 1] == apart.windows[0].tokens.reshape(2, 2, 4, -1)[:, 1]).all()
    labels = alike.windows[0].label.reshape(2, 2, 4)
    assert (labels[:, 0] == 0).all()
    assert (labels[:, 1] == 1).any()


@pytest.mark.parametrize("plan", ROUNDS)
def test_the_rate_rises_to_its_peak_and_ends_near_nothing(plan: Round) -> None:
    rates = [train.rate(step, plan) for step in range(plan.steps)]
    assert max(rates) == pytest.approx(plan.peak_rate)
    assert rates[: train.WARM_UP] == sorted(rates[: train.WARM_UP])
    assert rates[train.WARM_UP :] == sorted(rates[train.WARM_UP :], reverse=True)
    assert rates[-1] == pytest.approx(train.FINAL_RATE, rel=0.01)


def test_no_round_trains_on_or_validates_with_what_is_held_out() -> None:
    assert ROUNDS
    assert surfaces.HELD_OUT
    assert defects.HELD_OUT
    for plan in ROUNDS:
        assert plan.families
        assert plan.kinds
        assert not set(plan.families) & set(surfaces.HELD_OUT)
        assert not set(plan.kinds) & set(defects.HELD_OUT)
        assert not {draw.__name__ for draw in plan.families.values()} & set(surfaces.HELD_OUT)


def test_the_learning_curve_counts_a_step_taken_twice_once_and_goes_on_through_the_rounds(tmp_path: Path) -> None:
    losses = {"image": 0.5, "windows": 0.6, "patches": 0.7}
    figures = {"image_auroc": 0.9, "pixel_auroc": 0.8, "aupro": 0.7}
    rows = {1: [(0, {}), (2, losses), (2, losses | {"image": 0.4}), (4, losses)], 2: [(0, {}), (2, losses)]}
    for number, lines in rows.items():
        text = [json.dumps({"round": number, "step": step, "validation": figures} | more) for step, more in lines]
        (tmp_path / f"round-{number}.jsonl").write_text("\n".join(text) + "\n")
    lines = curve.read_logs(tmp_path)
    assert [line["all_steps"] for line in lines] == [0, 2, 4, 4, 6]
    assert lines[1]["image"] == 0.4
    curve.plot(lines, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_finished_weights_are_measured_beside_each_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = train.CONFIG.with_suffix(".safetensors")
    monkeypatch.setattr(choice, "ROUNDS", [PLAN])
    monkeypatch.setattr("sys.argv", ["choice", str(weights), str(weights), "--each", "1"])
    choice.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == [str(weights), *FEW, "mean"]
    assert lines[4:] == lines[:4]
    assert 0.5 < float(lines[3].split()[-1]) <= 1


@pytest.mark.slow
def test_training_goes_on_where_it_was_interrupted_and_writes_weights_that_the_exporter_reads(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = _trained(work, work / "straight.safetensors")
    for name in ("round-1.pt", "round-1.jsonl"):
        (work / name).unlink()
    real = train.draw_batch
    with monkeypatch.context() as patch:
        patch.setattr(train, "draw_batch", lambda *given: _until_step_2(real, *given))
        with pytest.raises(KeyboardInterrupt):
            train.train(work, work / "never.safetensors", 1, PLAN)
    interrupted = torch.load(work / "round-1.pt", weights_only=True)
    assert interrupted["step"] == 2
    resumed = _trained(work, work / "resumed.safetensors")
    lines = curve.read_logs(work)
    assert [line["step"] for line in lines] == [0, 1, 2, 3]
    assert [line["step"] for line in lines if "validation" in line] == [0, 3]
    loaded, _ = load_weights(work / "resumed.safetensors", read_backbone(train.CONFIG))
    far = 0.0
    for name, value in resumed.items():
        torch.testing.assert_close(loaded.tensors[name], value.float())
        torch.testing.assert_close(value.float(), straight[name].float(), atol=1e-4, rtol=0)
        far = max(far, (value.float() - interrupted["clip"][name]).abs().max().item())
    assert far > 3e-4  # the last step was taken


def test_a_checkpoint_of_another_plan_is_not_resumed(work: Path) -> None:
    torch.save({"plan": {"steps": 9, "drawn": 6, "seed": 1}}, work / "round-1.pt")
    with pytest.raises(SystemExit, match="another plan"):
        train.train(work, work / "never.safetensors", 1, PLAN)
    (work / "round-1.pt").unlink()


def _trained(work: Path, out: Path) -> dict[str, torch.Tensor]:
    train.train(work, out, 1, PLAN)
    return load_file(out)


def _until_step_2(real: Callable[..., Batch], drawn: Pool, rng: np.random.Generator, *rest: object) -> Batch:
    """The batches of the first two steps; a step's generator is seeded with (seed, step)."""
    if rng.bit_generator.seed_seq.entropy[1] >= 2:  # type: ignore[attr-defined]
        raise KeyboardInterrupt
    return real(drawn, rng, *rest)
