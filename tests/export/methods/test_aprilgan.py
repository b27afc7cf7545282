from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipspect.base.errors import ExportError
from clipspect_export.methods.aprilgan.graph import AprilGan, FewShotAprilGan, galleries
from clipspect_export.methods.aprilgan.reference import AprilGanReference, FewShotAprilGanReference
from clipspect_export.towers.prompts import method_prompts
from support.golden_dense import (
    golden,
    golden_clip,
    golden_stages,
    golden_weights,
    images_and_text,
    small_clip,
    small_stages,
)

Method = type[AprilGan] | type[AprilGanReference]


def text_features() -> torch.Tensor:
    words = method_prompts("aprilgan", "unit embeddings", ensemble=None)
    return torch.from_numpy(words.features("metal nut", golden_clip("aprilgan")))


def test_text_features_are_the_references() -> None:
    np.testing.assert_allclose(text_features()[:, 0], golden("aprilgan")["text_features"], atol=1e-6)


@pytest.mark.parametrize("method", [AprilGan, AprilGanReference])
def test_graph_and_eager_reference_are_the_reference(method: Method) -> None:
    expected, clip = golden("aprilgan"), golden_clip("aprilgan")
    model = method(clip.visual, clip.config, golden_stages())
    with torch.inference_mode():
        score, anomaly_map, embedding = model(torch.from_numpy(expected["images"]), text_features())
    np.testing.assert_allclose(score, expected["score"], atol=1e-5)
    np.testing.assert_allclose(anomaly_map[:, ::4, ::4], expected["map"], atol=1e-4)
    plain = clip.encode_image(torch.from_numpy(golden_weights.normalised(expected["images"])))
    torch.testing.assert_close(embedding, torch.nn.functional.normalize(plain, dim=-1), atol=1e-5, rtol=0)


@given(images=st.integers(1, 3), prompts=st.integers(1, 4), seed=st.integers(0, 9))
@settings(max_examples=15)
def test_graph_and_eager_agree_for_any_text(images: int, prompts: int, seed: int) -> None:
    clip = small_clip()
    pixels, text = images_and_text(clip, images, prompts)
    stages = small_stages(seed)
    with torch.inference_mode():
        found = AprilGan(clip.visual, clip.config, stages)(pixels, text)
    torch.testing.assert_close(
        found, AprilGanReference(clip.visual, clip.config, stages)(pixels, text), atol=2e-4, rtol=0
    )


@given(images=st.integers(1, 3), references=st.integers(1, 3), limits=st.tuples(st.integers(0, 2), st.integers(3, 9)))
@settings(max_examples=6)
def test_graph_and_eager_agree_for_any_references(images: int, references: int, limits: tuple[int, int]) -> None:
    clip = small_clip()
    pixels, text = images_and_text(clip, images, 1)
    photos, _ = images_and_text(clip, references, 2)
    map_limits = torch.tensor(limits, dtype=torch.float32)
    model = FewShotAprilGan(clip.visual, clip.config, small_stages())
    with torch.inference_mode():
        blank = [torch.zeros(1, width) for width in galleries(clip.config).values()]
        remembered = [rows.flatten(0, 1) for rows in model(photos, text, map_limits, *blank)[3:-2]]
        score, anomaly_map, embedding, *rows, words_score, words_map = model(pixels, text, map_limits, *remembered)
        words_alone = AprilGan(clip.visual, clip.config, small_stages())(pixels, text)
    reference = FewShotAprilGanReference(clip.visual, clip.config, small_stages())
    expected = reference(pixels, photos, text, map_limits)
    torch.testing.assert_close((score, anomaly_map, embedding, rows), expected, atol=2e-4, rtol=0)
    torch.testing.assert_close((words_score, words_map, embedding), words_alone)


def test_a_tower_of_another_depth_is_refused() -> None:
    clip = small_clip(vision_cfg={"image_size": 32, "patch_size": 8, "width": 32, "layers": 12, "head_width": 16})
    with pytest.raises(ExportError, match="12 layers; APRIL-GAN reads 6, 12, 18 and 24 of exactly 24"):
        AprilGan(clip.visual, clip.config, small_stages())
