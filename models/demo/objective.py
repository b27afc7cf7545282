"""What is learned: normal and anomalous told apart in pictures, in windows of their patches, and in patch tokens."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from clipspect_export.methods.winclip.graph import TEMPERATURE
from clipspect_export.towers.clip import Clip
from demo.batches import IGNORE, Batch

OBJECTS, PROMPTS = 4, 2  # a batch: object names, and prompts of each state
ANOMALOUS_PATCH = 4.0  # weight of the few anomalous patches


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
    whole = len(batch.image)
    tokens = visual.project(visual.encode(embedded[:whole]))  # (K, 1 + L, D)
    logits = state_logits(tokens, text[:whole])  # (K, 1 + L, 2)
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
