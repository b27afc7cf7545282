"""Damaged and malicious recipes are refused in one line, and the sanitizers have nothing to say."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipspect.bundle.manifest import RECIPES
from clipspect.recipes.recipe import write_recipe
from support import handmade
from support.cpp_programs import call

Refusal = Callable[[Path], str]
Table = dict[str, Any]

OBJECT = f"{RECIPES}/object.safetensors"
TABLE: Table = {"text_features": {"dtype": "F32", "shape": [2, 1, 4], "data_offsets": [0, 32]}}
DOCUMENT = {"schema_version": 2, "name": "object", "method": "winclip", "object": "nut", "encoder_sha256": "e" * 64}
DOCUMENT |= {"parameters": {"scales": [2, 3]}}
ONES = np.ones((2, 1, 4), np.float32).tobytes()


def file_of(header: bytes, buffer: bytes = ONES) -> bytes:
    return len(header).to_bytes(8, "little") + header + buffer


def sealed(document: str, table: Table = TABLE, buffer: bytes = ONES, *, between: str = "\n", **more: str) -> bytes:
    """A recipe's file whose digest is true, whatever is in it."""
    digest = sha256(document.encode() + buffer).hexdigest()
    metadata = {"clipspect": f"{digest}{between}{document}", **more}
    return file_of(json.dumps({"__metadata__": metadata, **table}).encode(), buffer)


def test_a_recipe_of_another_writer_is_read(built: Path, tiny_bundle: Path) -> None:
    document = json.dumps({**DOCUMENT, "tensors": TABLE, "later": "ü\u2028\x7f"}, indent=2, ensure_ascii=False)
    (tiny_bundle / OBJECT).write_bytes(sealed(document))
    assert call(built / "readers", tiny_bundle) == (b"read\n", "")


HEADER = json.dumps(TABLE).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        b"\xff" * 8 + HEADER,  # a header longer than any file
        (0).to_bytes(8, "little"),
        (1 << 62).to_bytes(8, "little") + HEADER + ONES,
        (len(HEADER) + 33).to_bytes(8, "little") + HEADER + ONES,
        file_of(HEADER),  # all true, but it proves nothing
        file_of(b'{"__metadata__":{}}'),
        file_of(b'{"__metadata__":{"clipspect":7}}'),
        file_of(b'{"__metadata__":{"clipspect":"' + b"0" * 64 + b'"}}'),
        file_of(b'{"__metadata__":{"clipspect":"\\ud800"}}'),
        file_of(b'{"__metadata__":{"clipspect":"\xff"}}'),
        file_of(b"[" * 100_000),
        sealed(json.dumps({**DOCUMENT, "tensors": TABLE}), between=" "),
        sealed(json.dumps({**DOCUMENT, "tensors": TABLE}), more="key"),
        sealed("{}"),
        sealed("[]"),
        sealed(""),
        sealed("[" * 100_000),
        sealed(json.dumps({**DOCUMENT, "tensors": TABLE}) + "\0"),
        sealed(json.dumps({**DOCUMENT, "tensors": TABLE})).replace(b'{"__metadata__"', b'{\n"__metadata_'),
        sealed(json.dumps(DOCUMENT)),
        sealed(json.dumps({**DOCUMENT, "tensors": {}})),
        sealed(json.dumps({**DOCUMENT, "tensors": {}}), {}, b""),
        *(sealed(json.dumps({**DOCUMENT, "tensors": TABLE}), table) for table in ({}, {**TABLE, "more": TABLE})),
    ],
)
def test_what_is_no_recipe_is_refused(tiny_bundle: Path, refusal: Refusal, content: bytes) -> None:
    (tiny_bundle / OBJECT).write_bytes(content)
    assert "object.safetensors: " in refusal(tiny_bundle)


@pytest.mark.parametrize(
    "entry",
    [
        {"data_offsets": [32, 64]},
        {"data_offsets": [32, 0]},
        {"data_offsets": [0, 9007199254740992]},
        {"data_offsets": [-32, 0]},
        {"data_offsets": [0]},
        {"data_offsets": [0, 28], "shape": [7]},
        {"data_offsets": [0, 36], "shape": [9]},
        {"shape": [2, 4611686018427387904, 4]},
        {"shape": [9007199254740992, 9007199254740992, 9007199254740992]},
        {"shape": [-2, -1, 4]},
        {"shape": [2, 1.0, 4]},
        {"shape": [2, True, 4]},
        {"dtype": "F16"},
        {"dtype": "U8"},
        {"dtype": None},
    ],
)
def test_tensors_that_do_not_fill_the_file_are_refused(tiny_bundle: Path, refusal: Refusal, entry: Table) -> None:
    table = {"text_features": {**TABLE["text_features"], **entry}}
    (tiny_bundle / OBJECT).write_bytes(sealed(json.dumps({**DOCUMENT, "tensors": table}), table))
    assert "object.safetensors: " in refusal(tiny_bundle)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema_version": 3}, "upgrade clipspect"),
        ({"schema_version": 1}, "is not read here"),
        ({"schema_version": "2"}, "whole number"),
        ({"name": "another"}, "holds the recipe 'another'"),
        ({"object": None}, "object: is missing"),
        ({"parameters": []}, "expected an object"),
        ({"parameters": {"scales": [2, 3], "more": 1}}, "other parameters"),
        ({"limits": {"review": 0.6, "reject": 0.5}}, "review is above reject"),
        ({"limits": {"review": 0.6}}, "limits: reject: is missing"),
        ({"limits": {"review": True, "reject": True}}, "expected a number"),
    ],
)
def test_a_document_that_lies_is_refused(tiny_bundle: Path, refusal: Refusal, changes: Table, reason: str) -> None:
    (tiny_bundle / OBJECT).write_bytes(sealed(json.dumps({**DOCUMENT, "tensors": TABLE, **changes})))
    assert reason in refusal(tiny_bundle)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tensors": {"text_features": np.ones((2, 1, 5), np.float32)}}, "has the shape (2, 1, 5)"),
        ({"tensors": {"text_features": np.ones((2, 4), np.float32)}}, "must have the shape (2, prompts, dim)"),
        ({"tensors": {"text_features": np.ones((2, 0, 4), np.float32)}}, "must have the shape (2, prompts, dim)"),
        ({"tensors": {"text_features": np.full((2, 1, 4), np.nan, np.float32)}}, "must be finite"),
        ({"tensors": {"other": np.ones(8, np.float32)}}, "judged by photos"),
        ({"tensors": {name: np.ones((2, 1, 4), np.float32) for name in ("text_features", "more")}}, "does not take"),
        ({"tensors": {name: np.ones((2, 1, 4), np.float32) for name in ("text_features", "reference_a")}}, "few-shot"),
        ({"method": "aprilgan"}, "was made for aprilgan"),
        ({"encoder_sha256": "0" * 64}, "other encoder weights"),
        ({"parameters": {"scales": [2]}}, "other parameters"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(
    tiny_bundle: Path, refusal: Refusal, changes: dict[str, Any], reason: str
) -> None:
    write_recipe(tiny_bundle / OBJECT, handmade.make_recipe(**changes))
    assert reason in refusal(tiny_bundle)


def test_a_recipe_with_a_flipped_bit_anywhere_is_refused(tiny_bundle: Path, refusal: Refusal) -> None:
    content = (tiny_bundle / OBJECT).read_bytes()
    for place in range(0, len(content), len(content) // 16):
        (tiny_bundle / OBJECT).write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        refusal(tiny_bundle)


def test_a_recipe_of_schema_1_is_refused_with_the_command_that_converts_it(tiny_bundle: Path, refusal: Refusal) -> None:
    (tiny_bundle / OBJECT).write_bytes(file_of(json.dumps({"__metadata__": {"clipspect": "{}"}, **TABLE}).encode()))
    assert "clipspect upgrade" in refusal(tiny_bundle)


def test_a_bundle_of_several_recipes_asks_for_one(tmp_path: Path, refusal: Refusal) -> None:
    bundle = handmade.write_bundle(tmp_path / "two.bundle", recipes=("bolt", "nut"))
    assert "name one of: 'bolt', 'nut'" in refusal(bundle)


@pytest.mark.parametrize("name", ["missing", "../object", "/etc/passwd", ".", "object\udcff"])
def test_a_recipe_that_is_not_there_is_refused(built: Path, tiny_bundle: Path, name: str) -> None:
    Image.new("L", (8, 8)).save(tiny_bundle.parent / "image.png")
    arguments = tiny_bundle.parent / "image.png", "--bundle", tiny_bundle, "--recipe", name
    out, said = call(built / "inspect", *arguments, status=1)
    assert out == b""
    assert "no recipe" in said
    assert said.count("\n") == 1
