"""What reads bytes from outside, as fuzz targets: each takes any bytes, and nothing but a ClipspectError may come out.

What proves itself by a digest is read a second time with the digest put right, so that what lies behind it is reached.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from clipspect.base.document import MismatchError
from clipspect.base.errors import ClipspectError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import MANIFEST, MANIFEST_DIGEST, read_manifest
from clipspect.frame.decode import read
from clipspect.inspection.check_images import IMAGES, read_check
from clipspect.line.audit import audit
from clipspect.line.drift import FALSE_ALARM, Drift
from clipspect.line.feedback import answers_of, feedback_path
from clipspect.line.index import Index
from clipspect.recipes.recipe import read_recipe
from clipspect.recipes.tokenizer import Tokenizer
from clipspect.sinks.chain import digest_of, link_of
from clipspect.sinks.kept_link import CHAIN
from clipspect.sinks.log import Log
from clipspect.sinks.records import read_records
from clipspect.sources.registry import files
from clipspect.sources.video import video
from fuzz.graph_target import graph

_FRAMES = 20  # of a video


def recipe(folder: Path, data: bytes) -> None:
    """A recipe's file; then a line with its header and the tensors behind it, sealed."""
    path = folder / "nut.safetensors"
    head, _, buffer = data.partition(b"\n")
    for content in (data, _sealed_recipe(head, buffer)):
        path.write_bytes(content)
        with suppress(ClipspectError):
            read_recipe(path)


def _sealed_recipe(header: bytes, buffer: bytes) -> bytes:
    try:
        parsed: dict[str, Any] = json.loads(header)
        document: str = parsed["__metadata__"]["clipspect"].partition("\n")[2]
        digest = hashlib.sha256(document.encode() + buffer).hexdigest()
        parsed["__metadata__"]["clipspect"] = f"{digest}\n{document}"
        header = json.dumps(parsed).encode()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    return len(header).to_bytes(8, "little") + header + buffer


def bundle(folder: Path, data: bytes) -> None:
    """A manifest, sealed, in a bundle whose files are there."""
    root = folder / "full.bundle"
    (root / MANIFEST).write_bytes(data)
    (root / MANIFEST_DIGEST).write_text(f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n", encoding="ascii")
    with suppress(ClipspectError):
        Bundle.open(root)


def check(folder: Path, data: bytes) -> None:
    """The header of a bundle's check images, behind which there are black ones."""
    path, size = folder / "full.bundle" / "check.safetensors", int((folder / "size").read_text())
    path.write_bytes(len(data).to_bytes(8, "little") + data + bytes(size))
    opened = Bundle(path.parent, *read_manifest(path.parent))
    with suppress(ClipspectError):
        assert read_check(opened)[IMAGES].ndim == 4


def image(folder: Path, data: bytes) -> None:
    """An image's file."""
    (folder / "a.png").write_bytes(data)
    with suppress(ClipspectError):
        assert read(folder / "a.png").mode in {"L", "RGB"}


def tokenizer(folder: Path, data: bytes) -> None:
    """A tokenizer's file; what is taken, the library can use."""
    (folder / "tokenizer.json").write_bytes(data)
    with suppress(ClipspectError):
        Tokenizer.open(folder / "tokenizer.json").encode(["a photo of ab, é \ud83d\ude00", ""], 77)


def source(folder: Path, data: bytes) -> None:
    """Behind a byte 0 a video's file; behind another, a name of files."""
    if data[:1] == b"\0":
        (folder / "a.mp4").write_bytes(data[1:])
        with suppress(ClipspectError):
            for _ in islice(video(folder / "a.mp4"), _FRAMES):
                pass
        return
    name = os.fsdecode(data[1:])
    if name.startswith(("/", "~")) or ".." in name:
        return  # what is there is no part of the test
    os.chdir(folder / "images")
    with suppress(ClipspectError):
        for item in islice(files(name), _FRAMES):
            assert item.name


def records(folder: Path, data: bytes) -> None:
    """A log, whose lines are read as they are and with digests put right, or a file that is kept beside it."""
    results = folder / "log" / "results.jsonl"
    kind, content = data[:1], data[1:]
    if kind == b"\0":
        for lines in (content, _sealed_lines(content)):
            results.write_bytes(lines)
            _read_log(results)
    elif kind == b"\1":
        results.touch()
        (results.parent / CHAIN).write_bytes(content)
        _read_log(results)
    elif kind == b"\2":
        feedback_path(results).write_bytes(content)
        with suppress(ClipspectError):
            answers_of(results)
        feedback_path(results).unlink()
    else:
        with suppress(MismatchError):
            Drift.restored(content, FALSE_ALARM).state()


def _sealed_lines(content: bytes) -> bytes:
    sealed = []
    for line in content.split(b"\n"):
        link = link_of(line)
        sealed.append(line if link is None else line.replace(link.digest.encode(), digest_of(line).encode()))
    return b"\n".join(sealed)


def _read_log(results: Path) -> None:
    with suppress(ClipspectError):
        audit([results])
    drift = Drift()
    with suppress(ClipspectError):
        for record in read_records(results):
            drift.take(record)
    Drift.restored(drift.state(), FALSE_ALARM)
    with suppress(ClipspectError):
        log = Log(results)
        try:
            Index(results.parent / "done.sqlite", log).close()
            log.last()
        finally:
            log.close()
    for kept in [results.parent / CHAIN, *results.parent.glob("done.sqlite*")]:
        kept.unlink(missing_ok=True)  # the next input finds what this one found


TARGETS: dict[str, Callable[[Path, bytes], None]] = {
    "recipe": recipe,
    "bundle": bundle,
    "check": check,
    "graph": graph,
    "image": image,
    "tokenizer": tokenizer,
    "source": source,
    "records": records,
}
