from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipspect.base.errors import ExportError
from clipspect_export.methods.anomalyclip.graph import AnomalyClip, DualBlock
from clipspect_export.methods.anomalyclip.reference import AnomalyClipReference
from clipspect_export.towers.encoder import attend
from support.golden_dense import (
    LAYERS,
    golden,
    golden_clip,
    images_and_text,
    learned_features,
    small_clip,
)

Method = type[AnomalyClip] | type[AnomalyClipReference]


@pytest.mark.parametrize("method", [AnomalyClip, AnomalyClipReference])
@pytest.mark.parametrize("sigma", [0.0, 4.0])
@pytest.mark.parametrize("layers", LAYERS)
def test_graph_and_eager_reference_are_the_reference(layers: tuple[int, ...], sigma: float, method: Method) -> None:
    expected, clip = golden("anomalyclip"), golden_clip("anomalyclip")
    model = method(clip.visual, clip.config, layers=layers, sigma=sigma)
    with torch.inference_mode():
        score, anomaly_map, embedding = model(torch.from_numpy(expected["images"]), learned_features())
    key = "_".join(map(str, layers)) + ("_sigma4" if sigma else "_raw")
    np.testing.assert_allclose(score, expected["score"], atol=1e-5)
    np.testing.assert_allclose(anomaly_map[:, ::4, ::4], expected[f"map_{key}"], atol=1e-5)
    np.testing.assert_allclose(embedding, expected["image_embedding"], atol=1e-5)


@given(
    layers=st.lists(st.integers(1, 8), min_size=1, max_size=4, unique=True).map(sorted),
    sigma=st.sampled_from([0.0, 0.6, 4.0]),
    images=st.integers(1, 3),
    prompts=st.integers(1, 3),
)
@settings(max_examples=20)
def test_graph_and_eager_agree_for_any_layers(layers: list[int], sigma: float, images: int, prompts: int) -> None:
    vision = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 8, "head_width": 16}
    clip = small_clip(vision_cfg=vision, quick_gelu=True)
    pixels, text = images_and_text(clip, images, prompts)
    with torch.inference_mode():
        found = AnomalyClip(clip.visual, clip.config, layers=layers, sigma=sigma)(pixels, text)
    expected = AnomalyClipReference(clip.visual, clip.config, layers=layers, sigma=sigma)(pixels, text)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_the_second_path_is_value_value_attention_without_the_mlp() -> None:
    clip = small_clip()
    block = DualBlock(clip.visual.transformer.resblocks[7], clip.config.activation)
    x = torch.randn(1, 17, 32, generator=torch.Generator().manual_seed(0))
    before = torch.zeros(1, 16, 32)
    with torch.inference_mode():
        original, patches = block.both(x, before, class_only=False)
        torch.testing.assert_close(original, block(x))
        torch.testing.assert_close(block.both(x, before, class_only=True)[0], original[:, :1])
        torch.testing.assert_close(block.to_class(x), original[:, :1])
        v = block.value(block.ln_1(x)).reshape(1, 17, 2, 16).transpose(1, 2)
        torch.testing.assert_close(patches, block.out(attend(v / 4, v, v))[:, 1:])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), "no layers"),
        ((0, 24), "layers 0,24: the vision tower has the layers 1 to 24"),
        ((24, 25), "the layers 1 to 24"),
        ((24, 6), "each once, in ascending order"),
        ((24, 24), "each once, in ascending order"),
    ],
)
def test_layers_that_the_tower_does_not_have_are_refused(layers: tuple[int, ...], message: str) -> None:
    clip = small_clip()
    with pytest.raises(ExportError, match=message):
        AnomalyClip(clip.visual, clip.config, layers=layers)


def test_a_tower_without_room_for_the_second_path_is_refused() -> None:
    clip = small_clip(vision_cfg={"image_size": 32, "patch_size": 8, "width": 32, "layers": 5, "head_width": 16})
    with pytest.raises(ExportError, match="second path begins after 5 blocks"):
        AnomalyClip(clip.visual, clip.config, layers=(5,))
