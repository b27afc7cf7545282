"""A bundle is whole and unchanged, or it is refused in one line before any engine sees it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clipspect
from clipspect.base.errors import BundleError, RecipeError
from clipspect.base.files import FileEntry, sha256_of
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import write_manifest
from clipspect.recipes.shelf import open_recipe, recipe_names
from support import handmade


def refusal(root: Path) -> str:
    with pytest.raises(BundleError) as caught:
        clipspect.load(root)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_the_exporter_wrote_is_what_the_runtime_reads(tiny_bundle: Path) -> None:
    manifest = Bundle.open(tiny_bundle).manifest
    assert dataclasses.replace(manifest, files={}) == handmade.make_manifest()
    assert set(manifest.files) == {"model.onnx"}


def test_a_bundle_that_was_moved_still_opens(tiny_bundle: Path, tmp_path: Path) -> None:
    assert recipe_names(Bundle.open(shutil.move(tiny_bundle, tmp_path / "elsewhere"))) == ["object"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_any_file_is_refused(tiny_bundle: Path, data: st.DataObject) -> None:
    files = sorted(path for path in tiny_bundle.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    original = path.read_bytes()
    position = data.draw(st.integers(0, len(original) - 1))
    changed = bytearray(original)
    changed[position] ^= data.draw(st.integers(1, 255))
    open_recipe(Bundle.open(tiny_bundle))
    path.write_bytes(bytes(changed))
    try:
        with pytest.raises((BundleError, RecipeError)):
            open_recipe(Bundle.open(tiny_bundle))
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


def test_a_recipe_that_was_removed_is_not_missed(tmp_path: Path) -> None:
    root = handmade.write_bundle(tmp_path / "b", recipes=("nut", "bolt"))
    (root / "recipes/bolt.safetensors").unlink()
    assert recipe_names(Bundle.open(root)) == ["nut"]


def test_a_file_below_recipes_that_the_manifest_lists_is_hashed_like_any_other(tiny_bundle: Path) -> None:
    path = tiny_bundle / "recipes/model.onnx.data"
    path.write_bytes(bytes(8))
    entry = dataclasses.asdict(FileEntry(sha256_of(path), 8))
    handmade.edit(tiny_bundle, lambda document: document["files"].update({"recipes/model.onnx.data": entry}))
    Bundle.open(tiny_bundle)
    path.write_bytes(b"\1" * 8)
    assert "recipes/model.onnx.data: the content does not match its hash" in refusal(tiny_bundle)


def test_a_file_in_the_place_of_a_folder_is_refused(tiny_bundle: Path) -> None:
    assert "is not a folder" in refusal(tiny_bundle / "model.onnx")


def test_no_folder_says_how_to_make_one(tmp_path: Path) -> None:
    assert "clipspect export" in refusal(tmp_path / "none.bundle")


def test_a_folder_without_a_manifest_is_not_a_bundle(tmp_path: Path) -> None:
    assert "it has no bundle.json" in refusal(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "../outside.onnx",
        "/etc/passwd",
        "a/../../b",
        "C:\\x",
        "a\\b",
        "",
        ".",
        "x\0y",
        "x\x7fy",
        "x\x85y",
        "x\ny",
        "./model.onnx",
    ],
)
def test_a_path_that_leads_out_of_the_bundle_is_refused(tiny_bundle: Path, name: str) -> None:
    (tiny_bundle.parent / "outside.onnx").write_bytes(b"x")
    entry = dataclasses.asdict(FileEntry("0" * 64, 1))
    handmade.edit(tiny_bundle, lambda document: document["files"].update({name: entry}))
    assert "no path inside the bundle" in refusal(tiny_bundle)


def test_a_linked_file_is_refused(tiny_bundle: Path) -> None:
    model = tiny_bundle / "model.onnx"
    model.rename(tiny_bundle.parent / "model.onnx")
    model.symlink_to(tiny_bundle.parent / "model.onnx")
    assert "is a link" in refusal(tiny_bundle)


@pytest.mark.parametrize("name", ["bundle.json", "bundle.json.sha256"])
def test_a_bundle_that_kubernetes_mounts_as_links_is_told_so(tiny_bundle: Path, name: str) -> None:
    (tiny_bundle / "..data").mkdir()
    (tiny_bundle / name).rename(tiny_bundle / "..data" / name)
    (tiny_bundle / name).symlink_to(f"..data/{name}")
    assert f"{name}: is a link, and a bundle holds its files itself: copy it with cp -rL" in refusal(tiny_bundle)


def test_a_linked_folder_is_refused(tiny_bundle: Path) -> None:
    (tiny_bundle / "more").mkdir()
    (tiny_bundle / "more/file").write_bytes(b"x")
    write_manifest(tiny_bundle, handmade.make_manifest())
    Bundle.open(tiny_bundle)
    (tiny_bundle / "more").rename(tiny_bundle.parent / "more")
    (tiny_bundle / "more").symlink_to(tiny_bundle.parent / "more")
    assert "is a link" in refusal(tiny_bundle)


def test_a_folder_linked_inside_the_bundle_is_refused(tiny_bundle: Path) -> None:
    (tiny_bundle / "more").mkdir()
    (tiny_bundle / "more/file").write_bytes(b"x")
    write_manifest(tiny_bundle, handmade.make_manifest())
    (tiny_bundle / "more").rename(tiny_bundle / "moved")
    (tiny_bundle / "more").symlink_to("moved")
    assert "is a link" in refusal(tiny_bundle)


def test_a_name_of_any_alphabet_is_a_path_and_one_with_control_characters_is_none(tiny_bundle: Path) -> None:
    (tiny_bundle / "Größe\u00a0\u2028.txt").write_bytes(b"x")
    write_manifest(tiny_bundle, handmade.make_manifest())
    Bundle.open(tiny_bundle)
    (tiny_bundle / "a\x85b").write_bytes(b"x")
    write_manifest(tiny_bundle, handmade.make_manifest())
    assert "no path inside the bundle" in refusal(tiny_bundle)


def test_a_graph_without_a_hash_is_refused(tiny_bundle: Path) -> None:
    handmade.edit(tiny_bundle, lambda document: document["files"].pop("model.onnx"))
    assert "but not its hash" in refusal(tiny_bundle)


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
