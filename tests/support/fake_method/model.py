"""The graph, and the same in eager torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from clipspect.engines.graph import WORDS
from clipspect_export.methods.model import GraphForm, Model
from clipspect_export.methods.scoring import cosine_difference, unit
from clipspect_export.towers.clip import Clip, VisionTower
from clipspect_export.towers.config import ClipConfig
from clipspect_export.towers.encoder import EncoderBlock, TokenEmbedding
from clipspect_export.towers.prompts import method_prompts
from support.fake_method.options import FakeOptions


class FakeEncoder(nn.Module):
    """uint8 (N, H, W, 3) to the image's embedding (N, 1, D)."""

    def __init__(self, tower: VisionTower, config: ClipConfig) -> None:
        super().__init__()
        self.embed = TokenEmbedding(tower, config)
        self.blocks = nn.ModuleList(EncoderBlock(block, config.activation) for block in tower.transformer.resblocks)
        self.ln_post, self.proj = tower.ln_post, tower.proj

    def forward(self, image: Tensor) -> Tensor:
        x = self.embed(image)
        for block in self.blocks:
            x = block(x)
        return self.ln_post(x[:, :1]) @ self.proj


class Fake(nn.Module):
    """The exported graph."""

    def __init__(self, tower: VisionTower, config: ClipConfig, sharpness: float) -> None:
        super().__init__()
        self.encoder, self.sharpness, self.size = FakeEncoder(tower, config), sharpness, config.image_size

    def forward(self, image: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        embeddings = self.encoder(image)
        score = torch.sigmoid(self.sharpness * cosine_difference(embeddings, text_features))[:, 0]
        return score, score[:, None, None] * torch.ones(self.size), unit(embeddings[:, 0])


def plan(config: ClipConfig, options: FakeOptions) -> Callable[[Clip], Model]:
    prompts = method_prompts("winclip", "embeddings", options.ensemble, options.prompt_fusion)

    def model(clip: Clip) -> Model:
        mean, std = torch.tensor(clip.config.mean), torch.tensor(clip.config.std)

        def reference(image: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            found = clip.encode_image(((image.float() / 255 - mean) / std).permute(0, 3, 1, 2))
            cosines = [functional.cosine_similarity(found[:, None], state, dim=-1).amax(-1) for state in text_features]
            score = torch.sigmoid(options.sharpness * (cosines[1] - cosines[0]))
            return score, score[:, None, None].expand(-1, *clip.config.image_size), functional.normalize(found, dim=-1)

        form = GraphForm(lambda: Fake(clip.visual, clip.config, options.sharpness), reference, map_range=(0.0, 1.0))
        return Model(
            forms={WORDS: form},
            words=lambda name: prompts.words(name, clip),
            ensemble=prompts.own,
            mean=prompts.mean,
            tolerance=1e-5,
            parameters={"sharpness": options.sharpness},
        )

    return model
