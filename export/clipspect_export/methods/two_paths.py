"""The vision tower's two paths, as AnomalyCLIP and Crane read it: one as CLIP has it, and one for the patches.

From the sixth block on, the second path begins as a copy of the tokens and adds each block's other attention, without
the MLP. It reads the original path, never its own tokens, so that only its patches are computed; and the last block of
the original path makes the class token alone.

Letters in shapes: N images, L patches, T = 1 + L tokens, W width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from clipspect.base.errors import ExportError
from clipspect_export.towers.clip import Block, VisionTower
from clipspect_export.towers.config import ClipConfig
from clipspect_export.towers.encoder import EncoderBlock, TokenEmbedding

PLAIN_BLOCKS = 5  # before the second path begins: both official codes replace the last 19 of 24


class TwoPathBlock(EncoderBlock):
    """A block that can take both paths; a method's says what the second one adds."""

    def __init__(self, block: Block, activation_name: str) -> None:
        super().__init__(block, activation_name, values_are_keys=True)

    @abstractmethod
    def both(self, x: Tensor, patches: Tensor, class_only: bool) -> tuple[Tensor, Tensor]:
        """Tokens (N, T, W) of the original path and patches (N, L, W) of the second, to the same.

        With `class_only` the original path ends here and gives its class token alone, (N, 1, W).
        """


class TwoPathEncoder(nn.Module):
    """Both paths through the vision tower; a method's says how their ends become embeddings."""

    def __init__(
        self, tower: VisionTower, config: ClipConfig, layers: Sequence[int], block_type: type[TwoPathBlock]
    ) -> None:
        """`layers` are the blocks after which patches are read, counted from 1, in ascending order."""
        super().__init__()
        require_two_paths(config)
        self.layers = tuple(layers)
        self.embed = TokenEmbedding(tower, config)
        self.blocks = nn.ModuleList(
            block_type(cast(Block, block), config.activation) for block in tower.transformer.resblocks
        )
        self.ln_post, self.proj = tower.ln_post, tower.proj

    def read(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """uint8 RGB (N, H, W, 3) to the original path's class token (N, 1, W), and of each layer the second path's
        patches (N, L, W)."""
        x = self.embed(image)  # (N, T, W)
        patches, read = x[:, 1:], []
        for number, module in enumerate(self.blocks, start=1):
            block, last = cast(TwoPathBlock, module), number == len(self.blocks)
            if number <= PLAIN_BLOCKS:
                x = block(x)
                patches = x[:, 1:]
            elif number <= self.layers[-1]:
                x, patches = block.both(x, patches, class_only=last)
            else:
                x = block.to_class(x) if last else block(x)
            if number in self.layers:
                read.append(patches)
        return x[:, :1], read


def require_two_paths(config: ClipConfig) -> None:
    """Refuse a vision tower without room for the second path. Raises ExportError."""
    depth = config.vision.layers
    if depth <= PLAIN_BLOCKS:
        raise ExportError(f"{config.name}: {depth} layers; the second path begins after {PLAIN_BLOCKS} blocks")
