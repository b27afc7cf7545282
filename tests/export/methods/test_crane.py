from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipspect.base.errors import ExportError
from clipspect_export.methods.crane.graph import CorrelationBlock, Crane
from clipspect_export.methods.crane.reference import CraneReference, correlation_attention, fuse
from clipspect_export.methods.eager import anomalous_probability
from support.golden_dense import golden, golden_clip, golden_weights, images_and_text, learned_features, small_clip

Method = type[Crane] | type[CraneReference]


@pytest.mark.parametrize("method", [Crane, CraneReference])
@pytest.mark.parametrize("sigma", [0.0, 4.0])
def test_graph_and_eager_reference_are_the_reference(sigma: float, method: Method) -> None:
    expected, clip = golden("crane"), golden_clip("crane")
    model = method(clip.visual, clip.config, sigma=sigma)
    with torch.inference_mode():
        score, anomaly_map, embedding = model(torch.from_numpy(expected["images"]), learned_features("crane"))
    np.testing.assert_allclose(score, expected["score"], atol=1e-5)
    key = "map_sigma4" if sigma else "map_raw"
    np.testing.assert_allclose(anomaly_map[:, ::4, ::4], expected[key], atol=1e-5)
    np.testing.assert_allclose(embedding, expected["image_embedding"], atol=1e-5)


def test_class_patch_pooled_and_fused_embeddings_are_the_references() -> None:
    expected, clip = golden("crane"), golden_clip("crane")
    reference = CraneReference(clip.visual, clip.config, sigma=0)
    image, patches = reference.features(torch.from_numpy(golden_weights.normalised(expected["images"])))
    pooled, fused = fuse(image, patches, anomalous_probability(patches, learned_features("crane"), 0.07))
    np.testing.assert_allclose(image, expected["image_embedding"], atol=1e-5)
    np.testing.assert_allclose(patches[:, ::5], expected["patch_features"], atol=1e-5)
    np.testing.assert_allclose(pooled, expected["pooled_embedding"], atol=1e-5)
    np.testing.assert_allclose(fused, expected["fused_embedding"], atol=1e-5)


@given(depth=st.integers(6, 9), sigma=st.sampled_from([0.0, 4.0]), images=st.integers(1, 3), prompts=st.integers(1, 3))
@settings(max_examples=15)
def test_graph_and_eager_agree_for_any_depth(depth: int, sigma: float, images: int, prompts: int) -> None:
    vision = {"image_size": 32, "patch_size": 8, "width": 32, "layers": depth, "head_width": 16}
    clip = small_clip(vision_cfg=vision, quick_gelu=True)
    pixels, text = images_and_text(clip, images, prompts)
    with torch.inference_mode():
        found = Crane(clip.visual, clip.config, sigma=sigma)(pixels, text)
    expected = CraneReference(clip.visual, clip.config, sigma=sigma)(pixels, text)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_the_second_path_adds_the_sum_of_three_attentions_and_the_first_is_the_plain_block() -> None:
    clip = small_clip()
    plain = clip.visual.transformer.resblocks[7]
    block = CorrelationBlock(plain, clip.config.activation)
    x = torch.randn(1, 17, 32, generator=torch.Generator().manual_seed(0))
    before = torch.zeros(1, 16, 32)
    with torch.inference_mode():
        original, patches = block.both(x, before, class_only=False)
        torch.testing.assert_close(original, plain(x), atol=1e-5, rtol=0)
        torch.testing.assert_close(block.both(x, before, class_only=True)[0], original[:, :1])
        expected = correlation_attention(plain, plain.ln_1(x))[:, 1:]
    torch.testing.assert_close(patches, expected, atol=1e-5, rtol=0)


def test_a_tower_without_room_for_the_second_path_is_refused() -> None:
    clip = small_clip(vision_cfg={"image_size": 32, "patch_size": 8, "width": 32, "layers": 5, "head_width": 16})
    with pytest.raises(ExportError, match="5 layers; the second path begins after 5 blocks"):
        Crane(clip.visual, clip.config)
