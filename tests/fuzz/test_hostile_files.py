"""Every hostile file that we know is refused in one line: within 5 CPU seconds and 500 MB, and nothing is written.

A process of its own opens them all, so that a crash is seen, with the name of the file before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import pytest

from clipspect.bundle.manifest import read_manifest, write_manifest
from clipspect.recipes.tokenizer import Tokenizer
from support import odd_rasters
from support.handmade import write_full_bundle
from support.hostile_documents import DOCUMENTS
from support.hostile_graphs import DATA_BYTES, GRAPHS, Change
from support.hostile_models import MODELS
from support.hostile_onnx import FILES
from support.hostile_tokenizers import TOKENIZERS, Document, pairs, within, words
from support.measured import Measured, run_code

LEAST_FILES, MOST_S, MOST_BYTES = 251, 5, 500_000_000
OPEN = """
import json, os, sys, time
from pathlib import Path
import clipspect
from clipspect.bundle.bundle import Bundle
from clipspect.frame.decode import read
from clipspect.recipes.recipe import read_recipe
from clipspect.recipes.tokenizer import Tokenizer
READERS = {".bundle": Bundle.open, ".safetensors": read_recipe, ".json": Tokenizer.open, ".png": read}
os.chdir(sys.argv[1])
for name in sys.argv[2:]:
    print(json.dumps(name), flush=True)
    path = Path(name)
    start = time.process_time()
    try:
        said = f"taken: {READERS[path.suffix](path)}"
    except clipspect.ClipspectError as error:
        said = f"refused: {error}"
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
    print(json.dumps([time.process_time() - start, said]), flush=True)
"""

Write = Callable[[Path], Path]


class Said(NamedTuple):
    """What became of a file."""

    seconds: float
    text: str


def _with_graph(spoilt: Callable[[bytes], bytes]) -> Write:
    def write(folder: Path) -> Path:
        bundle = write_full_bundle(folder / "tiny.bundle")
        path = bundle / "model.onnx"
        path.write_bytes(spoilt(path.read_bytes()))
        with (bundle / "model.onnx.data").open("wb") as file:
            file.truncate(DATA_BYTES)
        write_manifest(bundle, read_manifest(bundle)[0])
        return bundle

    return write


def _changed(change: Change) -> Callable[[bytes], bytes]:
    def spoilt(data: bytes) -> bytes:
        model = onnx.load_from_string(data)
        change(model)
        return model.SerializeToString()

    return spoilt


def _file(name: str, content: bytes) -> Write:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def _escaped(reason: str) -> str:
    return "|".join(map(re.escape, reason.split("|")))


HOSTILE: dict[str, tuple[Write, str]] = {  # how it is written, and the reason for which it is refused
    **{f"graph: {name}": (_with_graph(_changed(to)), _escaped(why)) for name, (to, why) in (GRAPHS | MODELS).items()},
    **{f"onnx: {name}": (_with_graph(spoilt), _escaped(reason)) for name, (spoilt, reason) in FILES.items()},
    **{f"document: {name}": (write, re.escape(reason)) for name, (write, reason) in DOCUMENTS.items()},
    **{
        f"tokenizer: {name}": (_file("tokenizer.json", text.encode()), r"tokenizer\.json: not a readable tokenizer")
        for name, text in TOKENIZERS.items()
    },
    **{
        f"image: {name}": (_file("a.png", data), rf"a\.png: .*{reason}")
        for name, (data, reason) in odd_rasters.refused().items()
    },
}


def _listed(root: Path) -> dict[str, Any]:
    """All that lies in a folder, and when it was written."""
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in root.rglob("*")}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measured, dict[str, Said]]:
    root = tmp_path_factory.mktemp("hostile")
    names = {}
    for number, (name, (write, _)) in enumerate(HOSTILE.items()):
        folder = root / str(number)
        folder.mkdir()
        names[str(write(folder).relative_to(root))] = name
    before = _listed(root)
    done = run_code(OPEN, root, *names)
    assert _listed(root) == before
    lines = [json.loads(line) for line in done.output.splitlines()]
    return done, {names[name]: Said(*said) for name, said in zip(lines[::2], lines[1::2], strict=True)}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_one_line(opened: tuple[Measured, dict[str, Said]], name: str) -> None:
    seconds, text = opened[1][name]
    assert re.fullmatch(rf"refused: .*(?:{HOSTILE[name][1]}).*", text)
    assert seconds < MOST_S


def test_all_hostile_files_together_take_little_memory(opened: tuple[Measured, dict[str, Said]]) -> None:
    done, said = opened
    assert len(said) == len(HOSTILE) >= LEAST_FILES
    assert done.peak_bytes < MOST_BYTES


@pytest.mark.parametrize("document", [words(), pairs(), within(pairs, "model/merges", ["a b"])])
def test_what_the_hostile_tokenizers_are_made_of_is_read(document: Document) -> None:
    assert Tokenizer.parse(json.dumps(document)).encode(["a ab"], 9).shape[0] == 1
