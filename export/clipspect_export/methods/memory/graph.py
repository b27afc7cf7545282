"""Memories as graphs: patch tokens of chosen blocks, and how far they are from those of good parts.

Letters in shapes: N images, L patches, T tokens, K blocks read, W width, R rows of a gallery, r components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from clipspect.frame.spec import ImageSpec
from clipspect_export.methods.maps import bilinear_matrix, gaussian_matrix, window_matrix
from clipspect_export.methods.memory.options import NEAREST, SUBSPACE, largest
from clipspect_export.methods.scoring import distance, unit
from clipspect_export.towers.encoder import EncoderBlock


@dataclass(frozen=True)
class Setting:
    """What a memory is told besides its tower."""

    scorer: str
    blocks: tuple[int, ...]  # from 1
    share: float  # per cent
    sigma: float  # pixels
    image: ImageSpec
    grid: tuple[int, int]  # rows and columns of patches

    @property
    def galleries(self) -> tuple[str, ...]:
        """The names of what is remembered of each block."""
        return tuple(f"block_{block}" for block in self.blocks)

    @property
    def parameters(self) -> dict[str, Any]:
        """For the manifest and recipes."""
        return {"scorer": self.scorer, "blocks": list(self.blocks), "share": self.share, "sigma": self.sigma}


class PatchEncoder(nn.Module):
    """A vision tower, read after some of its blocks."""

    def __init__(
        self,
        embedding: nn.Module,
        blocks: Sequence[EncoderBlock],
        setting: Setting,
        *,
        norm: nn.Module | None,
        head: nn.Module,
    ) -> None:
        """`blocks` are all of the tower's. `norm` is put over what is read, `head` makes the class token of the last
        block an image's embedding."""
        super().__init__()
        self.read = setting.blocks
        self.patches = setting.grid[0] * setting.grid[1]
        self.embedding, self.blocks = embedding, nn.ModuleList(blocks[: self.read[-1]])
        self.norm = nn.Identity() if norm is None else norm
        self.head = head if self.read[-1] == len(blocks) else None

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """uint8 RGB (N, H, W, 3) to the image's embedding (N, D), and K of (N, L, W), none of them normalised.

        Where the tower is not computed to its end the embedding is the mean of the last patches.
        """
        x = self.embedding(image)  # (N, T, W)
        read = []
        for number, block in enumerate(self.blocks, start=1):
            x = cast(EncoderBlock, block)(x)
            if number in self.read:
                read.append(self.norm(x)[:, -self.patches :])
        embedding = read[-1].mean(dim=1) if self.head is None else self.head(x[:, :1])[:, 0]
        return embedding, *read


class Memory(nn.Module):
    """What both scorers share: the encoder, and the way from a grid to score and map."""

    above: Tensor
    beside: Tensor

    def __init__(self, encoder: PatchEncoder, setting: Setting) -> None:
        super().__init__()
        self.encoder, self.setting = encoder, setting
        above, beside = map_matrices(setting)
        self.register_buffer("above", above)  # (H, rows)
        self.register_buffer("beside", beside)  # (W, columns)

    def smooth(self, patches: Tensor) -> Tensor:
        """(N, L) to (N, H, W)."""
        return self.above @ patches.reshape(-1, *self.setting.grid) @ self.beside.T

    def mean_of_largest(self, values: Tensor) -> Tensor:
        """(N, values) to (N,)."""
        count = largest(self.setting.share, values.shape[1])
        return values.topk(count, dim=1).values.mean(dim=1)


class NearestMemory(Memory):
    """Distances from the nearest patch of good parts, 1 minus the cosine; the score is taken on the grid."""

    def forward(self, image: Tensor, reference: Tensor) -> tuple[Tensor, ...]:
        """uint8 RGB (N, H, W, 3) and a gallery of unit rows (R, W).

        Returns score (N,), anomaly map (N, H, W), the image's embedding (N, D), and its own rows (N, L, W).
        """
        embedding, patches = self.encoder(image)
        rows = unit(patches)
        distances = distance(rows, reference)
        return self.mean_of_largest(distances), self.smooth(distances), unit(embedding), rows


class JoinedMemory(Memory):
    """The mean of several blocks' distances, each divided by its spread over good parts."""

    def forward(self, image: Tensor, spread: Tensor, *references: Tensor) -> tuple[Tensor, ...]:
        """uint8 RGB (N, H, W, 3), each gallery's spread (K,), and K galleries of unit rows (R, W).

        Returns score (N,), anomaly map (N, H, W), the image's embedding (N, D), and its own rows, K of (N, L, W).
        """
        embedding, *patches = self.encoder(image)
        rows = [unit(tokens) for tokens in patches]
        distances = torch.stack([distance(own, gallery) for own, gallery in zip(rows, references)], dim=-1)  # (N, L, K)
        joined = (distances / spread).mean(dim=-1)
        return self.mean_of_largest(joined), self.smooth(joined), unit(embedding), *rows


class SubspaceMemory(Memory):
    """What a patch leaves over outside of the subspace of good parts, squared; the score is taken on the map."""

    def forward(self, image: Tensor, mean: Tensor, components: Tensor) -> tuple[Tensor, ...]:
        """uint8 RGB (N, H, W, 3), the mean of good patches (W,), and orthogonal rows of length 1 or 0 (r, W).

        Returns score (N,), anomaly map (N, H, W), the image's embedding (N, D), and its own rows (N, L, W): the mean
        of what the blocks give.
        """
        embedding, *patches = self.encoder(image)
        rows = torch.stack(patches).mean(dim=0)
        centred = rows - mean
        left = centred - (centred @ components.T) @ components
        anomaly_map = self.smooth((left * left).sum(dim=-1))
        return self.mean_of_largest(anomaly_map.flatten(1)), anomaly_map, unit(embedding), rows


def memory(encoder: PatchEncoder, setting: Setting) -> Memory:
    """The graph of a setting."""
    if setting.scorer == SUBSPACE:
        return SubspaceMemory(encoder, setting)
    return JoinedMemory(encoder, setting) if len(setting.blocks) > 1 else NearestMemory(encoder, setting)


def map_matrices(setting: Setting) -> tuple[Tensor, Tensor]:
    """(H, rows) and (W, columns): the bilinear interpolation and the Gaussian after it, along each side.

    AnomalyDINO's Gaussian is SciPy's, SubspaceAD's one of three pixels.
    """
    smoothing = gaussian_matrix if setting.scorer == NEAREST else window_matrix
    above, beside = (
        (smoothing(pixels, setting.sigma) @ bilinear_matrix(pixels, patches).double()).float()
        for pixels, patches in zip((setting.image.height, setting.image.width), setting.grid)
    )
    return above, beside
