from __future__ import annotations

import numpy as np
import pytest
import torch
from clipspect.errors import ExportError
from clipspect_export.aprilgan import AprilGan
from clipspect_export.aprilgan_reference import AprilGanReference
from clipspect_export.fusion import keep_all, unit_mean
from clipspect_export.prompts import embed_prompts, read_ensemble
from clipspect_export.scoring import cosine_difference
from golden_dense import golden, golden_clip, golden_stages, images_and_text, small_clip, small_stages
from hypothesis import given, settings
from hypothesis import strategies as st

Method = type[AprilGan] | type[AprilGanReference]


def text_features() -> torch.Tensor:
    clip = golden_clip("aprilgan")
    states = read_ensemble("aprilgan").prompts("metal nut")
    return torch.stack([unit_mean(embed_prompts(prompts, clip)) for prompts in states])


def test_the_ensemble_has_seven_normal_and_five_anomalous_states_in_35_templates() -> None:
    ensemble = read_ensemble("aprilgan")
    assert (len(ensemble.normal), len(ensemble.anomalous), len(ensemble.templates)) == (7, 5, 35)
    normal, anomalous = ensemble.prompts("bottle")
    assert len(set(normal + anomalous)) == 12 * 35
    assert (normal[0], anomalous[-1]) == ("a bad photo of a bottle.", "this is one bottle with damage in the scene.")


def test_text_features_are_the_references() -> None:
    np.testing.assert_allclose(text_features()[:, 0], golden("aprilgan")["text_features"], atol=1e-6)


@pytest.mark.parametrize("method", [AprilGan, AprilGanReference])
def test_graph_and_eager_reference_are_the_reference(method: Method) -> None:
    expected, clip = golden("aprilgan"), golden_clip("aprilgan")
    model = method(clip.visual, clip.config, golden_stages())
    with torch.inference_mode():
        score, anomaly_map = model(torch.from_numpy(expected["images"]), text_features())
    np.testing.assert_allclose(score, expected["score"], atol=1e-5)
    np.testing.assert_allclose(anomaly_map[:, ::4, ::4], expected["map"], atol=1e-4)


@given(images=st.integers(1, 3), prompts=st.integers(1, 4), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=15)
def test_graph_and_eager_agree_for_any_text(images: int, prompts: int, seed: int) -> None:
    clip = small_clip()
    pixels, text = images_and_text(clip, images, prompts)
    stages = small_stages(seed)
    with torch.inference_mode():
        found = AprilGan(clip.visual, clip.config, stages)(pixels, text)
    torch.testing.assert_close(
        found, AprilGanReference(clip.visual, clip.config, stages)(pixels, text), atol=2e-4, rtol=0
    )


def test_a_tower_of_another_depth_is_refused() -> None:
    clip = small_clip(vision_cfg={"image_size": 32, "patch_size": 8, "width": 32, "layers": 12, "head_width": 16})
    with pytest.raises(ExportError, match="12 layers; APRIL-GAN reads 6, 12, 18 and 24 of exactly 24"):
        AprilGan(clip.visual, clip.config, small_stages())


@given(normal=st.integers(1, 6), anomalous=st.integers(1, 6))
@settings(deadline=None)
def test_every_prompt_that_is_kept_counts_and_padding_does_not(normal: int, anomalous: int) -> None:
    generator = torch.Generator().manual_seed(7 * normal + anomalous)
    states = [torch.randn(count, 8, generator=generator) for count in (normal, anomalous)]
    patches = torch.randn(2, 5, 8, generator=generator)
    text = keep_all(*states)
    assert text.shape == (2, max(normal, anomalous), 8)
    best = [
        torch.stack([torch.cosine_similarity(patches, prompt, dim=-1) for prompt in state]).amax(dim=0)
        for state in states
    ]
    torch.testing.assert_close(cosine_difference(patches, text), best[1] - best[0])
