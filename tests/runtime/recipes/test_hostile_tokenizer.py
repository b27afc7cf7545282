"""Hostile tokenizer.json files: the tokenizers library never sees them, for it would panic, or end the process."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipspect.base.errors import BundleError
from clipspect.recipes.tokenizer import Tokenizer

Document = dict[str, Any]
SPLIT = {"type": "Split", "pattern": {"Regex": r"\s+"}, "behavior": "Removed", "invert": False}


def words() -> Document:
    """A list of words between a start and an end, which is read."""
    places = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Replace", "pattern": {"String": "x"}, "content": "y"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": places,
            "pair": places,
            "special_tokens": {"<s>": {"id": "<s>", "ids": [2], "tokens": ["<s>"]}},
        },
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {"!": 0, "a": 1, "<s>": 2}, "unk_token": "!"},
    }


def pairs() -> Document:
    """Byte pairs, which are read."""
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}
    return {"version": "1.0", "pre_tokenizer": copy.deepcopy(SPLIT), "model": model}


def within(make: Callable[[], Document], place: str, value: Any) -> Document:
    """With another value at a place."""
    document = make()
    *path, last = place.split("/")
    inner = document
    for step in path:
        inner = inner[step]
    inner[last] = value
    return document


PAD = {"strategy": {"Fixed": 1 << 40}, "direction": "Right", "pad_to_multiple_of": 0, "pad_id": 0}
CUT = {"max_length": 1, "strategy": "LongestFirst", "stride": 5, "direction": "Right"}
SPECIAL = {"<s>": {"id": "<s>", "ids": [99], "tokens": ["<s>"]}}
ADDED = {"id": 1 << 31, "content": "", "single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
STEPS = {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 2000}
HOSTILE = {
    "padding": within(words, "padding", {**PAD, "pad_type_id": 0, "pad_token": "a"}),
    "truncation": within(words, "truncation", CUT),
    "added": within(words, "added_tokens", [{**ADDED, "special": True}]),
    "version": within(words, "version", "2.0"),
    "unknown-key": within(words, "other", 1),
    "decoder": within(words, "decoder", {"type": "ByteLevel"}),
    "model-missing": {"version": "1.0"},
    "model-unigram": within(words, "model", {"type": "Unigram", "unk_id": 9, "vocab": [["a", -1.0]]}),
    "model-wordpiece": within(words, "model/type", "WordPiece"),
    "words-empty": within(words, "model/vocab", {}),
    "words-negative": within(words, "model/vocab", {"!": -1}),
    "words-far": within(words, "model/vocab", {"!": 0, "a": 1 << 32}),
    "words-one-id": within(words, "model/vocab", {"!": 0, "a": 0}),
    "words-without-unknown": within(words, "model/unk_token", "none"),
    "words-lack-special": within(words, "model/vocab", {"!": 0, "a": 1}),
    "template-far": within(words, "post_processor/special_tokens", SPECIAL),
    "template-unknown": within(words, "post_processor/special_tokens", {}),
    "template-empty": within(words, "post_processor/single", []),
    "template-twice": within(words, "post_processor/single", [{"Sequence": {"id": "A", "type_id": 0}}] * 2),
    "template-of-pairs": within(words, "post_processor/single", [{"Sequence": {"id": "B", "type_id": 0}}]),
    "template-long": within(words, "post_processor/pair", [{"Sequence": {"id": "A", "type_id": 0}}] * 1000),
    "template-no-piece": within(words, "post_processor/single", [{}]),
    "pieces-bert": within(words, "post_processor", {"type": "BertProcessing", "sep": ["a", 1], "cls": ["a", 1]}),
    "normalizer-precompiled": within(words, "normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
    "normalizer-empty-text": within(words, "normalizer/pattern", {"String": ""}),
    "normalizer-long-text": within(words, "normalizer/content", "y" * 100_000),
    "normalizer-no-pattern": within(words, "normalizer/pattern", {}),
    "normalizer-own-expression": within(words, "normalizer/pattern", {"Regex": "(a+)+$"}),
    "normalizer-many-steps": within(words, "normalizer", STEPS),
    "normalizer-nested": within(words, "normalizer", {"type": "Sequence", "normalizers": [STEPS]}),
    "split-merged": within(pairs, "pre_tokenizer/behavior", "MergedWithNext"),
    "split-own-expression": within(pairs, "pre_tokenizer/pattern", {"Regex": "(?:a|a)*b"}),
    "pairs-unknown": within(pairs, "model/merges", [["a", "c"]]),
    "pairs-of-three": within(pairs, "model/merges", [["a", "b", "c"]]),
    "pairs-not-in-words": within(pairs, "model/vocab", {"a": 0, "b": 1}),
    "pairs-as-text-of-three": within(pairs, "model/merges", ["a b c"]),
    "pairs-dropout": within(pairs, "model/dropout", 0.5),
    "pairs-fallback": within(pairs, "model/byte_fallback", True),
    "pairs-prefix": within(pairs, "model/continuing_subword_prefix", "##"),
    "pairs-numbers": within(pairs, "model/merges", [[0, 1]]),
}
RAW = {
    "deep": "[" * 1_000_000,
    "deep-objects": '{"model":' * 200_000,
    "deep-within": json.dumps(words())[:-1] + ', "normalizer": ' + '{"type": "Sequence", "normalizers": [' * 5000,
    "large": " " * 17_000_000,
    "surrogate": json.dumps(within(words, "model/unk_token", "\ud800")),
    "nan": json.dumps(within(pairs, "model/dropout", float("nan"))),
    "key-twice": json.dumps(words())[:-1] + ', "padding": ' + json.dumps(PAD) + ', "padding": null}',
    "number": "1",
    "null": "null",
}


@pytest.mark.parametrize("document", [words(), pairs(), within(pairs, "model/merges", ["a b"])])
def test_what_the_hostile_ones_are_made_of_is_read(document: Document) -> None:
    assert Tokenizer.parse(json.dumps(document)).encode(["a ab"], 9).shape[0] == 1


@pytest.mark.parametrize("name", [*HOSTILE, *RAW])
def test_a_hostile_tokenizer_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(RAW[name] if name in RAW else json.dumps(HOSTILE[name]), encoding="utf-8")
    start = time.process_time()
    with pytest.raises(BundleError, match=r"^[^\n]*tokenizer\.json: not a readable tokenizer[^\n]*$"):
        Tokenizer.open(path)
    assert time.process_time() - start < 5
