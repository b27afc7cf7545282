"""A bundle is whole and unchanged, or it is refused in one line before any engine sees it."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import subprocess
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clipspect
from clipspect.base.errors import BundleError, RecipeError
from clipspect.base.files import FileEntry, sha256_of
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import MANIFEST, MANIFEST_DIGEST, Manifest, write_manifest
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


def test_unknown_keys_of_the_same_schema_are_ignored(tiny_bundle: Path) -> None:
    handmade.edit(tiny_bundle, lambda document: document.update(note="written by a later exporter"))
    assert Bundle.open(tiny_bundle).manifest.method == "winclip"


def test_the_digest_is_the_manifests_bytes_as_sha256sum_takes_them(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    assert bundle.digest == hashlib.sha256((tiny_bundle / MANIFEST).read_bytes()).hexdigest()
    checked = subprocess.run(
        ["sha256sum", "-c", MANIFEST_DIGEST], cwd=tiny_bundle, capture_output=True, text=True, check=True
    )
    assert checked.stdout == f"{MANIFEST}: OK\n"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


@pytest.mark.parametrize(
    "line", ["", "{}", "{}  bundle.json", "{} *bundle.json\n", "{}  bundle.json\n\n", "{}  other\n"]
)
def test_the_digests_file_is_what_sha256sum_writes_and_nothing_else(tiny_bundle: Path, line: str) -> None:
    digest = Bundle.open(tiny_bundle).digest
    (tiny_bundle / MANIFEST_DIGEST).write_text(line.format(digest))
    assert f"{MANIFEST}: the content does not match its digest, {MANIFEST_DIGEST}" in refusal(tiny_bundle)
    (tiny_bundle / MANIFEST_DIGEST).write_text(f"{digest.upper()}  bundle.json\n")
    assert "does not match its digest" in refusal(tiny_bundle)
    (tiny_bundle / MANIFEST_DIGEST).write_text(f"{digest}  bundle.json\n")
    assert Bundle.open(tiny_bundle).digest == digest


def test_a_manifest_without_its_digest_is_refused(tiny_bundle: Path) -> None:
    (tiny_bundle / MANIFEST_DIGEST).unlink()
    assert f"{MANIFEST_DIGEST}: the file is missing" in refusal(tiny_bundle)


def test_reserved_and_later_roles_are_accepted_and_their_files_are_checked(tiny_bundle: Path) -> None:
    shutil.copy(tiny_bundle / "model.onnx", tiny_bundle / "memory.onnx")
    write_manifest(tiny_bundle, handmade.make_manifest())
    roles = {"photos": {"file": "memory.onnx", "spread": [1]}, "later": {"file": "memory.onnx"}}
    handmade.edit(tiny_bundle, lambda document: document["graphs"].update(roles))
    manifest = Bundle.open(tiny_bundle).manifest
    assert (set(manifest.graphs), manifest.other_graphs) == (
        {"words"},
        {"photos": "memory.onnx", "later": "memory.onnx"},
    )
    (tiny_bundle / "memory.onnx").write_bytes(bytes((tiny_bundle / "memory.onnx").stat().st_size))
    assert "memory.onnx: the content does not match its hash" in refusal(tiny_bundle)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({"file": "other.onnx"}, "names the graph 'other.onnx' but not its hash"),
        ({"file": "../x.onnx"}, "names the graph '../x.onnx' but not its hash"),
        ({}, "graphs: photos: file is missing"),
        ({"file": 3}, "graphs: photos: file: expected str, found int"),
        (None, "graphs: photos: expected object, found null"),
    ],
)
def test_a_role_that_is_not_known_still_names_a_file_with_a_hash(
    tiny_bundle: Path, graph: object, message: str
) -> None:
    (tiny_bundle / "other.onnx").write_bytes((tiny_bundle / "model.onnx").read_bytes())
    handmade.edit(tiny_bundle, lambda document: document["graphs"].update(photos=graph))
    assert message in refusal(tiny_bundle)


@pytest.mark.parametrize("suffix", ["ort", "xml", "pb", "tflite"])
def test_a_graph_whose_name_an_engine_takes_for_another_format_is_refused(tiny_bundle: Path, suffix: str) -> None:
    (tiny_bundle / "model.onnx").rename(tiny_bundle / f"model.{suffix}")
    graph = dataclasses.replace(handmade.make_graph(), file=f"model.{suffix}")
    handmade.rewritten(tiny_bundle, graphs={"words": graph})
    assert f"'model.{suffix}' is the file of a graph, and does not end in .onnx" in refusal(tiny_bundle)


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


def test_a_newer_schema_asks_for_an_upgrade(tiny_bundle: Path) -> None:
    handmade.edit(tiny_bundle, lambda document: document.update(schema_version=3))
    assert "upgrade clipspect" in refusal(tiny_bundle)


@pytest.mark.parametrize(
    "name", ["../outside.onnx", "/etc/passwd", "a/../../b", "C:\\x", "a\\b", "", ".", "x\0y", "./model.onnx"]
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


def test_a_linked_folder_is_refused(tiny_bundle: Path) -> None:
    (tiny_bundle / "more").mkdir()
    (tiny_bundle / "more/file").write_bytes(b"x")
    write_manifest(tiny_bundle, handmade.make_manifest())
    Bundle.open(tiny_bundle)
    (tiny_bundle / "more").rename(tiny_bundle.parent / "more")
    (tiny_bundle / "more").symlink_to(tiny_bundle.parent / "more")
    assert "is a link" in refusal(tiny_bundle)


def test_a_graph_without_a_hash_is_refused(tiny_bundle: Path) -> None:
    handmade.edit(tiny_bundle, lambda document: document["files"].pop("model.onnx"))
    assert "but not its hash" in refusal(tiny_bundle)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"bundle"',
        "\xff\xfe",
        "\xef\xbb\xbf{}",
        "[" * 100_000,
        "1" * 10_000,
        '{"x": NaN}',
        '{"schema_version": 2, "x": 1e999}',
        '{"schema_version": 2, "x": ' + "9" * 40 + "}",
    ],
)
def test_a_manifest_that_is_no_json_object_is_refused(tiny_bundle: Path, text: str) -> None:
    handmade.seal(tiny_bundle, text.encode("latin-1"))
    message = refusal(tiny_bundle)
    assert f"{MANIFEST}: " in message
    assert "digest" not in message


@pytest.mark.parametrize("value", [None, "1", True, 0, -1, 1.0, [1]])
def test_a_schema_version_that_is_no_number_is_refused(tiny_bundle: Path, value: object) -> None:
    handmade.edit(tiny_bundle, lambda document: document.update(schema_version=value))
    assert "schema_version" in refusal(tiny_bundle)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("method", None, "method: expected str, found null"),
        ("backbone", [], "backbone: expected object, found array"),
        ("image", {"height": "32", "width": 32}, "image.height: expected int, found str"),
        ("image", {"height": 0, "width": 32}, "image: 0 x 32 pixels cannot be a model's size"),
        (
            "image",
            {"height": 16, "width": 16},
            "graphs: words: image is uint8 ('N', 32, 32, 3), expected uint8 (any, 16",
        ),
        ("image", {"height": 32, "width": 32, "resize": "crop"}, "image: resize 'crop' with 'bicubic' is not known"),
        ("precision", "int8", "precision: 'int8' is neither fp32 nor fp16"),
        ("files", {"model.onnx": None}, "files[...]: expected object, found null"),
        ("files", [1], "files: expected object, found array"),
        ("graphs", {}, "graphs: has no graph for words"),
        ("graphs", None, "graphs: expected object, found null"),
        ("graphs", {"words": {"file": "model.onnx"}}, "is missing"),
        ("versions", {"numpy": 2}, "versions[...]: expected str, found int"),
        ("text", 4, "text: expected object, found int"),
        ("text", {"dim": 5}, "graphs: words: text_features is float32 (2, 'P', 4), expected float32 (2, any, 5)"),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_refused_by_its_name(
    tiny_bundle: Path, key: str, value: object, message: str
) -> None:
    handmade.edit(tiny_bundle, lambda document: document.update({key: value}))
    assert message in refusal(tiny_bundle)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("map_range", [0.0], "map_range: expected array of length 2"),
        ("map_range", [1.0, 0.0], "map_range: 1.0 is not below 0.0"),
        ("map_range", [0, 10**400], "'map_range'[1]: expected a number of at most 64 bits"),
        ("map_range", [False, True], "map_range[0]: expected float, found bool"),
        ("map_range", None, "map_range: expected array, found null"),
        ("inputs", {}, "graphs: words: has no input 'image'"),
        ("outputs", {"score": {"dtype": "float32", "shape": ["N"]}}, "graphs: words: has no output 'anomaly_map'"),
        ("flops", 2.0, "flops: expected int, found float"),
        ("parity", {}, "parity.score is missing"),
    ],
)
def test_a_graph_that_is_not_as_its_role_is_refused(tiny_bundle: Path, key: str, value: object, message: str) -> None:
    handmade.edit(tiny_bundle, lambda document: document["graphs"]["words"].update({key: value}))
    assert message in refusal(tiny_bundle)


@pytest.mark.parametrize(
    "key", [f.name for f in dataclasses.fields(Manifest) if f.default is f.default_factory is dataclasses.MISSING]
)
def test_a_missing_key_is_refused_by_its_name(tiny_bundle: Path, key: str) -> None:
    handmade.edit(tiny_bundle, lambda document: document.pop(key))
    message = refusal(tiny_bundle)
    assert f"{key} is missing" in message or (key, f"{key} is None" in message) == ("schema_version", True)


def test_a_manifest_without_hashes_is_refused(tiny_bundle: Path) -> None:
    handmade.edit(tiny_bundle, lambda document: document.pop("files"))
    assert "names the graph 'model.onnx' but not its hash" in refusal(tiny_bundle)


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
