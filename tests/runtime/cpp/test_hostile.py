"""Damaged and malicious bundles and recipes: one line on stderr, exit status 1, nothing for the sanitizers to say."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from clipspect.base.files import sha256_of
from clipspect.bundle.manifest import MANIFEST, RECIPES
from clipspect.recipes.recipe import write_recipe
from support import handmade
from support.cpp_programs import call

OBJECT = f"{RECIPES}/object.safetensors"
HEADER = b'{"text_features":{"dtype":"F32","shape":[2,1,4],"data_offsets":[0,32]}}'


@pytest.fixture
def refusal(built: Path, tmp_path: Path) -> Callable[..., str]:
    """What inspect says when it refuses a bundle."""
    image = tmp_path / "image.png"
    Image.new("L", (8, 8)).save(image)

    def refused(bundle: Path, *more: object) -> str:
        out, said = call(built / "inspect", image, "--bundle", bundle, *more, status=1)
        assert out == b""
        assert said.startswith("inspect: error: ")
        assert said.count("\n") == 1
        return said

    return refused


def test_every_file_of_a_bundle_cut_changed_or_missing_is_refused(
    full_bundle: Path, refusal: Callable[..., str]
) -> None:
    files = [path for path in sorted(full_bundle.rglob("*")) if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        for damaged in (content[: len(content) // 2], content[:-2], b"", bytes([content[0] ^ 1]) + content[1:]):
            path.write_bytes(damaged)
            refusal(full_bundle)
        path.unlink()
        refusal(full_bundle)
        path.write_bytes(content)
    assert "not a bundle" in refusal(full_bundle / "nowhere")


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "[]",
        "null",
        '"\\ud800',
        '{"schema_version": 1}',
        '{"schema_version": 1e999}',
        '{"schema_version": NaN}',
        '{"schema_version": 1, "schema_version": 1}',
        '\ufeff{"schema_version": 1}',
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_what_is_no_manifest_is_refused(tiny_bundle: Path, refusal: Callable[..., str], document: str) -> None:
    (tiny_bundle / MANIFEST).write_text(document, encoding="utf-8")
    assert MANIFEST in refusal(tiny_bundle)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("schema_version",), 2, "newer than this header reads"),
        (("schema_version",), 1.0, "whole number"),
        (("schema_version",), True, "expected a number"),
        (("image", "height"), 33, "another type or shape"),
        (("image", "height"), 1 << 40, "cannot be a model's size"),
        (("image", "interpolation"), "bilinear", "not known"),
        (("graph", "outputs"), {}, "has no tensor score"),
        (("graph", "inputs", "image", "dtype"), "float32", "another type or shape"),
        (("graph", "inputs", "text_features", "shape"), [2, "P"], "another type or shape"),
        (("map_range",), [1.0, 0.0], "not below"),
        (("precision",), "fp8", "neither fp32 nor fp16"),
        (("precision",), "fp16", "does not run a fp16 graph"),
        (("method",), "other", "was made for winclip"),
        (("parameters",), {"scales": [2, 5]}, "other parameters"),
        (("backbone", "weights", "encoder_sha256"), "0" * 64, "other encoder weights"),
        (("graph", "file"), "other.onnx", "but not its hash"),
        (("graph", "file"), OBJECT, "but not its hash"),
        (("files", "model.onnx", "size"), -1, "whole number"),
    ],
)
def test_a_manifest_that_lies_is_refused(
    tiny_bundle: Path, refusal: Callable[..., str], path: tuple[str, ...], value: object, reason: str
) -> None:
    document = json.loads((tiny_bundle / MANIFEST).read_text(encoding="utf-8"))
    part = document
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    _seal(tiny_bundle, document)
    assert reason in refusal(tiny_bundle)


def test_fields_that_are_not_known_are_ignored(built: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    document = json.loads((tiny_bundle / MANIFEST).read_text(encoding="utf-8"))
    document["later"] = {"müsli": [1e-5, "\ud800", "\U0001f529", '\x7f\x00\\"/']}
    document["image"]["later"] = None
    _seal(tiny_bundle, document)
    Image.new("L", (8, 8)).save(tmp_path / "image.png")
    call(built / "inspect", tmp_path / "image.png", "--bundle", tiny_bundle)


def _seal(bundle: Path, document: dict[str, Any]) -> None:
    """Write a manifest with the digest that its content has."""
    document.pop("sha256", None)
    digest = sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    (bundle / MANIFEST).write_text(json.dumps({**document, "sha256": digest}), encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    [
        "../outside.bin",
        "/etc/passwd",
        "a/../../outside.bin",
        "./model.onnx",
        "a//b",
        "",
        "a\\b",
        "C:x",
        "n\x00l\n",
        "x" * 5000,
    ],
)
def test_a_manifest_that_leads_out_of_the_bundle_is_refused(
    tiny_bundle: Path, refusal: Callable[..., str], name: str
) -> None:
    outside = tiny_bundle.parent / "outside.bin"
    outside.write_bytes(b"1")
    document = json.loads((tiny_bundle / MANIFEST).read_text(encoding="utf-8"))
    document["files"][name] = {"sha256": sha256_of(outside), "size": 1}
    _seal(tiny_bundle, document)
    assert "no path inside" in (said := refusal(tiny_bundle)) or "is missing" in said or "is a link" in said


def test_links_in_a_bundle_are_refused(tiny_bundle: Path, refusal: Callable[..., str]) -> None:
    model = tiny_bundle / "model.onnx"
    model.rename(tiny_bundle.parent / "real.onnx")
    model.symlink_to(tiny_bundle.parent / "real.onnx")
    assert "is a link" in refusal(tiny_bundle)


@pytest.mark.parametrize("location", ["other.bin", "../outside.bin", "/etc/passwd"])
def test_a_model_that_reads_weights_from_elsewhere_is_refused(
    tiny_bundle: Path, refusal: Callable[..., str], location: str
) -> None:
    model = onnx.load(tiny_bundle / "model.onnx")
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    (tiny_bundle / "model.onnx").write_bytes(model.SerializeToString())
    handmade.rewritten(tiny_bundle)
    assert f"reads its weights from '{location}'" in refusal(tiny_bundle)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        b"\xff" * 8 + HEADER,  # a header longer than any file
        (0).to_bytes(8, "little"),
        (1 << 62).to_bytes(8, "little") + HEADER + bytes(32),
        (len(HEADER) + 33).to_bytes(8, "little") + HEADER + bytes(32),
        len(HEADER).to_bytes(8, "little") + HEADER + bytes(31),
        len(HEADER).to_bytes(8, "little") + HEADER + bytes(33),
        len(HEADER).to_bytes(8, "little") + HEADER + bytes(32),  # all true, but it proves nothing
        *(
            len(lying).to_bytes(8, "little") + lying + bytes(32)
            for old, new in (
                (b"[0,32]", b"[32,64]"),
                (b"[0,32]", b"[32,0]"),
                (b"[0,32]", b"[0,9007199254740992]"),
                (b"[0,32]", b"[-32,0]"),
                (b"[0,32]", b"[0]"),
                (b"[2,1,4]", b"[2,4611686018427387904,4]"),
                (b"[2,1,4]", b"[9007199254740992,9007199254740992,9007199254740992]"),
                (b"[2,1,4]", b"[2,1.0,4]"),
                (b"F32", b"F16"),
                (b"F32", b"U8"),
                (b"text_features", b"\xff\xfe"),
                (b'{"dtype', b'{"dtype":"F32","dtype'),
            )
            for lying in (HEADER.replace(old, new),)
        ),
    ],
)
def test_what_is_no_recipe_is_refused(tiny_bundle: Path, refusal: Callable[..., str], content: bytes) -> None:
    (tiny_bundle / OBJECT).write_bytes(content)
    assert "object.safetensors: " in refusal(tiny_bundle)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tensors": {"text_features": np.ones((2, 1, 5), np.float32)}}, "has the shape (2, 1, 5)"),
        ({"tensors": {"text_features": np.ones((2, 4), np.float32)}}, "must have the shape (2, prompts, dim)"),
        ({"tensors": {"text_features": np.ones((2, 0, 4), np.float32)}}, "must have the shape (2, prompts, dim)"),
        ({"tensors": {"text_features": np.full((2, 1, 4), np.nan, np.float32)}}, "must be finite"),
        ({"tensors": {"other": np.ones(8, np.float32)}}, "must have the shape (2, prompts, dim)"),
        ({"tensors": {name: np.ones((2, 1, 4), np.float32) for name in ("text_features", "more")}}, "does not take"),
        ({"tensors": {name: np.ones((2, 1, 4), np.float32) for name in ("text_features", "reference_a")}}, "few-shot"),
        ({"method": "aprilgan"}, "was made for aprilgan"),
        ({"encoder_sha256": "0" * 64}, "other encoder weights"),
        ({"parameters": {"scales": [2]}}, "other parameters"),
        ({"name": "another"}, "holds the recipe 'another'"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(
    tiny_bundle: Path, refusal: Callable[..., str], changes: dict[str, Any], reason: str
) -> None:
    write_recipe(tiny_bundle / OBJECT, handmade.make_recipe(**changes))
    assert reason in refusal(tiny_bundle)


def test_a_recipe_with_a_flipped_bit_anywhere_is_refused(tiny_bundle: Path, refusal: Callable[..., str]) -> None:
    content = (tiny_bundle / OBJECT).read_bytes()
    for place in range(0, len(content), len(content) // 16):
        (tiny_bundle / OBJECT).write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        refusal(tiny_bundle)


@pytest.mark.parametrize("name", ["missing", "../object", "/etc/passwd", ".", "object\udcff"])
def test_a_recipe_that_is_not_there_is_refused(tiny_bundle: Path, refusal: Callable[..., str], name: str) -> None:
    assert "no recipe" in refusal(tiny_bundle, "--recipe", name)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--device", "auto"], "openvino has cpu and gpu"),
        (["--device", "gpu.99"], "cannot load the graph on GPU.99"),
        (["--precision", "int8"], "openvino has fp32, bf16 and fp16"),
    ],
)
def test_what_the_engine_cannot_do_is_refused(
    tiny_bundle: Path, refusal: Callable[..., str], options: list[str], reason: str
) -> None:
    assert reason in refusal(tiny_bundle, *options)


def test_a_bundle_of_several_recipes_asks_for_one(tmp_path: Path, refusal: Callable[..., str]) -> None:
    bundle = handmade.write_bundle(tmp_path / "two.bundle", recipes=("bolt", "nut"))
    assert "name one of: 'bolt', 'nut'" in refusal(bundle)
