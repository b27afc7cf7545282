from __future__ import annotations

import pytest
import torch

from clipspect_export.towers.clip import Block
from clipspect_export.towers.config import TransformerConfig, config_from_document
from clipspect_export.towers.encoder import EncoderBlock, bias_after_mixing

CONFIG = config_from_document(
    "small",
    {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 64, "layers": 1, "head_width": 16},
        "text_cfg": {"width": 64, "heads": 1, "layers": 1, "vocab_size": 8},
    },
).vision


def seeded_block(config: TransformerConfig) -> Block:
    """Every parameter drawn, biases as large as weights."""
    block, generator = Block(config, "gelu"), torch.Generator().manual_seed(5)
    for parameter in block.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) / 4
        parameter.requires_grad_(False)
    return block


@pytest.mark.parametrize("values_are_keys", [False, True])
def test_a_block_without_the_biases_that_the_softmax_takes_out_is_the_papers(values_are_keys: bool) -> None:
    block = seeded_block(CONFIG)
    graph = EncoderBlock(block, "gelu", values_are_keys=values_are_keys)
    x = torch.randn(2, 17, CONFIG.width, generator=torch.Generator().manual_seed(6))
    torch.testing.assert_close(graph(x), block(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(graph.to_class(x), block(x)[:, :1], atol=1e-5, rtol=1e-5)
    assert graph.key.bias is None
    assert (graph.value.bias is None) != values_are_keys


def test_a_bias_of_the_values_is_projected_with_them() -> None:
    weight, bias, value_bias = (
        torch.tensor([[1.0, 2.0], [0.0, 3.0]]),
        torch.tensor([1.0, 1.0]),
        torch.tensor([5.0, 7.0]),
    )
    assert bias_after_mixing(value_bias, weight, bias).tolist() == [20.0, 22.0]
