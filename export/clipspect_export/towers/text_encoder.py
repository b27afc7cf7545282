"""The text tower as a graph, with its tokenizer: what lets the box turn words into text features without torch.

Letters in shapes: B prompts, T tokens, W width, D embedding, h heads, d = W / h.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from clipspect.base.errors import ExportError
from clipspect.bundle.manifest import TextEncoderSpec
from clipspect.engines import open_backend
from clipspect.engines.graph import EMBEDDINGS, TOKENS, Graph
from clipspect_export.graph.graph_check import check_graph
from clipspect_export.graph.write import ENGINE, OPSET, GraphInput, write_graph
from clipspect_export.towers.clip import Block, Clip
from clipspect_export.towers.encoder import EncoderBlock
from clipspect_export.towers.layers import to_heads
from clipspect_export.towers.prompts import tokenize
from clipspect_export.towers.tokenizer import tokenizer_json

GRAPH_FILE, TOKENIZER_FILE = "text.onnx", "tokenizer.json"
TOLERANCE = 1e-5  # on embeddings of length 1
CHECK_PROMPTS = (  # besides one that fills the context
    "nut",
    "a photo of a damaged metal nut.",
    "a close-up photo of the cable without defect for visual inspection.",
)
_EXAMPLE_PROMPTS, _EXAMPLE_TOKENS = 2, 5  # not 1: torch takes a 1 for a constant


class CausalBlock(EncoderBlock):
    """A CLIP block whose tokens attend to themselves and to what stands before them."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """(B, T, W) to (B, T, W); `mask` (T, T) is added to the logits."""
        y = self.ln_1(x)
        q, k, v = (to_heads(layer(y), self.heads) for layer in (self.query, self.key, self.value))  # (B, h, T, d)
        mixed = (q @ k.transpose(-1, -2) + mask).softmax(dim=-1) @ v
        return self.finish(x, mixed.transpose(1, 2).flatten(2))


class TextTower(nn.Module):
    """CLIP's text transformer as a graph computes it: tokens of any length to the embedding at their end."""

    positions: Tensor
    mask: Tensor
    projection: Tensor

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        config = clip.config
        context = config.context_length
        self.end_of_text = config.vocab_size - 1
        self.embedding, self.ln_final = clip.token_embedding, clip.ln_final
        self.blocks = nn.ModuleList(
            CausalBlock(cast(Block, block), config.activation) for block in clip.transformer.resblocks
        )
        self.register_buffer("positions", clip.positional_embedding.detach())
        self.register_buffer("projection", clip.text_projection.detach())
        self.register_buffer("mask", torch.full((context, context), -torch.inf).triu(1))

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, T), one end of text in each row, to unnormalised embeddings (B, D)."""
        length = tokens.shape[1]
        x = self.embedding(tokens) + self.positions[:length]  # (B, T, W)
        mask = self.mask[:length, :length]
        for block in self.blocks:
            x = block(x, mask)
        is_end = (tokens == self.end_of_text).float()[:, None]  # (B, 1, T); a product gathers in every engine
        return self.ln_final((is_end @ x)[:, 0]) @ self.projection  # type: ignore[no-any-return]


def write_text_encoder(clip: Clip, folder: Path, *, storage: str = "fp32") -> TextEncoderSpec:
    """Write `text.onnx`, its weights and `tokenizer.json` into a folder; what the manifest says of them.

    The graph's FLOPs are those of one prompt of the whole context. Raises ExportError when the graph differs from the
    torch reference.
    """
    context = clip.config.context_length
    path = folder / GRAPH_FILE
    example = torch.full((_EXAMPLE_PROMPTS, _EXAMPLE_TOKENS), clip.config.vocab_size - 1)
    inputs = {TOKENS: GraphInput(example, {0: "B", 1: "T"})}
    write_graph(TextTower(clip), inputs, [EMBEDDINGS], path, storage=storage)
    report = check_graph(path, {TOKENS: inputs[TOKENS].dynamic}, patch_embedding=False, lengths={"T": context})
    (folder / TOKENIZER_FILE).write_text(tokenizer_json(), encoding="utf-8")
    graph = Graph(GRAPH_FILE, OPSET, report.inputs, report.outputs, report.flops)
    return TextEncoderSpec(graph, TOKENIZER_FILE, context, measure_text_parity(path, clip))


@torch.inference_mode()
def measure_text_parity(path: Path, clip: Clip) -> float:
    """Largest difference of unit embeddings from the eager tower's, for prompts alone and in one batch.

    Raises ExportError beyond TOLERANCE.
    """
    context = clip.config.context_length
    prompts = [*CHECK_PROMPTS, " ".join(["nut"] * (context - 2))]
    batches = [tokenize(batch, clip) for batch in (*([prompt] for prompt in prompts), prompts)]
    with open_backend(ENGINE, path) as backend:
        found = [torch.from_numpy(backend.run({TOKENS: tokens.numpy()})[EMBEDDINGS]) for tokens in batches]
    differences = [
        (functional.normalize(embeddings, dim=-1) - functional.normalize(clip.encode_text(tokens), dim=-1)).abs().max()
        for embeddings, tokens in zip(found, batches)
    ]
    largest = float(torch.stack(differences).max())  # NaN stays NaN
    if not largest <= TOLERANCE:
        raise ExportError(
            f"the text encoder in {ENGINE} differs from the torch reference by {largest:.2g}, the tolerance is "
            f"{TOLERANCE:.2g}: no bundle was written; try another version of torch or {ENGINE}, and report this with "
            "both versions"
        )
    return largest
