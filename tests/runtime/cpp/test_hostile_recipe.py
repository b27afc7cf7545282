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

from clipspect.base.errors import RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import RECIPES
from clipspect.recipes.recipe import write_recipe
from clipspect.recipes.shelf import open_recipe
from support import handmade
from support.cpp_programs import call

Refusal = Callable[[Path], str]
Table = dict[str, Any]

OBJECT = f"{RECIPES}/object.safetensors"
TABLE: Table = {"text_features": {"dtype": "F32", "shape": [2, 1, 4], "data_offsets": [0, 32]}}
DOCUMENT = {"schema_version": 2, "name": "object", "method": "winclip", "object": "nut", "encoder_sha256": "e" * 64}
DOCUMENT |= {"parameters": {"scales": [2, 3]}}
ONES = np.ones((2, 1, 4), np.float32).tobytes()
PROMISE = {"rate": 0.05, "confidence": 0.95, "parts": 312, "rank": 9, "asked": 0.05}
SCORER = {"bundle": "b" * 64, "tensors": "t" * 64, "backend": "openvino", "device": "cpu"}
SCORER |= {"precision": "fp32", "version": "0"}
PART = {"name": "1", "score": 0.3, "map_maximum": 1, "frames": 2, "struck": False, "worst_frame": "1/2.png"}
CALIBRATION: Table = {"time": "2026-11-27T12:00:00+00:00", "scorer": SCORER, "parts": [PART]}
CALIBRATION |= {"group": "*/", "estimate": False, "defects": [PART], "frame_sizes": [[64, 48]]}
RANGE = {"low": 0.1, "high": None, "rate": 0.001, "smallest": 0.2, "largest": 0.3}
CALIBRATION |= {"checks": {"layout": RANGE}, "layout": [0.5] * 48, "embedding": [0.5] * 4}
CALIBRATION_KEYS = tuple(CALIBRATION)
GONE = object()


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
        ({"schema_version": 4}, "upgrade clipspect"),
        ({"schema_version": 1}, "is not read here"),
        ({"schema_version": "2"}, "whole number"),
        ({"name": "another"}, "holds the recipe 'another'"),
        ({"object": None}, "object: is missing"),
        ({"parameters": []}, "expected an object"),
        ({"parameters": {"scales": [2, 3], "more": 1}}, "other parameters"),
        ({"limits": {"review": 0.6, "reject": 0.5}}, "review is above reject"),
        ({"limits": {"review": 0.6}}, "limits: reject: is missing"),
        ({"limits": {"review": True, "reject": True}}, "expected a number"),
        ({"limits": {"review": 0.4, "reject": 0.5, "map": "0.5"}}, "limits: map: expected a number"),
        ({"limits": {"review": 0.4, "reject": 0.5, "map_promise": []}}, "limits: map_promise: expected an object"),
        (
            {"limits": {"review": 0.4, "reject": 0.5, "reject_promise": {**PROMISE, "parts": 29.5}}},
            "limits: reject_promise: parts: expected a whole number",
        ),
        ({"prompts": []}, "prompts: expected an object"),
        ({"references": 1}, "references: expected an object"),
        ({"references": {"sizes": [[64]]}}, "references: sizes: expected two numbers"),
        ({"references": {"sizes": 64}}, "references: sizes: expected an array"),
        ({"references": {"size": "64"}}, "references: sizes: expected an array"),
        ({"history": {}}, "history: expected an array"),
        ({"history": [{"time": "", "who": "", "why": "", "new": None}]}, "history: old: is missing"),
        ({"history": [{"time": "", "who": "", "why": "", "old": {"review": "1"}, "new": None}]}, "expected a number"),
    ],
)
def test_a_document_that_lies_is_refused(tiny_bundle: Path, refusal: Refusal, changes: Table, reason: str) -> None:
    (tiny_bundle / OBJECT).write_bytes(sealed(json.dumps({**DOCUMENT, "tensors": TABLE, **changes})))
    assert reason in refusal(tiny_bundle)
    with pytest.raises(RecipeError):
        open_recipe(Bundle.open(tiny_bundle))


def test_windows_that_python_leaves_out_are_refused_by_name(tiny_bundle: Path, refusal: Refusal) -> None:
    document = {**DOCUMENT, "tensors": TABLE, "schema_version": 3, "windows": {"reuse": {"tolerance": 0}}}
    (tiny_bundle / OBJECT).write_bytes(sealed(json.dumps(document)))
    assert open_recipe(Bundle.open(tiny_bundle)).windows is not None
    assert "a cascade and reuse of windows are not in C++: inspect with clipspect run" in refusal(tiny_bundle)


def _changed(place: tuple[str | int, ...], value: object) -> Table:
    """The calibration with another value at the place, or without what lies there."""
    calibration: Any = json.loads(json.dumps(CALIBRATION))
    inner = calibration
    for name in place[:-1]:
        inner = inner[name]
    if value is GONE:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return {**DOCUMENT, "tensors": TABLE, "limits": {"review": 0.4, "reject": 0.5}, "calibration": calibration}


def test_a_calibration_that_is_whole_is_read(built: Path, tiny_bundle: Path) -> None:
    document = _changed(("time",), "now")
    (tiny_bundle / OBJECT).write_bytes(sealed(json.dumps(document)))
    assert call(built / "readers", tiny_bundle) == (b"read\n", "")
    assert open_recipe(Bundle.open(tiny_bundle)).calibration is not None


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *(((name,), GONE) for name in ("time", "scorer", "parts")),
        *(((name,), 7) for name in CALIBRATION_KEYS),
        *(((name,), [True]) for name in CALIBRATION_KEYS),
        *(((name,), {"": 7}) for name in CALIBRATION_KEYS),
        *((("scorer", name), value) for name in SCORER for value in (GONE, None, 1)),
        *((("parts", 0, name), GONE) for name in ("name", "score", "map_maximum")),
        *((("parts", 0, name), "0") for name in ("score", "map_maximum", "frames", "struck")),
        (("parts", 0, "frames"), 1.0),
        (("parts", 0, "struck"), 1),
        (("parts", 0, "worst_frame"), 1),
        *((("checks", "layout", name), value) for name in RANGE for value in (GONE, "1", [1])),
        (("checks", "layout", "rate"), None),
        (("checks", "layout", "high"), 0.09),  # reversed
        (("layout",), [0.5] * 47),
        (("layout",), []),  # that a check is of
        (("layout",), ["0.5"] * 48),
        (("embedding",), [0.5, None]),
        *((("frame_sizes",), [size]) for size in ([64], [64, 48, 3], [64.0, 48.0], [0, 48], [64, -48], "64x48", 64)),
    ],
)
def test_a_calibration_that_is_damaged_is_refused(
    tiny_bundle: Path, refusal: Refusal, place: tuple[str | int, ...], value: object
) -> None:
    (tiny_bundle / OBJECT).write_bytes(sealed(json.dumps(_changed(place, value))))
    assert "object.safetensors: calibration: " in refusal(tiny_bundle)
    with pytest.raises(RecipeError, match=": calibration"):
        open_recipe(Bundle.open(tiny_bundle))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "0x1", "1_0", "01"])
def test_what_is_no_number_is_refused_wherever_it_stands(tiny_bundle: Path, refusal: Refusal, number: str) -> None:
    for place in (("parts", 0, "score"), ("time",)):
        document = json.dumps(_changed(place, "HERE")).replace('"HERE"', number)
        (tiny_bundle / OBJECT).write_bytes(sealed(document))
        assert "not readable as JSON" in refusal(tiny_bundle)
        with pytest.raises(RecipeError):
            open_recipe(Bundle.open(tiny_bundle))


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
