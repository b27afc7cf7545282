"""Train the demonstration CLIP on drawn pictures: `python -m demo.train --work DIR --out FILE`.

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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clipspect.prompts import read_ensemble
from clipspect_export.clip import Clip
from clipspect_export.config import read_backbone
from clipspect_export.winclip import TEMPERATURE
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from demo.batches import IGNORE, Batch, Vocabulary, draw_batch, draw_prompts
from demo.pool import Pool, draw_pool

CONFIG = Path(__file__).parent.parent / "clipspect_models" / "demo.json"
SEED = 1
PAIRS = 20  # a batch is twice as many pictures
WINDOWS = {2: 8, 3: 8}  # windows a picture, by scale
OBJECTS, PROMPTS = 4, 2  # a batch: object names, and prompts of each state
PEAK_RATE, FINAL_RATE, WARM_UP = 1.5e-3, 1e-5, 60
WEIGHT_DECAY = 0.02
LOSS_WEIGHTS = {"image": 1.0, "windows": 1.0, "patches": 1.0}
ANOMALOUS_PATCH = 4.0  # weight of the few anomalous patches
WHITENING = 0.75  # 1 would make every frequency as strong as the lowest, noise too
CHECKPOINT_EVERY = 100  # steps


def initialise(clip: Clip, seed: int) -> None:
    """CLIP's own initialisation (Radford et al. 2021), shortened: normal weights by width and depth."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in clip.named_parameters():
        leaf = name.rsplit(".", 1)[-1]
        width = value.shape[-1]
        with torch.no_grad():
            if ".ln_" in f".{name}":
                value.fill_(1.0 if leaf == "weight" else 0.0)
            elif leaf in ("bias", "in_proj_bias"):
                value.zero_()
            else:
                fan_in = math.prod(value.shape[1:]) if "conv1" in name else width
                std = 0.02 if "token" in name else 0.1 if "embedding" in name else fan_in**-0.5
                value.normal_(0, std, generator=generator)


def state_logits(embeddings: Tensor, text: Tensor) -> Tensor:
    """Cosines over the temperature: embeddings (N, ..., D) and text (N, 2, D) to (N, ..., 2)."""
    embeddings = functional.normalize(embeddings.float(), dim=-1)
    text = functional.normalize(text.float(), dim=-1)
    return torch.einsum("n...d,nsd->n...s", embeddings, text) / TEMPERATURE


def losses(clip: Clip, batch: Batch, prompts: Tensor, objects: Tensor) -> dict[str, Tensor]:
    """Cross entropies of the pictures, their windows, and their patch tokens."""
    text = clip.encode_text(prompts).unflatten(0, (OBJECTS, 2, PROMPTS)).mean(2)[objects]  # (N, 2, D)
    visual = clip.visual
    embedded = visual.embed(batch.pixels)  # (N, 1 + L, W)
    tokens = visual.project(visual.encode(embedded))  # (N, 1 + L, D)
    logits = state_logits(tokens, text)  # (N, 1 + L, 2)
    windows = []
    for window in batch.windows:
        with sdpa_kernel(SDPBackend.MATH):  # the others are slow on so few tokens
            encoded = visual.encode(embedded[window.image[:, None], window.tokens])
        embeddings = visual.project(encoded[:, 0])  # (M, D)
        windows.append((state_logits(embeddings, text[window.image]), window.label))
    weight = torch.tensor([1.0, ANOMALOUS_PATCH])
    return {
        "image": functional.cross_entropy(logits[:, 0], batch.image, ignore_index=IGNORE),
        "windows": torch.stack([functional.cross_entropy(x, y, ignore_index=IGNORE) for x, y in windows]).mean(),
        "patches": functional.cross_entropy(
            logits[:, 1:].flatten(0, 1), batch.patch.flatten(), weight, ignore_index=IGNORE
        ),
    }


def rate(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine."""
    if step < WARM_UP:
        return PEAK_RATE * (step + 1) / WARM_UP
    share = (step - WARM_UP) / max(1, steps - WARM_UP)
    return FINAL_RATE + (PEAK_RATE - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * share))


def new_optimisers(clip: Clip) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for the matrices of the blocks, AdamW for the rest, at one learning rate."""
    matrices = {name for name, value in clip.named_parameters() if value.ndim == 2 and "resblocks" in name}
    hidden = [value for name, value in clip.named_parameters() if name in matrices]
    rest = [value for name, value in clip.named_parameters() if name not in matrices]
    return [
        torch.optim.Muon(hidden, lr=PEAK_RATE, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def cosine_basis(clip: Clip, pixels: Tensor) -> None:
    """Start the patch embedding as a discrete cosine transform, whitened on normalised pixels (N, 3, H, W).

    A random start would have to find local frequencies first. The lowest are taken: more of brightness than of the
    two colour differences.
    """
    weight = clip.visual.conv1.weight
    count, _, side, _ = weight.shape
    k = torch.arange(side)
    waves = torch.cos(math.pi / side * (k[None] + 0.5) * k[:, None])  # (frequency, place)
    waves = functional.normalize(waves, dim=1)
    order = sorted((u + v, u, v) for u in range(side) for v in range(side))
    colours = functional.normalize(torch.tensor([[1.0, 1, 1], [1, -1, 0], [1, 1, -2]]), dim=1)
    shares = (count - 2 * (count // 5), count // 5, count // 5)
    filters = [
        colour[:, None, None] * waves[u][:, None] * waves[v]
        for colour, share in zip(colours, shares)
        for _, u, v in order[:share]
    ]
    with torch.no_grad():
        weight.copy_(torch.stack(filters))
        spread = clip.visual.conv1(pixels).std(dim=(0, 2, 3))
        weight.div_((spread**WHITENING)[:, None, None, None])


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def train(work: Path, out: Path, steps: int, pairs: int) -> None:
    """Draw the pool, train, write the weights as float16 safetensors in open_clip's key names."""
    pool = Pool(draw_pool(work, pairs, SEED))
    clip = Clip(read_backbone(CONFIG))
    initialise(clip, SEED)
    optimisers = new_optimisers(clip)
    ensemble, vocabulary = read_ensemble("winclip"), Vocabulary()

    def batch_of(step: int) -> tuple[Batch, Tensor, Tensor]:
        rng = np.random.default_rng([SEED, step])
        batch = draw_batch(pool, rng, PAIRS, WINDOWS)
        prompts = draw_prompts(ensemble, vocabulary, clip, rng, objects=OBJECTS, each=PROMPTS)
        return batch, prompts, torch.from_numpy(rng.integers(OBJECTS, size=PAIRS).repeat(2))

    cosine_basis(clip, batch_of(0)[0].pixels)
    checkpoint, log = work / "checkpoint.pt", work / "log.jsonl"
    plan = {"steps": steps, "pairs": pairs, "seed": SEED}
    start = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["plan"] != plan:
            raise SystemExit(f"{checkpoint} is of another plan ({state['plan']}, not {plan}): remove it to begin anew")
        start = state["step"]
        clip.load_state_dict(state["clip"])
        for optimiser, saved in zip(optimisers, state["optimisers"]):
            optimiser.load_state_dict(saved)

    began, sums, counted = time.monotonic(), {}, 0
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(batch_of, start)
        for step in tqdm(range(start, steps), initial=start, total=steps, unit="step"):
            batch = coming.result()
            coming = ahead.submit(batch_of, step + 1)
            for group in (group for optimiser in optimisers for group in optimiser.param_groups):
                group["lr"] = rate(step, steps)
            with torch.autocast("cpu", torch.bfloat16):
                parts = losses(clip, *batch)
                total = sum(LOSS_WEIGHTS[name] * part for name, part in parts.items())
            clip.zero_grad()
            total.backward()
            nn.utils.clip_grad_norm_(clip.parameters(), 1.0)
            for optimiser in optimisers:
                optimiser.step()
            counted += 1
            sums = {name: sums.get(name, 0.0) + part.item() for name, part in parts.items()}
            if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == steps:
                line = {"step": step + 1, "seconds": round(time.monotonic() - began, 1)}
                line |= {name: round(value / counted, 4) for name, value in sums.items()}
                with log.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                sums, counted = {}, 0
                saved = [optimiser.state_dict() for optimiser in optimisers]
                state = {"plan": plan, "step": step + 1, "clip": clip.state_dict(), "optimisers": saved}
                save_checkpoint(checkpoint, state)
    save_file({name: value.half().contiguous() for name, value in clip.state_dict().items()}, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("work/demo"), help="drawn pictures, checkpoint, log")
    parser.add_argument("--out", type=Path, default=Path("work/demo/demo.safetensors"))
    parser.add_argument("--steps", type=int, default=3600)
    parser.add_argument("--pairs", type=int, default=10_000, help="pictures drawn, in pairs of good and damaged")
    args = parser.parse_args()
    train(args.work, args.out, args.steps, args.pairs)


if __name__ == "__main__":
    main()
