"""Words through the text tower in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer

from clipspect.base.errors import RecipeError
from clipspect.recipes.prompts import Ensemble, text_features
from clipspect_export.methods.scoring import cosine_difference
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.prompts import embed_prompts, method_prompts, tokenize
from support.golden_clip import golden


def test_text_features_are_the_references(clip: Clip) -> None:
    features = method_prompts("winclip", "embeddings", ensemble=None).features("metal nut", clip)
    assert features.shape == (2, 1, 64)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features[:, 0], golden()["text_features"], atol=1e-5)


def test_leaving_out_what_follows_the_end_of_text_changes_nothing(clip: Clip) -> None:
    prompts = ["a photo of a nut.", "a cropped photo of the flawless hexagonal metal nut for visual inspection."]
    padded = SimpleTokenizer()(prompts)
    assert tokenize(prompts, clip).shape[1] < padded.shape[1]
    np.testing.assert_allclose(embed_prompts(prompts, clip), clip.encode_text(padded), atol=1e-5)


def test_an_object_too_long_for_the_text_tower_is_refused(clip: Clip) -> None:
    words = method_prompts("winclip", "embeddings", ensemble=None)
    with pytest.raises(RecipeError, match=r"has \d+ tokens, the text encoder reads 77: shorten it"):
        words.features("very " * 80 + "long nut", clip)


@given(normal=st.integers(1, 6), anomalous=st.integers(1, 6))
def test_every_prompt_that_is_kept_counts_and_padding_does_not(normal: int, anomalous: int) -> None:
    generator = torch.Generator().manual_seed(7 * normal + anomalous)
    rows = torch.randn(normal + anomalous, 8, generator=generator)
    patches = torch.randn(2, 5, 8, generator=generator)
    ensemble = Ensemble(("{}",) * normal, ("bad {}",) * anomalous, ("a {}.",))
    text = torch.from_numpy(text_features(ensemble, "nut", lambda prompts: rows.numpy(), fusion="max"))
    assert text.shape == (2, max(normal, anomalous), 8)
    best = [
        torch.stack([torch.cosine_similarity(patches, prompt, dim=-1) for prompt in state]).amax(dim=0)
        for state in (rows[:normal], rows[normal:])
    ]
    torch.testing.assert_close(cosine_difference(patches, text), best[1] - best[0])
