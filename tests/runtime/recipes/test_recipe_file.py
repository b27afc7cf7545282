"""A recipe's file proves every byte of itself, and is refused in one line where it does not."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from clipspect.base.errors import RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import RECIPES
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import read_recipe, write_recipe
from clipspect.recipes.shelf import open_recipe
from support import handmade
from support.recipe_files import hostile, in_parts, refusal


def sealed(path: Path, header: dict[str, Any], document: str, buffer: bytes, *, between: str = "\n") -> None:
    """Put the parts together again with a digest that fits them."""
    digest = hashlib.sha256(document.encode("utf-8", "surrogatepass") + buffer).hexdigest()
    header = {**header, "__metadata__": {"clipspect": f"{digest}{between}{document}"}}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + buffer)


def test_safetensors_reads_a_recipe_as_it_was_written(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    tensors = {"text_features": drawn, "reference_ü": drawn[0], "map_limits": drawn[0, 0, :2], "none": drawn[:0]}
    write_recipe(tmp_path / "nut.safetensors", handmade.make_recipe("nut", tensors=tensors))
    with safe_open(tmp_path / "nut.safetensors", framework="numpy") as file:
        assert set(file.keys()) == set(tensors)
        for name, expected in tensors.items():
            np.testing.assert_array_equal(file.get_tensor(name), expected)
            np.testing.assert_array_equal(read_recipe(tmp_path / "nut.safetensors").tensors[name], expected)


def test_the_digest_is_over_the_documents_bytes_and_then_the_tensors(tmp_path: Path) -> None:
    path = tmp_path / "Müller.safetensors"
    recipe = handmade.make_recipe("Müller", prompts={"normal": ['"quoted" \\ \n größer']})
    write_recipe(path, recipe)
    _, document, buffer = in_parts(path)
    first_line = in_parts(path)[0]["__metadata__"]["clipspect"].split("\n")[0]
    assert first_line == hashlib.sha256(document.encode() + buffer).hexdigest()
    assert recipe.digest == read_recipe(path).digest == first_line


def test_the_digest_of_a_recipe_that_another_writer_wrote_is_its_files(tmp_path: Path) -> None:
    path = tmp_path / "nut.safetensors"
    write_recipe(path, handmade.make_recipe("nut"))
    header, document, buffer = in_parts(path)
    other = json.dumps(json.loads(document), indent=2)
    sealed(path, header, other, buffer)
    assert read_recipe(path).digest == hashlib.sha256(other.encode() + buffer).hexdigest()
    assert dataclasses.replace(read_recipe(path), object="x").digest != read_recipe(path).digest


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_a_recipe_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "nut.safetensors"
    words = {"normal": ["ein größeres Teil\t", "\x7f"]}
    write_recipe(path, handmade.make_recipe("nut", limits=Limits(0.4, 0.6), prompts=words, object="\x01"))
    read_recipe(path)
    changed = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(changed) - 1))
    changed[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(changed))
    refusal(path)


@pytest.mark.parametrize("position", range(0, 1024, 7))
def test_a_cut_recipe_is_refused(tmp_path: Path, position: int) -> None:
    path = tmp_path / "nut.safetensors"
    write_recipe(path, handmade.make_recipe("nut"))
    path.write_bytes(path.read_bytes()[: position % path.stat().st_size])
    refusal(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header: header.update(more=header["text_features"]), "the header lists other tensors"),
        (lambda header: header.pop("text_features"), "the header lists other tensors"),
        (lambda header: header["text_features"].update(shape=[2, 4]), "the header lists other tensors"),
        (lambda header: header["text_features"].update(shape=[2.0, 1, 4]), "shape[0]: expected int, found float"),
        (lambda header: header["text_features"].update(dtype="I32"), "the header lists other tensors"),
        (lambda header: header["text_features"].update(data_offsets=[4, 36]), "the header lists other tensors"),
    ],
)
def test_a_header_that_says_otherwise_than_the_document_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = tmp_path / "nut.safetensors"
    write_recipe(path, handmade.make_recipe("nut"))
    header, document, buffer = in_parts(path)
    sealed(path, header, document, buffer)
    read_recipe(path)
    change(header)
    sealed(path, header, document, buffer)
    assert message in refusal(path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"a": ("F32", [2, 1, 4], [0, 32]), "b": ("F32", [8], [0, 32])}, "do not fit its shape and place"),
        ({"a": ("F32", [2, 1, 4], [0, 32]), "b": ("F32", [1], [36, 40])}, "do not fit its shape and place"),
        ({"a": ("F32", [2, 1, 4], [0, 36])}, "do not fit its shape and place"),
        ({"a": ("F32", [2, 1, -4], [0, -32])}, "do not fit its shape and place"),
        ({"a": ("F32", [-2, -4], [0, 32])}, "do not fit its shape and place"),
        ({"a": ("F32", [2, 1, 4], [32, 0])}, "do not fit its shape and place"),
        ({"a": ("F64", [4], [0, 32])}, "a must be finite float32, found F64"),
        ({"a": ("F32", [4], [0, 16])}, "the tensors take 16 bytes, the file has 32"),
        ({"a": ("F32", [1 << 62], [0, 1 << 62])}, "do not fit its shape and place"),
        ({}, "the tensors take 0 bytes, the file has 32"),
    ],
)
def test_tensors_that_do_not_fill_the_file_are_refused(
    tmp_path: Path, table: dict[str, tuple[str, list[int], list[int]]], message: str
) -> None:
    path = tmp_path / "nut.safetensors"
    write_recipe(path, handmade.make_recipe("nut"))
    _, document, buffer = in_parts(path)
    keys = ("dtype", "shape", "data_offsets")
    header = {name: dict(zip(keys, entry)) for name, entry in table.items()}
    sealed(path, header, json.dumps({**json.loads(document), "tensors": header}), buffer)
    assert message in refusal(path)


@pytest.mark.parametrize("between", ["", " ", "\r\n", "\n\n", "x\n"])
def test_what_lies_between_digest_and_document_is_one_line_feed(tmp_path: Path, between: str) -> None:
    path = tmp_path / "nut.safetensors"
    write_recipe(path, handmade.make_recipe("nut"))
    sealed(path, *in_parts(path), between=between)
    refusal(path)


@pytest.mark.parametrize("metadata", [{}, {"clipspect": "x", "more": "y"}, {"other": "x"}, {"clipspect": 3}])
def test_other_metadata_is_refused(tmp_path: Path, metadata: dict[str, Any]) -> None:
    path = tmp_path / "nut.safetensors"
    write_recipe(path, handmade.make_recipe("nut"))
    header, _, buffer = in_parts(path)
    text = json.dumps({**header, "__metadata__": metadata}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + buffer)
    assert "metadata" in refusal(path)


def test_a_recipe_without_tensors_is_refused(tmp_path: Path) -> None:
    hostile(tmp_path / "a.safetensors", {})
    assert "holds no tensor" in refusal(tmp_path / "a.safetensors")


@pytest.mark.parametrize("change", [{"object": "\udc80"}, {"calibration": {"share": float("nan")}}])
def test_what_json_cannot_say_is_refused_before_anything_is_written(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="the recipe cannot be written"):
        write_recipe(tmp_path / "nut.safetensors", handmade.make_recipe("nut", **change))
    assert list(tmp_path.iterdir()) == []


def test_the_same_recipe_is_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for folder in "abcdefgh":
        write_recipe(tmp_path / folder / "nut.safetensors", handmade.make_recipe("nut", limits=Limits(0.4, 0.6)))
        written.append((tmp_path / folder / "nut.safetensors").read_bytes())
    assert len(set(written)) == 1


def test_a_renamed_recipe_is_refused(tmp_path: Path) -> None:
    write_recipe(tmp_path / "a.safetensors", handmade.make_recipe("a"))
    (tmp_path / "a.safetensors").rename(tmp_path / "b.safetensors")
    assert "holds the recipe 'a'" in refusal(tmp_path / "b.safetensors")


@pytest.mark.parametrize("content", [b"", b"x", b"\xff" * 100, b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    assert str(path) in refusal(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": None}, "schema_version is None"),
        ({"schema_version": "2"}, "schema_version is '2'"),
        ({"schema_version": True}, "schema_version is True"),
        ({"schema_version": 1}, "schema_version is 1"),
        ({"schema_version": 4}, "recipe version 4 is newer than this clipspect reads"),
        ({"method": 3}, "method: expected str, found int"),
        ({"prompts": []}, "prompts: expected object, found array"),
        ({"limits": {"review": 0.1}}, "limits.reject is missing"),
        ({"limits": {"review": "low", "reject": 1}}, "limits.review: expected float, found str"),
        ({"limits": {"review": 2.0, "reject": 1.0}}, "review 2.0 is above reject 1.0"),
        ({"calibration": 1}, "calibration: expected object | null, found int"),
        ({"calibration": {"n": 10**30}}, "expected a number of at most 64 bits"),
    ],
)
def test_a_wrong_value_under_a_right_digest_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    hostile(tmp_path / "a.safetensors", **changes)
    assert message in refusal(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", "{}", "[" * 50_000, "1" * 5000, '{"a": NaN}', '{"a": "\\ud800"}', '{"a": 1e999}']
)
def test_a_document_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    write_recipe(tmp_path / "a.safetensors", handmade.make_recipe("a"))
    header, _, buffer = in_parts(tmp_path / "a.safetensors")
    sealed(tmp_path / "a.safetensors", header, text, buffer)
    assert "digest" not in refusal(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "features",
    [
        np.ones((2, 4), np.float32),
        np.ones((3, 1, 4), np.float32),
        np.ones((2, 0, 4), np.float32),
        np.full((2, 1, 4), np.nan, np.float32),
        np.full((2, 1, 4), -np.inf, np.float32),
    ],
)
def test_text_features_of_the_wrong_kind_are_refused(tmp_path: Path, features: Any) -> None:
    hostile(tmp_path / "a.safetensors", {"text_features": features})
    assert "text_features" in refusal(tmp_path / "a.safetensors")


def test_a_name_is_found_in_another_normal_form_of_unicode(tiny_bundle: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "Schräubchen") for form in ("NFC", "NFD"))
    assert composed != apart
    write_recipe(tiny_bundle / RECIPES / f"{composed}.safetensors", handmade.make_recipe(composed))
    (tiny_bundle / RECIPES / f"{composed}.safetensors").rename(tiny_bundle / RECIPES / f"{apart}.safetensors")
    assert open_recipe(Bundle.open(tiny_bundle), composed).name == composed
    assert open_recipe(Bundle.open(tiny_bundle), apart).name == composed


def test_a_link_is_no_recipe(tmp_path: Path) -> None:
    write_recipe(tmp_path / "a.safetensors", handmade.make_recipe("a"))
    (tmp_path / "b.safetensors").symlink_to(tmp_path / "a.safetensors")
    assert "is a link" in refusal(tmp_path / "b.safetensors")
