"""DINOv2 as a graph computes it: uint8 pixels to tokens, and CLIP's blocks with LayerScale in their weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clipspect_export.towers import clip
from clipspect_export.towers.config import TransformerConfig
from clipspect_export.towers.dino import NORM_EPS, Block, Dino
from clipspect_export.towers.encoder import PIXEL_MAX, EncoderBlock


class DinoEmbedding(nn.Module):
    """From the image as it comes to the tokens that the first block reads."""

    pixel_mean: Tensor
    pixel_gain: Tensor
    leading: Tensor
    positions: Tensor

    def __init__(self, dino: Dino) -> None:
        super().__init__()
        self.conv = dino.patch_embed.proj
        self.register_buffer("pixel_mean", torch.tensor(dino.config.mean) * PIXEL_MAX)
        self.register_buffer("pixel_gain", 1 / (torch.tensor(dino.config.std) * PIXEL_MAX))
        self.register_buffer("leading", dino.leading[None].clone())  # (1, 1 + registers, W)
        self.register_buffer("positions", dino.positions.clone())  # (L, W)

    def forward(self, image: Tensor) -> Tensor:
        """uint8 RGB (N, H, W, 3) to tokens (N, T, W): class token, registers, patches."""
        pixels = ((image.float() - self.pixel_mean) * self.pixel_gain).permute(0, 3, 1, 2)
        patches = self.conv(pixels).flatten(2).transpose(1, 2) + self.positions  # (N, L, W)
        return torch.cat([patches[:, :1] * 0 + self.leading, patches], dim=1)  # as in encoder.py


def encoder_block(block: Block) -> EncoderBlock:
    """The same computation: what LayerScale multiplies comes out of a linear layer, whose weights take the factor."""
    width, heads = block.norm1.weight.shape[0], block.attn.heads
    with torch.device("meta"):
        plain = clip.Block(TransformerConfig(width, 1, heads, 4 * width), "gelu")
    first, second = block.ls1.gamma, block.ls2.gamma
    tensors = {
        "ln_1.weight": block.norm1.weight,
        "ln_1.bias": block.norm1.bias,
        "ln_2.weight": block.norm2.weight,
        "ln_2.bias": block.norm2.bias,
        "attn.in_proj_weight": block.attn.qkv.weight,
        "attn.in_proj_bias": block.attn.qkv.bias,
        "attn.out_proj.weight": block.attn.proj.weight * first[:, None],
        "attn.out_proj.bias": block.attn.proj.bias * first,
        "mlp.c_fc.weight": block.mlp.fc1.weight,
        "mlp.c_fc.bias": block.mlp.fc1.bias,
        "mlp.c_proj.weight": block.mlp.fc2.weight * second[:, None],
        "mlp.c_proj.bias": block.mlp.fc2.bias * second,
    }
    plain.load_state_dict(tensors, assign=True)
    plain.ln_1.eps = plain.ln_2.eps = NORM_EPS
    return EncoderBlock(plain.eval().requires_grad_(False), "gelu")
