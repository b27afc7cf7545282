"""Damaged and malicious bundles are refused in one line, and the sanitizers have nothing to say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clipspect.base.files import sha256_of
from clipspect.bundle.manifest import MANIFEST, MANIFEST_DIGEST, RECIPES
from support import handmade
from support.cpp_programs import call

Refusal = Callable[[Path], str]


def test_every_file_of_a_bundle_cut_changed_or_missing_is_refused(full_bundle: Path, refusal: Refusal) -> None:
    files = [path for path in sorted(full_bundle.rglob("*")) if path.is_file()]
    assert len(files) > 6
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
    ("data", "reason"),
    [
        (b"", "not readable as JSON"),
        (b"{", "not readable as JSON"),
        (b"[]", "expected an object"),
        (b"null", "expected an object"),
        (b'"\\ud800"', "not readable as JSON"),
        (b'{"schema_version": 2}', "method: is missing"),
        (b'{"schema_version": 1e999}', "not readable as JSON"),
        (b'{"schema_version": NaN}', "not readable as JSON"),
        (b'{"schema_version": 1, "schema_version": 2}', "method: is missing"),  # the last one counts
        (b'{"schema_version": 2, "more": 9223372036854775808}', "at most 64 bits"),
        (b'{"schema_version": 2, "more": 123456789012345678901234567890}', "at most 64 bits"),
        (b'{"schema_version": 2} // more', "not readable as JSON"),
        (b'{"schema_version": 2}\x00', "zero byte"),  # nlohmann's parser stops there
        (b'\xef\xbb\xbf{"schema_version": 2}', "byte order mark"),  # and skips this
        (b'{"schema_version": 2, "\xff": 1}', "not readable as JSON"),
        (b'{"schema_version": 2, "\xed\xa0\x80": 1}', "not readable as JSON"),
        (b'{"schema_version": 2, "a\tb": 1}', "not readable as JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}", "nested too deeply"),
        (b" " * ((1 << 24) + 1), "too large"),
    ],
)
def test_what_is_no_manifest_is_refused(tiny_bundle: Path, refusal: Refusal, data: bytes, reason: str) -> None:
    handmade.seal(tiny_bundle, data)
    assert MANIFEST in (said := refusal(tiny_bundle))
    assert reason in said


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("schema_version",), 3, "upgrade clipspect"),
        (("schema_version",), 1, "clipspect upgrade"),
        (("schema_version",), 0, "expected a number from 1"),
        (("schema_version",), 2.0, "whole number"),
        (("schema_version",), True, "expected a whole number"),
        (("image", "height"), 33, "another type or shape"),
        (("image", "height"), 1 << 40, "cannot be a model's size"),
        (("image", "interpolation"), "bilinear", "not known"),
        (("graphs", "words"), None, "graphs: words: is missing"),
        (("graphs", "words", "outputs"), {}, "has no tensor score"),
        (("graphs", "words", "inputs", "image", "dtype"), "float32", "another type or shape"),
        (("graphs", "words", "inputs", "text_features", "shape"), [2, "P"], "another type or shape"),
        (("graphs", "words", "map_range"), [1.0, 0.0], "not below"),
        (("graphs", "words", "file"), "other.onnx", "but not its hash"),
        (("graphs", "words", "file"), f"{RECIPES}/object.safetensors", "does not end in .onnx"),
        (("graphs", "later"), {"file": "later.onnx"}, "but not its hash"),
        (("graphs", "later"), {}, "graphs: later: file: is missing"),
        (("int8",), {"graphs": {"model.onnx": "copy.onnx"}}, "but not its hash"),
        (("check",), "check.bin", "but not its hash"),
        (("precision",), "fp8", "neither fp32 nor fp16"),
        (("method",), "other", "was made for winclip"),
        (("parameters",), {"scales": [2, 5]}, "other parameters"),
        (("backbone", "weights", "encoder_sha256"), "0" * 64, "other encoder weights"),
        (("files", "model.onnx", "size"), -1, "whole number"),
        (("files", "model.onnx", "sha256"), "A" * 64, "the sha256 is none"),
    ],
)
def test_a_manifest_that_lies_is_refused(
    tiny_bundle: Path, refusal: Refusal, path: tuple[str, ...], value: object, reason: str
) -> None:
    def change(document: dict[str, Any]) -> None:
        for name in path[:-1]:
            document = document[name]
        document[path[-1]] = value

    handmade.edit(tiny_bundle, change)
    assert reason in refusal(tiny_bundle)


def test_keys_and_roles_that_are_not_known_are_ignored(built: Path, tiny_bundle: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["later"] = {"müsli": [1e-5, "\U0001f529", '\x7f\x00\\"/', -1, 2**63 - 1]}
        document["image"]["later"] = None
        document["graphs"]["later"] = {"file": "model.onnx", "inputs": 1}

    handmade.edit(tiny_bundle, change)
    assert call(built / "readers", tiny_bundle) == (b"read\n", "")


@pytest.mark.parametrize(
    "line",
    ["{}", "{}  bundle.json", "{} bundle.json\n", "{} *bundle.json\n", "{}  bundle.json\r\n", "{}  bundle.json\n\n"],
)
def test_a_digest_in_another_form_than_sha256sums_is_refused(tiny_bundle: Path, refusal: Refusal, line: str) -> None:
    digest = sha256_of(tiny_bundle / MANIFEST)
    (tiny_bundle / MANIFEST_DIGEST).write_bytes(line.format(digest).encode())
    assert "does not match its digest" in refusal(tiny_bundle)
    (tiny_bundle / MANIFEST_DIGEST).write_bytes(f"{digest.upper()}  {MANIFEST}\n".encode())
    assert "does not match its digest" in refusal(tiny_bundle)


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
        "a\x85b",
        MANIFEST,
        MANIFEST_DIGEST,
        "x" * 5000,
    ],
)
def test_a_manifest_that_leads_out_of_the_bundle_is_refused(tiny_bundle: Path, refusal: Refusal, name: str) -> None:
    outside = tiny_bundle.parent / "outside.bin"
    outside.write_bytes(b"1")
    entry = {"sha256": sha256_of(outside), "size": 1}
    handmade.edit(tiny_bundle, lambda document: document["files"].update({name: entry}))
    assert "no path inside" in (said := refusal(tiny_bundle)) or "is missing" in said


def test_links_in_a_bundle_are_refused(tiny_bundle: Path, refusal: Refusal) -> None:
    inner = tiny_bundle / "inner"
    inner.mkdir()
    (inner / "more.bin").write_bytes(b"1")
    handmade.rewritten(tiny_bundle)
    inner.rename(tiny_bundle / "moved")
    inner.symlink_to("moved")
    assert "'inner/more.bin' is a link" in refusal(tiny_bundle)
    model = tiny_bundle / "model.onnx"
    model.rename(tiny_bundle.parent / "real.onnx")
    model.symlink_to(tiny_bundle.parent / "real.onnx")
    inner.unlink()
    (tiny_bundle / "moved").rename(inner)
    assert "'model.onnx' is a link" in refusal(tiny_bundle)
    (tiny_bundle / "bundle.json").rename(tiny_bundle.parent / "real.json")
    (tiny_bundle / "bundle.json").symlink_to(tiny_bundle.parent / "real.json")
    assert "bundle.json: is a link" in refusal(tiny_bundle)


def test_the_program_refuses_in_one_line_before_it_prints_anything(built: Path, tiny_bundle: Path) -> None:
    image = tiny_bundle / "image.png"
    Image.new("L", (8, 8)).save(image)
    document = json.loads((tiny_bundle / MANIFEST).read_text(encoding="utf-8"))
    handmade.seal(tiny_bundle, json.dumps({**document, "method": "o\x1b[2Jther\n"}).encode())
    out, said = call(built / "inspect", image, "--bundle", tiny_bundle, status=1)
    assert out == b""
    assert said.startswith("inspect: error: recipe 'object' was made for winclip, this bundle is o?[2Jther?: make it")
    assert said.count("\n") == 1
