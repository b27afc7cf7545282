from __future__ import annotations

import numpy as np
import pytest
import torch
from clipspect.errors import ExportError
from clipspect_export.clip import Clip
from clipspect_export.prompts import embed_prompts, read_ensemble, text_features, tokenize
from golden_clip import golden
from open_clip.tokenizer import SimpleTokenizer


def test_the_ensemble_has_anomalibs_prompts_in_anomalibs_order() -> None:
    normal, anomalous = read_ensemble("winclip").prompts("bottle")
    assert (len(normal), len(anomalous)) == (7 * 21, 4 * 21)
    assert len(set(normal)) == 7 * 20, "one template stands there twice, as in anomalib"
    assert normal[0] == "a cropped photo of the bottle."
    assert normal[21] == "a cropped photo of the flawless bottle."
    assert anomalous[0] == "a cropped photo of the damaged bottle."
    assert anomalous[-1] == "a photo of a bottle with damage for anomaly detection."


def test_text_features_are_the_references(clip: Clip) -> None:
    features = text_features(read_ensemble("winclip"), "metal nut", clip)
    assert features.shape == (2, 1, 64)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features[:, 0], golden()["text_features"], atol=1e-5)


def test_leaving_out_what_follows_the_end_of_text_changes_nothing(clip: Clip) -> None:
    prompts = ["a photo of a nut.", "a cropped photo of the flawless hexagonal metal nut for visual inspection."]
    padded = SimpleTokenizer()(prompts)
    assert tokenize(prompts, clip).shape[1] < padded.shape[1]
    torch.testing.assert_close(embed_prompts(prompts, clip), clip.encode_text(padded), atol=1e-5, rtol=0)


def test_braces_in_an_objects_name_stay_in_it() -> None:
    normal, _ = read_ensemble("winclip").prompts("part {}")
    assert normal[0] == "a cropped photo of the part {}."


def test_an_object_too_long_for_the_text_tower_is_refused(clip: Clip) -> None:
    with pytest.raises(ExportError, match="the text tower reads 77: shorten"):
        text_features(read_ensemble("winclip"), "very " * 80 + "long nut", clip)
