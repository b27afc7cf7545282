"""Train the demonstration CLIP on drawn pictures: `python -m demo.train --round N --work DIR --out FILE`.

The picture, windows of its patches, and each of its patch tokens are told normal from anomalous by
the cosine to the text features of prompts of the WinCLIP ensemble, temperature 0.07. Interrupted, it goes
on from its last checkpoint; the same command gives the same batches in the same order.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from clipspect.recipes.prompts import read_ensemble
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.config import read_backbone
from clipspect_export.towers.weights import load_weights
from demo import validation
from demo.batches import Batch, Vocabulary, draw_batch, draw_prompts
from demo.initial import cosine_basis, initialise
from demo.muon import Muon
from demo.objective import OBJECTS, PROMPTS, losses
from demo.pool import Pool, draw_pool
from demo.rounds import ROUNDS, Round

CONFIG = Path(__file__).parent.parent / "clipspect_models" / "demo.json"
FINAL_RATE, WARM_UP = 1e-5, 60
WEIGHT_DECAY = 0.02
BF16 = torch.cpu.get_capabilities().get("avx512_bf16", False)  # emulated, a step took 66 s instead of 9
CHECKPOINT_EVERY = 100  # steps, and a line of the log
VALIDATE_EVERY = 200  # steps: a point of the learning curve
VALIDATION_PAIRS = 2  # of every family

Batches = Callable[[int], tuple[Batch, Tensor, Tensor]]  # a step's pictures, prompts, and each picture's object


def rate(step: int, plan: Round) -> float:
    """Linear warm-up, the peak, and half a cosine over the last steps."""
    if step < WARM_UP:
        return plan.peak_rate * (step + 1) / WARM_UP
    share = max(0.0, 1 - (plan.steps - step) / plan.falling)
    return FINAL_RATE + (plan.peak_rate - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * share))


def new_optimisers(clip: Clip) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for the matrices of the blocks, AdamW for the rest, at one learning rate."""
    matrices = {name for name, value in clip.named_parameters() if value.ndim == 2 and "resblocks" in name}
    hidden = [value for name, value in clip.named_parameters() if name in matrices]
    rest = [value for name, value in clip.named_parameters() if name not in matrices]
    return [
        Muon(hidden, weight_decay=WEIGHT_DECAY),
        torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def batches_of(plan: Round, pool: Pool, clip: Clip) -> Batches:
    """The batch of a step, the same whenever it is asked for."""
    ensemble, vocabulary = read_ensemble("winclip"), Vocabulary()

    def batch_of(step: int) -> tuple[Batch, Tensor, Tensor]:
        rng = np.random.default_rng([plan.seed, step])
        batch = draw_batch(pool, rng, plan.pairs, plan.whole, plan.windows, plan.twins_alike)
        prompts = draw_prompts(ensemble, vocabulary, clip, rng, objects=OBJECTS, each=PROMPTS)
        return batch, prompts, torch.from_numpy(rng.integers(OBJECTS, size=plan.pairs).repeat(2))

    return batch_of


def begin(clip: Clip, plan: Round, batch_of: Batches, weights: Path | None) -> None:
    """Give a new model its values: an earlier round's weights, or CLIP's initialisation."""
    if weights:
        clip.load_state_dict(load_weights(weights, clip.config)[0].tensors)
    else:
        initialise(clip, plan.seed)
        cosine_basis(clip, batch_of(0)[0].pixels)


def take_step(clip: Clip, plan: Round, optimisers: list[torch.optim.Optimizer], batch: Any, step: int) -> Any:
    """One step of every optimiser; the losses before it, by name."""
    for group in (group for optimiser in optimisers for group in optimiser.param_groups):
        group["lr"] = rate(step, plan)
    with torch.autocast("cpu", torch.bfloat16, enabled=BF16):
        parts = losses(clip, *batch)
        total = sum(plan.loss_weights[name] * part for name, part in parts.items())
    clip.zero_grad()
    total.backward()
    nn.utils.clip_grad_norm_(clip.parameters(), 1.0)
    for optimiser in optimisers:
        optimiser.step()
    return {name: part.item() for name, part in parts.items()}


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def resume(path: Path, identity: dict[str, Any], clip: Clip, optimisers: list[torch.optim.Optimizer]) -> int:
    """The step to go on from; 0 without a checkpoint. Exits when the checkpoint is of another training."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    if state["plan"] != identity:
        raise SystemExit(f"{path} is of another plan ({state['plan']}, not {identity}): remove it to begin anew")
    clip.load_state_dict(state["clip"])
    for optimiser, saved in zip(optimisers, state["optimisers"]):
        optimiser.load_state_dict(saved)
    return int(state["step"])


def train(work: Path, out: Path, number: int, plan: Round, weights: Path | None = None) -> None:
    """Draw the round's pool, train, write the weights as float16 safetensors in open_clip's key names.

    Beside the checkpoint, WORK/round-N.jsonl has a line every CHECKPOINT_EVERY steps: the mean losses since the last
    one and, at the begin, every VALIDATE_EVERY steps and at the end, the figures on validation pictures.
    """
    pool = Pool(draw_pool(work, plan.drawn, plan.seed, plan.families, plan.kinds))
    seen = validation.draw_pairs(ROUNDS[-1].families, ROUNDS[-1].kinds, VALIDATION_PAIRS)
    clip = Clip(read_backbone(CONFIG))
    optimisers = new_optimisers(clip)
    batch_of = batches_of(plan, pool, clip)
    begin(clip, plan, batch_of, weights)
    checkpoint, log = work / f"round-{number}.pt", work / f"round-{number}.jsonl"
    identity = {"steps": plan.steps, "drawn": plan.drawn, "seed": plan.seed}
    start = resume(checkpoint, identity, clip, optimisers)

    def note(step: int, values: dict[str, Any]) -> None:
        line = {"round": number, "step": step, "seconds": round(time.monotonic() - began, 1), **values}
        if step % VALIDATE_EVERY == 0 or step == plan.steps:
            mean = validation.figures(clip, seen)[-1]
            line["validation"] = {
                "image_auroc": mean.image_auroc,
                "pixel_auroc": mean.pixel_auroc,
                "aupro": mean.aupro_exact,
            }
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")

    began, sums = time.monotonic(), []
    if start == 0:
        note(0, {})
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(batch_of, start)
        for step in tqdm(range(start, plan.steps), initial=start, total=plan.steps, unit="step"):
            batch = coming.result()
            coming = ahead.submit(batch_of, step + 1)
            sums.append(take_step(clip, plan, optimisers, batch, step))
            if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == plan.steps:
                note(step + 1, {name: round(float(np.mean([row[name] for row in sums])), 4) for name in sums[0]})
                sums = []
                saved = [optimiser.state_dict() for optimiser in optimisers]
                state = {"plan": identity, "step": step + 1, "clip": clip.state_dict(), "optimisers": saved}
                save_checkpoint(checkpoint, state)
    save_file({name: value.half().contiguous() for name, value in clip.state_dict().items()}, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--round", type=int, choices=range(1, len(ROUNDS) + 1), required=True)
    parser.add_argument("--from", type=Path, dest="weights", help="weights to begin with: the earlier round's")
    parser.add_argument("--work", type=Path, default=Path("work/demo"), help="drawn pictures, checkpoints, logs")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if (args.round > 1) != (args.weights is not None):
        parser.error("--from goes with every round but the first")
    train(args.work, args.out, args.round, ROUNDS[args.round - 1], args.weights)


if __name__ == "__main__":
    main()
