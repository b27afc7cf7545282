"""Manifests and recipes of millions of values, and files of holes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from clipspect.bundle.manifest import MANIFEST, MANIFEST_DIGEST, write_document
from support import handmade

LISTS, OBJECTS, NUMBERS = "[],", '{"a":0},', "1,"


def many(value: str, size: int) -> str:
    return f"[{value * (size // len(value))}0]"


def manifest_with(more: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        root = handmade.write_bundle(folder / "tiny.bundle")
        text = (root / MANIFEST).read_text(encoding="utf-8").rstrip().removesuffix("}")
        handmade.seal(root, f'{text}, "more": {more}}}'.encode())
        return root

    return write


def recipe_with(more: str, *, in_header: bool = False) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        table = {"text_features": {"dtype": "F32", "shape": [2, 1, 4], "data_offsets": [0, 32]}}
        about = {"schema_version": 2, "name": "nut", "method": "winclip", "object": "x", "encoder_sha256": "e" * 64}
        document = json.dumps({**about, "tensors": table}).removesuffix("}")
        document += "}" if in_header else f', "more": {more}}}'
        buffer = bytes([0, 0, 128, 63] * 8)
        digest = hashlib.sha256(document.encode() + buffer).hexdigest()
        header = json.dumps({"__metadata__": {"clipspect": f"{digest}\n{document}"}, **table})
        header = f'{header.removesuffix("}")}, "more": {more}}}' if in_header else header
        path = folder / "nut.safetensors"
        path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + buffer)
        return path

    return write


def holes(path: Path, size: int) -> Path:
    with path.open("r+b") as file:
        file.truncate(size)
    return path


def file_of_holes(folder: Path) -> Path:
    """A bundle whose manifest names a file of a terabyte."""
    root = handmade.write_bundle(folder / "tiny.bundle")
    (root / "weights.bin").touch()
    holes(root / "weights.bin", 1 << 40)
    document = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    document["files"]["weights.bin"] = {"sha256": "0" * 64, "size": 1 << 40}
    write_document(root, document)
    return root


def manifest_of_holes(folder: Path) -> Path:
    root = handmade.write_bundle(folder / "tiny.bundle")
    holes(root / MANIFEST, 1 << 40)
    return root


def digest_of_holes(folder: Path) -> Path:
    root = handmade.write_bundle(folder / "tiny.bundle")
    holes(root / MANIFEST_DIGEST, 1 << 40)
    return root


def header_beyond(folder: Path) -> Path:
    path = folder / "nut.safetensors"
    path.write_bytes((1 << 62).to_bytes(8, "little") + b"{}")
    return path


def header_that_says_more(folder: Path) -> Path:
    """A gigabyte of holes whose header is longer than the file, by its length, and says that tensors fill it."""
    path = folder / "nut.safetensors"
    entry = {"dtype": "F32", "shape": [1 << 28], "data_offsets": [0, 1 << 30]}
    path.write_bytes((1 << 62).to_bytes(8, "little") + json.dumps({"a": entry}).encode().ljust(1 << 26))
    return holes(path, 1 << 30)


def header_of_holes(folder: Path) -> Path:
    path = folder / "nut.safetensors"
    path.write_bytes((1 << 29).to_bytes(8, "little"))
    return holes(path, 1 << 30)


DOCUMENTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "manifest-lists": (manifest_with(many(LISTS, 16_000_000)), "more than 1,048,576 values"),
    "manifest-objects": (manifest_with(many(OBJECTS, 16_000_000)), "more than 1,048,576 values"),
    "manifest-numbers": (manifest_with(many(NUMBERS, 16_000_000)), "more than 1,048,576 values"),
    "manifest-text": (manifest_with(f'"{"x" * 17_000_000}"'), "too large for this file"),
    "manifest-of-holes": (manifest_of_holes, "too large for this file"),
    "digest-of-holes": (digest_of_holes, "too large for this file"),
    "weights-of-holes": (file_of_holes, "at most 8.6 are read"),
    "recipe-lists": (recipe_with(many(LISTS, 12_000_000)), "more than 1,048,576 values"),
    "recipe-objects": (recipe_with(many(OBJECTS, 12_000_000)), "more than 1,048,576 values"),
    "recipe-header-numbers": (recipe_with(many(NUMBERS, 12_000_000), in_header=True), "more than 1,048,576 values"),
    "recipe-header-text": (recipe_with(f'"{"x" * 70_000_000}"'), "at most 67108864 are read"),
    "recipe-header-beyond": (header_beyond, "longer than the file"),
    "recipe-header-that-says-more": (header_that_says_more, "longer than the file"),
    "recipe-header-of-holes": (header_of_holes, "at most 67108864 are read"),
    "recipe-of-holes": (lambda folder: holes(recipe_with("0")(folder), 1 << 30), "the tensors take 32 bytes"),
    "recipe-of-more-holes": (lambda folder: holes(recipe_with("0")(folder), 1 << 41), "too large for a recipe"),
}
