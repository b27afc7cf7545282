"""Object-agnostic learned prompts, AnomalyCLIP's and Crane's: from the official checkpoint's tensors to text features.

A prompt is twelve learned context tokens and the words "object." or "damaged object." (Zhou et al. 2024, section 3.3).
Text tokens are refined: before each of the blocks 2 to 9, the first four context tokens are replaced by learned ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from clipspect.base.errors import ExportError
from clipspect_export.methods.checkpoint import Checkpoint
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.config import ClipConfig

STATES = ("pos", "neg")  # the checkpoint's words for normal and anomalous
CONTEXT_TOKENS = 12  # learned words before the prompt's own; a file may have another number
DEEP_TOKENS = 4  # context tokens that are replaced in each; a file may have another number
DEEP_PROMPTS = 8  # blocks whose prompts are learned, the first excepted: the official depth of 9
_DEEP = re.compile(r"compound_prompts_text\.(\d+)")
_UNUSED = re.compile(r"compound_prompt_projections\.\d+\.(weight|bias)")  # created by the official code, never called


@dataclass(frozen=True)
class LearnedPrompts:
    """Both states' prompts as embedded tokens, before the position embedding."""

    tokens: Tensor  # (2, T, W)
    ends: Tensor  # (2,): where each prompt's end-of-text token stands
    deep: tuple[Tensor, ...]  # of (n, W): what the first n context tokens become before block 1, 2, ... from 0


def learned_prompts(checkpoint: Checkpoint, config: ClipConfig) -> LearnedPrompts:
    """The prompts of a checkpoint, checked against the text tower. Raises ExportError."""
    _require_names(checkpoint)
    width, context = config.text.width, config.context_length
    tokens, ends = [], []
    for state in STATES:
        learned = _context_tokens(checkpoint, f"ctx_{state}")
        parts = [
            checkpoint.take(f"token_prefix_{state}", (1, 1, 1, width)),
            checkpoint.take(f"ctx_{state}", (1, 1, learned, width)),
            checkpoint.take(f"token_suffix_{state}", (1, 1, context - 1 - learned, width)),
        ]
        tokens.append(torch.cat(parts, dim=2)[0, 0])
        ids = checkpoint.take(f"tokenized_prompts_{state}", (1, 1, context)).flatten()
        end = int(ids.argmax())
        if ids[end] != config.vocab_size - 1 or end <= learned:
            raise ExportError(
                f"{checkpoint.path}: tokenized_prompts_{state} has no end of text after {learned} context tokens"
            )
        ends.append(end)
    return LearnedPrompts(torch.stack(tokens), torch.tensor(ends), _deep_prompts(checkpoint, config))


@torch.inference_mode()
def learned_text_features(prompts: LearnedPrompts, clip: Clip) -> npt.NDArray[np.float32]:
    """(2, 1, D): the unit text embedding of each state, normal first.

    Attention is causal: what follows the last end of text is left out.
    """
    length = int(prompts.ends.max()) + 1
    x = prompts.tokens[:, :length] + clip.positional_embedding[:length]  # (2, T, W)
    for index, block in enumerate(clip.transformer.resblocks):
        if 1 <= index <= len(prompts.deep):
            deep = prompts.deep[index - 1]
            x = torch.cat([x[:, :1], deep.expand(len(x), -1, -1), x[:, 1 + len(deep) :]], dim=1)
        x = block(x, causal=True)
    end = x[torch.arange(len(x)), prompts.ends]  # (2, W)
    embeddings = clip.ln_final(end) @ clip.text_projection
    return functional.normalize(embeddings, dim=-1)[:, None].numpy()


def _context_tokens(checkpoint: Checkpoint, name: str) -> int:
    value = checkpoint.tensors.get(name)
    return value.shape[2] if value is not None and value.ndim == 4 else CONTEXT_TOKENS


def _deep_prompts(checkpoint: Checkpoint, config: ClipConfig) -> tuple[Tensor, ...]:
    """Rounded to float16, as the official text tower does with them."""
    numbers = sorted(int(match[1]) for name in checkpoint.tensors if (match := _DEEP.fullmatch(name)))
    if numbers != list(range(DEEP_PROMPTS)) or config.text.layers <= DEEP_PROMPTS:
        raise ExportError(
            f"{checkpoint.path}: found {len(numbers)} compound prompts, expected {DEEP_PROMPTS}, and a text tower of "
            f"more than {DEEP_PROMPTS} layers; {config.name} has {config.text.layers}"
        )
    names = [f"compound_prompts_text.{number}" for number in numbers]
    first = checkpoint.tensors[names[0]]
    count = first.shape[0] if first.ndim == 2 else DEEP_TOKENS
    return tuple(checkpoint.take(name, (count, config.text.width)).half().float() for name in names)


def _require_names(checkpoint: Checkpoint) -> None:
    known = {f"{part}_{state}" for state in STATES for part in ("ctx", "token_prefix", "token_suffix")}
    known |= {f"tokenized_prompts_{state}" for state in STATES}
    for name in checkpoint.tensors:
        if name not in known and not _DEEP.fullmatch(name) and not _UNUSED.fullmatch(name):
            raise ExportError(f"{checkpoint.path}: {name!r} is not part of the prompt learner")
