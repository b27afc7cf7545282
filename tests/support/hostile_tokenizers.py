"""tokenizer.json files at which the tokenizers library would panic, end the process, or take what it should not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

Document = dict[str, Any]
_SPLIT = {"type": "Split", "pattern": {"Regex": r"\s+"}, "behavior": "Removed", "invert": False}


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
    return {"version": "1.0", "pre_tokenizer": copy.deepcopy(_SPLIT), "model": model}


def within(make: Callable[[], Document], place: str, value: Any) -> Document:
    """With another value at a place."""
    document = make()
    *path, last = place.split("/")
    inner = document
    for step in path:
        inner = inner[step]
    inner[last] = value
    return document


_PAD = {"strategy": {"Fixed": 1 << 40}, "direction": "Right", "pad_to_multiple_of": 0, "pad_id": 0}
_CUT = {"max_length": 1, "strategy": "LongestFirst", "stride": 5, "direction": "Right"}
_SPECIAL = {"<s>": {"id": "<s>", "ids": [99], "tokens": ["<s>"]}}
_ADDED = {"id": 1 << 31, "content": "", "single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
_STEPS = {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 2000}
_DOCUMENTS = {
    "padding": within(words, "padding", {**_PAD, "pad_type_id": 0, "pad_token": "a"}),
    "truncation": within(words, "truncation", _CUT),
    "added": within(words, "added_tokens", [{**_ADDED, "special": True}]),
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
    "template-far": within(words, "post_processor/special_tokens", _SPECIAL),
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
    "normalizer-many-steps": within(words, "normalizer", _STEPS),
    "normalizer-nested": within(words, "normalizer", {"type": "Sequence", "normalizers": [_STEPS]}),
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
_RAW = {
    "deep": "[" * 1_000_000,
    "deep-objects": '{"model":' * 200_000,
    "deep-within": json.dumps(words())[:-1] + ', "normalizer": ' + '{"type": "Sequence", "normalizers": [' * 5000,
    "large": " " * 17_000_000,
    "surrogate": json.dumps(within(words, "model/unk_token", "\ud800")),
    "nan": json.dumps(within(pairs, "model/dropout", float("nan"))),
    "key-twice": json.dumps(words())[:-1] + ', "padding": ' + json.dumps(_PAD) + ', "padding": null}',
    "number": "1",
    "null": "null",
}

TOKENIZERS = {name: json.dumps(document) for name, document in _DOCUMENTS.items()} | _RAW
