"""The tokenizer and the text encoder of the runtime; that they answer like torch is shown in tests/export."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer as Engine
from tokenizers import models, pre_tokenizers, processors

from clipspect.base.errors import BackendError, BundleError, RecipeError
from clipspect.base.installation import pip_install
from clipspect.bundle.bundle import Bundle
from clipspect.recipes.text_encoder import TextEncoder
from clipspect.recipes.tokenizer import Tokenizer

WORDS = {word: number for number, word in enumerate(["!", "a", "nut", "bad", "<start>", "<end>"])}


def tokenizer_json() -> str:
    """Words of a small vocabulary between a start and an end."""
    engine = Engine(models.WordLevel(WORDS, unk_token="!"))
    engine.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [(word, WORDS[word]) for word in ("<start>", "<end>")]
    engine.post_processor = processors.TemplateProcessing(single="<start> $A <end>", special_tokens=special)
    return str(engine.to_str())


def test_token_ids_are_zero_after_the_end_and_as_long_as_the_longest_prompt(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer_json(), encoding="utf-8")
    tokens = Tokenizer.open(path).encode(["a nut", "A BAD &#110;ut", ""], 5)
    assert tokens.dtype == np.int64
    assert tokens.tolist() == [[4, 1, 2, 5, 0], [4, 1, 3, 2, 5], [4, 5, 0, 0, 0]]


def test_no_prompts_are_no_tokens() -> None:
    assert Tokenizer.parse(tokenizer_json()).encode([], 5).shape == (0, 0)


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers() -> None:
    with pytest.raises(RecipeError, match="'a bad nut' has 5 tokens, the text encoder reads 4: shorten it"):
        Tokenizer.parse(tokenizer_json()).encode(["a nut", "a bad nut"], 4)


def test_a_prompt_that_is_no_text_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"'nut\\udcff' is not text in UTF-8"):
        Tokenizer.parse(tokenizer_json()).encode(["nut\udcff"], 5)


def test_without_the_tokenizers_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(RecipeError, match=re.escape(pip_install("text"))):
        Tokenizer.parse(tokenizer_json())


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"model": 3}'])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(BundleError, match="not a readable tokenizer") as refused:
        Tokenizer.open(path)
    assert "\n" not in str(refused.value)


def test_a_bundle_without_a_text_encoder_is_refused_with_both_ways_out(tiny_bundle: Path) -> None:
    with pytest.raises(RecipeError, match=r'clipspect export winclip --object "NAME".*--with-text-encoder'):
        TextEncoder.open(Bundle.open(tiny_bundle))


def test_the_precision_of_the_scores_is_not_that_of_the_text_features(full_bundle: Path) -> None:
    embeddings = []
    for options in ({}, {"precision": "bf16"}):  # which onnxruntime would refuse
        with TextEncoder.open(Bundle.open(full_bundle), "onnxruntime", **options) as encoder:
            embeddings.append(encoder.embed(["a damaged nut"]))
    np.testing.assert_array_equal(*embeddings)


def test_an_engine_of_fixed_shapes_is_refused(full_bundle: Path) -> None:
    with pytest.raises(BackendError, match=r"tensorrt builds engines of fixed shapes.*use --device cuda or cpu"):
        TextEncoder.open(Bundle.open(full_bundle), device="tensorrt")
