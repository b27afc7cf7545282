from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipspect.base.errors import ExportError
from clipspect_export.methods.winclip.graph import SMALLEST, FewShotWinClip, WinClip, anomalous_probability, galleries
from clipspect_export.methods.winclip.reference import FewShotWinClipReference, WinClipReference
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.config import ClipConfig
from support.golden_clip import golden, unit_rows
from support.small_clip import SMALL, images_and_text, seeded


@pytest.mark.parametrize("scales", [(2, 3), (2, 3, 5)])
def test_the_embeddings_of_image_and_windows_are_the_references(
    scales: tuple[int, ...], clip: Clip, config: ClipConfig
) -> None:
    expected = golden()
    images = torch.from_numpy(expected["images"])
    with torch.inference_mode():
        embeddings = WinClip(clip.visual, config, scales).encoder(images)[0].numpy()
    np.testing.assert_allclose(embeddings[:, 0], expected["image_embedding"], atol=1e-4)
    start = 1
    for scale in scales:
        count = (config.grid.rows - scale + 1) ** 2
        windows = embeddings[:, start : start + count : 5]
        np.testing.assert_allclose(windows, expected[f"window_embeddings_{scale}"], atol=1e-4)
        start += count


@pytest.mark.parametrize("scales", [(2, 3), (2, 3, 5)])
def test_the_eager_reference_is_the_reference(scales: tuple[int, ...], clip: Clip, config: ClipConfig) -> None:
    expected = golden()
    text = torch.from_numpy(expected["text_features"])[:, None]
    score, anomaly_map, embedding = WinClipReference(clip.visual, config, scales)(
        torch.from_numpy(expected["images"]), text
    )
    key = "".join(map(str, scales))
    np.testing.assert_allclose(score, expected[f"score_{key}"], atol=1e-5)
    np.testing.assert_allclose(anomaly_map[:, ::4, ::4], expected[f"map_{key}"], atol=1e-5)
    np.testing.assert_allclose(embedding, unit_rows(expected["image_embedding"]), atol=1e-5)


@given(
    scales=st.lists(st.integers(1, 4), min_size=1, max_size=4, unique=True),
    images=st.integers(1, 3),
    prompts=st.integers(1, 3),
    quick_gelu=st.booleans(),
)
@settings(max_examples=20)
def test_packed_and_eager_agree_for_any_scales(scales: list[int], images: int, prompts: int, quick_gelu: bool) -> None:
    clip = seeded({**SMALL, "quick_gelu": quick_gelu})
    pixels, text = images_and_text(clip, images, prompts)
    with torch.inference_mode():
        score, anomaly_map, embedding, *rows = WinClip(clip.visual, clip.config, scales)(pixels, text)
    expected = WinClipReference(clip.visual, clip.config, scales).with_windows(pixels, text)
    torch.testing.assert_close((score, anomaly_map, embedding, rows), expected, atol=1e-5, rtol=0)


@given(
    scales=st.lists(st.integers(1, 4), min_size=1, max_size=4, unique=True),
    images=st.integers(1, 3),
    references=st.integers(1, 3),
)
@settings(max_examples=20)
def test_packed_and_eager_agree_for_any_references(scales: list[int], images: int, references: int) -> None:
    clip = seeded(SMALL)
    pixels, text = images_and_text(clip, images, 1)
    photos, _ = images_and_text(clip, references, 2)
    model = FewShotWinClip(clip.visual, clip.config, scales)
    with torch.inference_mode():
        blank = [torch.zeros(1, width) for width in galleries(clip.config, scales).values()]
        remembered = [rows.flatten(0, 1) for rows in model(photos, text, *blank)[3:-2]]
        score, anomaly_map, embedding, *rows, words_score, words_map = model(pixels, text, *remembered)
        words_alone = WinClip(clip.visual, clip.config, scales)(pixels, text)
    expected = FewShotWinClipReference(clip.visual, clip.config, scales)(pixels, photos, text)
    torch.testing.assert_close((score, anomaly_map, embedding, rows), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close((words_score, words_map, embedding, *rows[1:]), words_alone)


def test_a_state_has_the_cosine_of_its_closest_prompt() -> None:
    embeddings = torch.tensor([[[3.0, 0.0]]])
    close, far = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 5.0])
    both = torch.stack([torch.stack([far, far]), torch.stack([far, close])])
    alone = torch.stack([far[None], close[None]])
    torch.testing.assert_close(anomalous_probability(embeddings, both), anomalous_probability(embeddings, alone))
    assert anomalous_probability(embeddings, both).item() == pytest.approx(1 / (1 + np.exp(-1 / 0.07)))


def test_text_features_of_any_length_give_the_same_answer() -> None:
    clip = seeded(SMALL)
    pixels, text = images_and_text(clip, 2, 2)
    model = WinClip(clip.visual, clip.config, (2,))
    with torch.inference_mode():
        torch.testing.assert_close(model(pixels, text * 7), model(pixels, text), atol=1e-6, rtol=0)


def test_a_certainly_normal_window_gives_zero_and_no_nan() -> None:
    clip = seeded(SMALL)
    model = WinClip(clip.visual, clip.config, (2,))
    probability = torch.zeros(1, model.windows[0])
    grid = 1 / model.means[0](1 / probability.clamp(min=SMALLEST))
    assert torch.isfinite(grid).all()
    assert grid.max() < 1e-12
    pixels, text = images_and_text(clip, 1, 1)
    with torch.inference_mode():
        for features in (text * 0, torch.stack([text[0], -text[0]])):
            assert all(torch.isfinite(value).all() for value in model(pixels, features))


def test_a_tower_of_one_block_is_refused() -> None:
    vision = {"image_size": 32, "patch_size": 8, "width": 64, "layers": 1}
    clip = seeded({**SMALL, "vision_cfg": vision})
    with pytest.raises(ExportError, match="needs at least 2"):
        WinClip(clip.visual, clip.config, (2,))
