"""What bundle.json says is proved by the digest beside it, and is refused by its place where it cannot be."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import clipspect
from clipspect.base.document import MismatchError
from clipspect.base.errors import BundleError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import MANIFEST, MANIFEST_DIGEST, Manifest, read_manifest, write_manifest
from clipspect.bundle.windows_graph import require_windows
from clipspect.frame.spec import ImageSpec
from support import handmade


def refusal(root: Path) -> str:
    with pytest.raises(BundleError) as caught:
        clipspect.load(root)
    message = str(caught.value)
    assert "\n" not in message
    return message


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


def test_later_roles_are_accepted_and_their_files_are_checked(tiny_bundle: Path) -> None:
    shutil.copy(tiny_bundle / "model.onnx", tiny_bundle / "memory.onnx")
    write_manifest(tiny_bundle, handmade.make_manifest())
    roles = {"depth": {"file": "memory.onnx", "scales": [1]}, "later": {"file": "memory.onnx"}}
    handmade.edit(tiny_bundle, lambda document: document["graphs"].update(roles))
    manifest = Bundle.open(tiny_bundle).manifest
    assert (set(manifest.graphs), manifest.other_graphs) == (
        {"words"},
        {"depth": "memory.onnx", "later": "memory.onnx"},
    )
    (tiny_bundle / "memory.onnx").write_bytes(bytes((tiny_bundle / "memory.onnx").stat().st_size))
    assert "memory.onnx: the content does not match its hash" in refusal(tiny_bundle)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({"file": "other.onnx"}, "names the graph 'other.onnx' but not its hash"),
        ({"file": "../x.onnx"}, "names the graph '../x.onnx' but not its hash"),
        ({}, "graphs: depth: file is missing"),
        ({"file": 3}, "graphs: depth: file: expected str, found int"),
        (None, "graphs: depth: expected object, found null"),
    ],
)
def test_a_role_that_is_not_known_still_names_a_file_with_a_hash(
    tiny_bundle: Path, graph: object, message: str
) -> None:
    (tiny_bundle / "other.onnx").write_bytes((tiny_bundle / "model.onnx").read_bytes())
    handmade.edit(tiny_bundle, lambda document: document["graphs"].update(depth=graph))
    assert message in refusal(tiny_bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": [9, 9]}, "a grid of 9 x 9 patches cannot be this image's"),
        ({"scales": [2, 2]}, "expected different sides of windows, found [2, 2]"),
        ({"scales": [3]}, "windows of [3] patches do not fit the grid"),
        ({"stride": 3}, "3 leaves patches without a window"),
        ({"fusion": "median"}, "fusion 'median' is not known"),
        ({"temperature": 0.0}, "0.0 is not above 0"),
        ({"inputs": {}}, "takes nothing, expected image (uint8"),
    ],
)
def test_a_graph_of_windows_that_cannot_be_one_is_refused(
    tiny_bundle: Path, change: dict[str, object], message: str
) -> None:
    windows = handmade.make_windows_graph()
    handmade.rewritten(tiny_bundle, windows=windows)
    assert read_manifest(tiny_bundle)[0].windows == windows
    handmade.edit(tiny_bundle, lambda document: document["graphs"]["windows"].update(change))
    assert message in refusal(tiny_bundle)


def test_a_graph_of_windows_stands_in_for_one_of_words(tiny_bundle: Path) -> None:
    handmade.rewritten(tiny_bundle, windows=handmade.make_windows_graph())

    def renamed(document: dict[str, Any]) -> None:
        document["graphs"]["photos"] = document["graphs"].pop("words")

    handmade.edit(tiny_bundle, renamed)
    assert "has no graph for words, but one for windows" in refusal(tiny_bundle)


def test_windows_of_more_tokens_than_memory_holds_are_refused() -> None:
    sides = tuple(range(2, 200))
    windows = dataclasses.replace(handmade.make_windows_graph(), grid=(256, 256), scales=sides)
    with pytest.raises(MismatchError, match="its windows have 34,470,845,739 tokens, at most 4,194,304"):
        require_windows(windows, ImageSpec(512, 512), 8)


def test_a_graph_of_windows_is_described_or_not_there(tiny_bundle: Path) -> None:
    handmade.edit(tiny_bundle, lambda document: document["graphs"].update(windows=None))
    assert "graphs: windows: expected object, found null" in refusal(tiny_bundle)


@pytest.mark.parametrize("suffix", ["ort", "xml", "pb", "tflite"])
def test_a_graph_whose_name_an_engine_takes_for_another_format_is_refused(tiny_bundle: Path, suffix: str) -> None:
    (tiny_bundle / "model.onnx").rename(tiny_bundle / f"model.{suffix}")
    graph = dataclasses.replace(handmade.make_graph(), file=f"model.{suffix}")
    handmade.rewritten(tiny_bundle, graphs={"words": graph})
    assert f"'model.{suffix}' is the file of a graph, and does not end in .onnx" in refusal(tiny_bundle)


def test_a_newer_schema_asks_for_an_upgrade(tiny_bundle: Path) -> None:
    handmade.edit(tiny_bundle, lambda document: document.update(schema_version=3))
    assert "upgrade clipspect" in refusal(tiny_bundle)


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
        ("text", 4, "text: expected object | null, found int"),
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
