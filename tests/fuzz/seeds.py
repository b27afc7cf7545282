"""What the fuzz targets begin with: good files of every kind, made here; and the folder that a target works in."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from clipspect.bundle.manifest import MANIFEST
from clipspect.line.drift import Drift
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe_file import pack
from clipspect.sinks.chain import link_of
from fuzz.graph_seeds import graphs, write_weights
from support import handmade, odd_rasters
from support.drawn_records import drawn_records
from support.drawn_video import write_video
from support.handmade_graphs import word_tokenizer
from support.odd_jpeg import odd_jpegs
from support.odd_png import odd_pngs
from support.records import chained


def prepare(target: str, folder: Path) -> list[bytes]:
    """Make the folder that the target works in; its seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    return _SEEDS[target](folder)


def _recipes(_: Path) -> list[bytes]:
    seeds = []
    for recipe in (handmade.make_recipe("nut"), handmade.make_recipe("nut", limits=Limits(0.4, 0.6, 0.5))):
        packed = pack(recipe.document(), dict(recipe.tensors))[1]
        length = int.from_bytes(packed[:8], "little")
        seeds += [packed, packed[8 : 8 + length].rstrip() + b"\n" + packed[8 + length :]]
    return seeds


def _manifests(folder: Path) -> list[bytes]:
    root = folder / "full.bundle"
    if not root.exists():
        handmade.write_full_bundle(root)
        (root / MANIFEST).rename(folder / MANIFEST)
    return [(folder / MANIFEST).read_bytes()]


def _checks(folder: Path) -> list[bytes]:
    root = folder / "full.bundle"
    handmade.write_full_bundle(root)
    content = (root / "check.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    (folder / "size").write_text(str(len(content) - 8 - length), encoding="ascii")
    return [content[8 : 8 + length]]


def _graphs(folder: Path) -> list[bytes]:
    write_weights(folder)
    return [file for _, file in graphs().values()]


def _images(_: Path) -> list[bytes]:
    seeds = [data for data, _ in odd_rasters.shown().values()]
    seeds += [data for data, _ in odd_rasters.refused().values()]
    seeds += [*odd_pngs().values(), *odd_jpegs().values()]
    drawn = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8))
    for form in ("WEBP", "JPEG2000", "GIF", "TIFF"):
        file = io.BytesIO()
        drawn.save(file, form)
        seeds.append(file.getvalue())
    return [seed for seed in seeds if len(seed) < 20_000]


def _tokenizers(_: Path) -> list[bytes]:
    pairs = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "ab</w>": 3, "b</w>": 4}, "merges": [["a", "b"]]}
    split = {"type": "Split", "pattern": {"Regex": r"\s+"}, "behavior": "Removed", "invert": False}
    steps = {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}
    places = [{"SpecialToken": {"id": "a", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    special = {"a": {"id": "a", "ids": [0], "tokens": ["a"]}}
    template = {"type": "TemplateProcessing", "single": places, "pair": places, "special_tokens": special}
    document = {"version": "1.0", "normalizer": steps, "pre_tokenizer": split, "post_processor": template}
    return [word_tokenizer().encode(), json.dumps({**document, "model": pairs}).encode()]


def _sources(folder: Path) -> list[bytes]:
    images = folder / "images"
    (images / "more").mkdir(parents=True, exist_ok=True)
    for name in ("a.png", "b [1].png", "more/c.jpg"):
        Image.new("L", (2, 2)).save(images / name)
    seeds = [
        b"\1" + name for name in (b"a.png", b"*.png", b"**/*.*", b"b [1].png", b"more", b".", b"[ab]*", b"files:a.png")
    ]
    for name in ("a.mp4", "a.mkv", "a.avi", "a.webm"):
        path = folder / name
        write_video(path, 3, codec="libvpx" if path.suffix == ".webm" else "mpeg4")
        seeds.append(b"\0" + path.read_bytes())
    return seeds


def _records(folder: Path) -> list[bytes]:
    (folder / "log" / ".watch").mkdir(parents=True, exist_ok=True)
    made = chained(drawn_records([0.1, 0.5, 0.7], limits=Limits(0.4, 0.6)))
    lines = "".join(f"{record.to_json()}\n" for record in made).encode()
    link = link_of(lines.splitlines()[-1])
    assert link is not None
    drift = Drift()
    for record in made:
        drift.take(record)
    kept = {"log": link.log, "line": link.line, "previous": link.previous, "digest": link.digest}
    answer = {
        "schema": 1, "id": made[0].id, "answer": "good", "time": made[0].time, "who": "me", "picture": "0.png",
        "sha256": "a" * 64, "bundle": "b" * 64, "recipe": "c" * 64,
        "engine": {"backend": "onnxruntime", "device": "cpu", "precision": "fp32"}, "score": 0.1, "verdict": "pass",
    }  # fmt: skip
    chain, given = json.dumps(kept).encode(), json.dumps(answer).encode()
    return [b"\0" + lines, b"\1" + chain, b"\2" + given + b"\n", b"\3" + drift.state()]


_SEEDS: dict[str, Callable[[Path], list[bytes]]] = {
    "recipe": _recipes,
    "bundle": _manifests,
    "check": _checks,
    "graph": _graphs,
    "image": _images,
    "tokenizer": _tokenizers,
    "source": _sources,
    "records": _records,
}
