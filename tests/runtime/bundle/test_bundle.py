"""A bundle is whole and unchanged, or it is refused in one line before any engine sees it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clipspect
from clipspect.base.errors import BundleError, RecipeError
from clipspect.base.files import FileEntry
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import MANIFEST, Manifest, _digest
from clipspect.recipes.shelf import open_recipe, recipe_names
from support import handmade


def edit(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest as a hostile hand would, with a digest that fits."""
    path = root / MANIFEST
    document = json.loads(path.read_text())
    document.pop("sha256")
    change(document)
    path.write_text(json.dumps({**document, "sha256": _digest(document)}))


def refusal(root: Path) -> str:
    with pytest.raises(BundleError) as caught:
        clipspect.load(root)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_the_exporter_wrote_is_what_the_runtime_reads(tiny_bundle: Path) -> None:
    manifest = Bundle.open(tiny_bundle).manifest
    assert dataclasses.replace(manifest, files={}) == handmade.make_manifest()
    assert set(manifest.files) == {"model.onnx", "recipes/object.safetensors"}


def test_a_bundle_that_was_moved_still_opens(tiny_bundle: Path, tmp_path: Path) -> None:
    assert recipe_names(Bundle.open(shutil.move(tiny_bundle, tmp_path / "elsewhere"))) == ["object"]


def test_unknown_keys_of_the_same_schema_are_ignored(tiny_bundle: Path) -> None:
    edit(tiny_bundle, lambda document: document.update(note="written by a later exporter"))
    assert Bundle.open(tiny_bundle).manifest.method == "winclip"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_byte_of_any_file_is_refused_or_changes_nothing(tiny_bundle: Path, data: st.DataObject) -> None:
    files = sorted(path for path in tiny_bundle.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    original = path.read_bytes()
    position = data.draw(st.integers(0, len(original) - 1))
    changed = bytearray(original)
    changed[position] ^= data.draw(st.integers(1, 255))
    before = Bundle.open(tiny_bundle)
    recipe = open_recipe(before)
    path.write_bytes(bytes(changed))
    try:
        bundle = Bundle.open(tiny_bundle)
        # only white space of a JSON text can change without a word
        assert path.name != "model.onnx"
        assert bundle.manifest == before.manifest
        again = open_recipe(bundle)
        assert dataclasses.replace(again, tensors={}) == dataclasses.replace(recipe, tensors={})
        assert again.text_features.tobytes() == recipe.text_features.tobytes()
    except (BundleError, RecipeError):
        pass
    finally:
        path.write_bytes(original)


@pytest.mark.parametrize("keep", [0, 1, 200])
def test_a_truncated_model_is_refused(tiny_bundle: Path, keep: int) -> None:
    model = tiny_bundle / "model.onnx"
    model.write_bytes(model.read_bytes()[:keep])
    assert "the file was cut or changed" in refusal(tiny_bundle)


def test_a_missing_model_is_refused(tiny_bundle: Path) -> None:
    (tiny_bundle / "model.onnx").unlink()
    assert "the file is missing" in refusal(tiny_bundle)


def test_a_missing_recipe_is_refused(tiny_bundle: Path) -> None:
    (tiny_bundle / "recipes/object.safetensors").unlink()
    assert "the file is missing" in refusal(tiny_bundle)


def test_a_file_in_the_place_of_a_folder_is_refused(tiny_bundle: Path) -> None:
    assert "is not a folder" in refusal(tiny_bundle / "model.onnx")


def test_no_folder_says_how_to_make_one(tmp_path: Path) -> None:
    assert "clipspect export" in refusal(tmp_path / "none.bundle")


def test_a_folder_without_a_manifest_is_not_a_bundle(tmp_path: Path) -> None:
    assert "it has no bundle.json" in refusal(tmp_path)


def test_a_newer_schema_asks_for_an_upgrade(tiny_bundle: Path) -> None:
    edit(tiny_bundle, lambda document: document.update(schema_version=2))
    assert "upgrade clipspect" in refusal(tiny_bundle)


@pytest.mark.parametrize(
    "name", ["../outside.onnx", "/etc/passwd", "a/../../b", "C:\\x", "a\\b", "", ".", "x\0y", "\ud800", "./model.onnx"]
)
def test_a_path_that_leads_out_of_the_bundle_is_refused(tiny_bundle: Path, name: str) -> None:
    (tiny_bundle.parent / "outside.onnx").write_bytes(b"x")
    entry = dataclasses.asdict(FileEntry("0" * 64, 1))
    edit(tiny_bundle, lambda document: document["files"].update({name: entry}))
    assert "no path inside the bundle" in refusal(tiny_bundle)


def test_a_linked_file_is_refused(tiny_bundle: Path) -> None:
    model = tiny_bundle / "model.onnx"
    model.rename(tiny_bundle.parent / "model.onnx")
    model.symlink_to(tiny_bundle.parent / "model.onnx")
    assert "is a link" in refusal(tiny_bundle)


def test_a_linked_folder_is_refused(tiny_bundle: Path) -> None:
    recipes = tiny_bundle / "recipes"
    recipes.rename(tiny_bundle.parent / "recipes")
    recipes.symlink_to(tiny_bundle.parent / "recipes")
    assert "is a link" in refusal(tiny_bundle)


def test_a_graph_without_a_hash_is_refused(tiny_bundle: Path) -> None:
    edit(tiny_bundle, lambda document: document["files"].pop("model.onnx"))
    assert "but not its hash" in refusal(tiny_bundle)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"bundle"', "\xff\xfe", "[" * 100_000, "1" * 10_000])
def test_a_manifest_that_is_no_json_object_is_refused(tiny_bundle: Path, text: str) -> None:
    (tiny_bundle / MANIFEST).write_text(text, encoding="latin-1")
    assert MANIFEST in refusal(tiny_bundle)


@pytest.mark.parametrize("value", [None, "1", True, 0, -1, 1.0, [1]])
def test_a_schema_version_that_is_no_number_is_refused(tiny_bundle: Path, value: object) -> None:
    edit(tiny_bundle, lambda document: document.update(schema_version=value))
    assert "schema_version" in refusal(tiny_bundle)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("method", None),
        ("backbone", []),
        ("image", {"height": "32", "width": 32}),
        ("image", {"height": 0, "width": 32}),
        ("image", {"height": 16, "width": 16}),
        ("image", {"height": 32, "width": 32, "resize": "crop"}),
        ("precision", "int8"),
        ("map_range", [0.0]),
        ("map_range", [1.0, 0.0]),
        ("map_range", [0.0, float("nan")]),
        ("map_range", [0, 10**400]),
        ("map_range", [False, True]),
        ("files", {"model.onnx": None}),
        ("files", [1]),
        ("graph", {"file": "model.onnx"}),
        ("versions", {"numpy": 2}),
        ("text", 4),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_refused_by_its_name(tiny_bundle: Path, key: str, value: object) -> None:
    edit(tiny_bundle, lambda document: document.update({key: value}))
    message = refusal(tiny_bundle)
    assert key in message or "graph" in message


@pytest.mark.parametrize(
    "key",
    [f.name for f in dataclasses.fields(Manifest) if f.default is f.default_factory is dataclasses.MISSING] + ["files"],
)
def test_a_missing_key_is_refused_by_its_name(tiny_bundle: Path, key: str) -> None:
    edit(tiny_bundle, lambda document: document.pop(key))
    assert key in refusal(tiny_bundle) or key == "files"


def test_an_edit_without_a_new_digest_is_refused(tiny_bundle: Path) -> None:
    path = tiny_bundle / MANIFEST
    path.write_text(path.read_text().replace('"winclip"', '"aprilgan"'))
    assert "does not match its digest" in refusal(tiny_bundle)


def test_without_a_name_the_only_recipe_is_taken(tiny_bundle: Path) -> None:
    assert open_recipe(Bundle.open(tiny_bundle)).name == "object"


def test_several_recipes_without_a_name_are_listed(tmp_path: Path) -> None:
    root = handmade.write_bundle(tmp_path / "b", recipes=("nut", "bolt"))
    with pytest.raises(RecipeError, match="name one of: 'bolt', 'nut'"):
        clipspect.load(root)


def test_a_recipe_that_is_not_there_lists_those_that_are(tiny_bundle: Path) -> None:
    with pytest.raises(RecipeError, match="no recipe 'nut'; there are: 'object'"):
        clipspect.load(tiny_bundle, recipe="nut")


def test_a_bundle_without_recipes_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="--object TEXT"):
        clipspect.load(handmade.write_bundle(tmp_path / "b", recipes=()))


@pytest.mark.parametrize("location", ["other.bin", "../outside.bin", "/etc/passwd"])
def test_weights_that_the_manifest_does_not_account_for_are_refused_before_an_engine_sees_them(
    tmp_path: Path, location: str
) -> None:
    root = handmade.write_bundle(tmp_path / "tiny.bundle")
    model = onnx.load(root / "model.onnx")
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    model.graph.initializer.append(tensor)
    (root / "model.onnx").write_bytes(model.SerializeToString())
    handmade.write_manifest(root, handmade.make_manifest())
    for extra in (root / "other.bin", tmp_path / "outside.bin"):
        extra.write_bytes(bytes(4))
    with pytest.raises(BundleError, match="reads its weights from"):
        Bundle.open(root)


def test_a_graph_that_is_no_onnx_model_is_refused(tmp_path: Path) -> None:
    root = handmade.write_bundle(tmp_path / "tiny.bundle")
    (root / "model.onnx").write_bytes(b"\xff" * 40)
    handmade.write_manifest(root, handmade.make_manifest())
    with pytest.raises(BundleError, match="not an ONNX model"):
        Bundle.open(root)
