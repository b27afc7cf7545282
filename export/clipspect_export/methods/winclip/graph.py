"""WinCLIP (Jeong et al. 2023) as one packed pass: the full image and every window in one batch of tokens.

Every linear layer runs once over all tokens; only attention is split per group. Three things are not computed
because the exact mathematics does not need them: block 0's q, k and v of a token are the same in every window that
holds it, so they are made once a patch and gathered; the last block makes q, and everything after attention, for the
class tokens alone; and nothing but class tokens is normalised and projected at the end. The few-shot graph reads the
full image's patches besides, as the last block leaves them.

Letters in shapes: N images, L patches, T packed tokens, G groups (windows and the full image), W width, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from clipspect.base.errors import ExportError
from clipspect.bundle.windows_graph import ARITHMETIC, HARMONIC
from clipspect_export.methods.maps import Upsampling, bilinear_matrix
from clipspect_export.methods.scoring import cosine_difference, distance, unit
from clipspect_export.methods.winclip.options import Setting, require_setting
from clipspect_export.methods.winclip.windows import (
    Group,
    class_places,
    groups,
    packed_tokens,
    require_scales,
    side_mean_matrix,
)
from clipspect_export.towers.clip import Block, VisionTower
from clipspect_export.towers.config import ClipConfig, Grid
from clipspect_export.towers.encoder import EncoderBlock, TokenEmbedding
from clipspect_export.towers.layers import to_heads

TEMPERATURE = 0.07  # of the softmax over the two states: CLIP's, and anomalib's
# Values below it count as it, so that no inverse is infinite and times a zero of the matrix NaN. No pair of cosines
# gives a probability under sigmoid(-2 / 0.07) = 4e-13 up to rounding; a window that a reference has, too, has the
# distance 0, and anomalib's mean over it is 0.
SMALLEST = 1e-20
# The few-shot map is the mean of a probability and of half a cosine distance. Distances of parts of one kind are a few
# tenths at most, so that values over 0.5 are rare; the map can reach 1, which is then drawn in the hottest colour.
FEW_SHOT_RANGE = (0.0, 0.5)
PATCHES, WINDOWS = "patches", "windows_"  # galleries: of the full image, and of each scale


class PackedBlock(EncoderBlock):
    """A CLIP block whose attention stays inside the groups."""

    def __init__(self, block: Block, layout: Sequence[Group], activation_name: str) -> None:
        super().__init__(block, activation_name)
        self.layout = list(layout)

    def forward(self, x: Tensor) -> Tensor:
        """Packed tokens (N, T, W) to (N, T, W)."""
        y = self.ln_1(x)
        return self.finish(x, self.attend(self.query(y), self.key(y), self.value(y), self.layout))

    def from_patches(self, x: Tensor, packed: Tensor) -> Tensor:
        """The first block: tokens of the full image (N, 1 + L, W), gathered by `packed` (T,), to (N, T, W)."""
        y = self.ln_1(x)
        q, k, v = (layer(y).index_select(1, packed) for layer in (self.query, self.key, self.value))
        return self.finish(x.index_select(1, packed), self.attend(q, k, v, self.layout))

    def to_read(self, x: Tensor, places: Tensor, read: Sequence[Group]) -> Tensor:
        """The last block: packed tokens (N, T, W) to those at `places` (Q,) that are read, `read` of each group."""
        y = self.ln_1(x)
        q = self.query(y.index_select(1, places))  # (N, Q, W)
        return self.finish(x.index_select(1, places), self.attend(q, self.key(y), self.value(y), read))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, query_layout: Sequence[Group]) -> Tensor:
        """k, v: (N, T, W); q and the result: (N, Q, W), whose groups are `query_layout`."""
        q, k, v = (to_heads(part, self.heads) for part in (q, k, v))  # (N, heads, T, d)
        mixed = []
        for qg, kg, vg in zip(split(q, query_layout), split(k, self.layout), split(v, self.layout)):
            logits = qg @ kg.transpose(-1, -2)  # (N, heads, count, size, size)
            mixed.append((logits.softmax(dim=-1) @ vg).flatten(2, 3))  # (N, heads, count * size, d)
        return torch.cat(mixed, dim=2).transpose(1, 2).flatten(2)


def split(x: Tensor, layout: Sequence[Group]) -> list[Tensor]:
    """(N, heads, T, d) to one (N, heads, count, size, d) a group."""
    parts = torch.split(x, [group.tokens for group in layout], dim=2)
    return [
        part.reshape(*part.shape[:2], group.count, group.size, part.shape[-1]) for part, group in zip(parts, layout)
    ]


class WindowEncoder(nn.Module):
    """The vision tower over the full image and all windows: uint8 images to one embedding a group."""

    packed: Tensor
    places: Tensor

    def __init__(
        self,
        tower: VisionTower,
        config: ClipConfig,
        scales: Sequence[int],
        stride: int = 1,
        *,
        with_patches: bool = False,
    ) -> None:
        """`with_patches`: the full image's patches are read, too."""
        super().__init__()
        if config.vision.layers < 2:
            raise ExportError(f"{config.name}: {config.vision.layers} layer; the packed graph needs at least 2")
        layout = groups(config.grid, scales, stride)
        self.embedding = TokenEmbedding(tower, config)
        self.blocks = nn.ModuleList(
            PackedBlock(cast(Block, block), layout, config.activation) for block in tower.transformer.resblocks
        )
        self.ln_post, self.proj = tower.ln_post, tower.proj
        classes = class_places(layout)
        self.read = [Group(group.count, 1) for group in layout]  # of each group, what is read after the last block
        self.windows = [group.count for group in layout[1:]]  # of each scale
        self.with_patches = with_patches
        if with_patches:
            self.read[0] = layout[0]
            classes = torch.cat([torch.arange(layout[0].tokens), classes[1:]])
        self.register_buffer("packed", packed_tokens(config.grid, scales, stride))  # (T,)
        self.register_buffer("places", classes)  # (G,), or (L + G,) with the patches

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """uint8 (N, H, W, 3) to unnormalised embeddings (N, G, D): full image, then each scale's windows, row-major.

        With the patches also these (N, L, W), not projected.
        """
        first, *middle, last = (cast(PackedBlock, block) for block in self.blocks)
        x = first.from_patches(self.embedding(image), self.packed)
        for block in middle:
            x = block(x)
        x = self.ln_post(last.to_read(x, self.places, self.read))  # (N, G or L + G, W)
        if not self.with_patches:
            return (x @ self.proj,)
        size = self.read[0].size
        classes = torch.cat([x[:, :1], x[:, size:]], dim=1)  # (N, G, W)
        return classes @ self.proj, x[:, 1:size]


class WinClip(nn.Module):
    """The zero-shot graph: uint8 images and text features to scores, anomaly maps and the images' embeddings."""

    crops: Tensor
    reads_patches = False  # of the full image, beside the embeddings

    def __init__(
        self, tower: VisionTower, config: ClipConfig, scales: Sequence[int], setting: Setting | None = None
    ) -> None:
        super().__init__()
        self.scales = require_scales(scales, config.grid)
        self.setting = require_setting(setting or Setting(), self.scales)
        self.grid = config.grid
        self.encoder = WindowEncoder(
            tower, config, self.scales, self.setting.window_stride, with_patches=self.reads_patches
        )
        self.windows = self.encoder.windows
        self.means = nn.ModuleList(WindowMean(config.grid, scale, self.setting.window_stride) for scale in self.scales)
        if self.setting.multi_crop:
            self.register_buffer("crops", crop_weights(self.windows))  # (1, G)
        self.upsampling = Upsampling(config, bilinear_matrix)

    def forward(self, image: Tensor, text_features: Tensor) -> tuple[Tensor, ...]:
        """uint8 RGB (N, H, W, 3) and float32 (2, P, D) to score (N,) and anomaly map (N, H, W), both in (0, 1).

        Then come, of length 1, the images' embeddings (N, D) and those of each scale's windows (N, windows, D), which
        explain the map.
        """
        (embeddings,) = self.encoder(image)
        score, patches = self.compare_with_text(embeddings, text_features)
        rows = unit(embeddings)
        return score, self.upsample(patches), rows[:, 0], *torch.split(rows[:, 1:], self.windows, dim=1)

    def compare_with_text(self, embeddings: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, G, D) and (2, P, D) to score (N,) and a value for each patch (N, L).

        Per scale a patch is the harmonic mean of the windows that cover it: of inverses that is a plain mean. With
        multi-crop the score is that of a mean of unit embeddings, the image's and each scale's mean of windows.
        """
        probability = anomalous_probability(embeddings, text_features)  # (N, G)
        score = probability[:, 0]
        if self.setting.multi_crop:
            score = anomalous_probability(self.crops @ unit(embeddings), text_features)[:, 0]
        image, *windows = torch.split(1 / probability.clamp(min=SMALLEST), [1, *self.windows], dim=1)
        means = [mean(inverse) for mean, inverse in zip(self.means, windows)]  # of (N, L)
        return score, self.fuse(probability[:, :1], image, torch.stack(means))

    def fuse(self, image: Tensor, inverse_image: Tensor, inverse_scales: Tensor) -> Tensor:
        """Probability of the image (N, 1), its inverse, and inverses of each scale (S, N, L), to one map (N, L).

        Published is the harmonic mean, the image counting as one more scale (Jeong et al. 2023, equation 3). The
        largest value is of the scales alone: under the image's, a defect in a bad part would not be seen.
        """
        count = len(inverse_scales) + 1
        if self.setting.scale_fusion == HARMONIC:
            return count / inverse_scales.sum(dim=0).add(inverse_image)
        scales = 1 / inverse_scales
        if self.setting.scale_fusion == ARITHMETIC:
            return scales.sum(dim=0).add(image) / count
        return scales.amax(dim=0)

    def upsample(self, patches: Tensor) -> Tensor:
        """(N, L) to (N, H, W)."""
        return self.upsampling(patches.reshape(-1, *self.grid))  # type: ignore[no-any-return]


class FewShotWinClip(WinClip):
    """The few-shot graph, WinCLIP+: the zero-shot one, and how far patches and windows are from those of references."""

    reads_patches = True

    def forward(self, image: Tensor, text_features: Tensor, *references: Tensor) -> tuple[Tensor, ...]:
        """Besides the zero-shot graph's inputs galleries of unit rows, (R, W) of patches and (R, D) of each scale.

        Returns score (N,), anomaly map (N, H, W), the image's embedding (N, D), its own rows (N, rows, W or D) for each
        gallery, and the score and the map of the zero-shot graph. Map and score are the means of what the text says and
        what the references say: of the latter the score takes the largest value on the patch grid.
        """
        embeddings, patches = self.encoder(image)
        rows = [unit(patches), *torch.split(unit(embeddings[:, 1:]), self.windows, dim=1)]
        words_score, by_text = self.compare_with_text(embeddings, text_features)
        by_references = self.compare_with_references(rows, references)
        score = (words_score + by_references.amax(dim=1)) / 2
        anomaly_map = self.upsample((by_text + by_references) / 2)
        return score, anomaly_map, unit(embeddings[:, 0]), *rows, words_score, self.upsample(by_text)

    def compare_with_references(self, rows: Sequence[Tensor], references: Sequence[Tensor]) -> Tensor:
        """Rows (N, rows, W) and gallery (R, W), of the patches and each scale, to a value for each patch (N, L)."""
        patches, *windows = (
            (distance(own, gallery) / 2).clamp(min=SMALLEST) for own, gallery in zip(rows, references)
        )  # (N, rows), in (0, 1)
        maps = [patches, *(1 / mean(1 / values) for mean, values in zip(self.means, windows))]
        return torch.stack(maps).mean(dim=0)


class WindowMean(nn.Module):
    """Values of one scale's windows to patches, each the mean of the windows that cover it."""

    down: Tensor
    across: Tensor

    def __init__(self, grid: Grid, scale: int, stride: int = 1) -> None:
        super().__init__()
        self.register_buffer("down", side_mean_matrix(grid.rows, scale, stride))  # (rows, windows a side)
        self.register_buffer("across", side_mean_matrix(grid.columns, scale, stride))  # (columns, windows a side)

    def forward(self, values: Tensor) -> Tensor:
        """(N, windows), row-major, to (N, L)."""
        windows = values.reshape(-1, self.down.shape[1], self.across.shape[1])
        return (self.down @ windows @ self.across.T).flatten(1)


def crop_weights(windows: Sequence[int]) -> Tensor:
    """(1, G): of the mean over the image and each scale, a scale being the mean of its windows."""
    parts = len(windows) + 1
    shares = [torch.full((count,), 1 / (parts * count), dtype=torch.float64) for count in (1, *windows)]
    return torch.cat(shares).float()[None]


def galleries(config: ClipConfig, scales: Sequence[int]) -> dict[str, int]:
    """The few-shot graph's galleries in its order, and the width of their rows."""
    return {PATCHES: config.vision.width, **{f"{WINDOWS}{scale}": config.embed_dim for scale in scales}}


def window_rows(scales: Sequence[int]) -> tuple[str, ...]:
    """The names of the windows' embeddings that the graph of words answers, in its order."""
    return tuple(f"{WINDOWS}{scale}" for scale in scales)


def anomalous_probability(embeddings: Tensor, text_features: Tensor) -> Tensor:
    """(N, G, D) and (2, P, D), neither normalised, to the anomalous state's probability (N, G)."""
    return torch.sigmoid(cosine_difference(embeddings, text_features) / TEMPERATURE)
