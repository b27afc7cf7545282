"""The contract page agrees with what the exporter and the runtime write."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import SCHEMA_VERSION
from clipspect.engines.graph import TensorSpec
from clipspect.recipes import recipe_file
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import Recipe, write_recipe
from support import handmade
from support.cpp_programs import ROOT, SOURCE, call
from support.handmade_photos import write_photos_bundle

README = (SOURCE / "README.md").read_text(encoding="utf-8")


def test_the_hexdump_is_that_of_a_recipe_as_it_is_written(tmp_path: Path) -> None:
    features = np.array([[[1, 0, 0, 0]], [[0, 0.5, 0, -0.5]]], np.float32)
    limits, parameters = Limits(0.25, 0.5), {"scales": [2, 3]}
    recipe = Recipe(
        "nut",
        "winclip",
        "metal nut",
        handmade.ENCODER,
        {"text_features": features},
        limits=limits,
        parameters=parameters,
    )
    write_recipe(tmp_path / "nut.safetensors", recipe)
    lines = re.findall(r"^([0-9a-f]{3})  ((?:[0-9a-f]{2} )*[0-9a-f]{2})  +(.*)$", README, re.MULTILINE)
    assert [int(offset, 16) for offset, _, _ in lines] == list(range(0, 16 * len(lines), 16))
    written = (tmp_path / "nut.safetensors").read_bytes()
    assert bytes.fromhex("".join(row for _, row, _ in lines)) == written
    length = int.from_bytes(written[:8], "little")
    assert f"the header has 0x{length:x} = {length} bytes, up to {length + 7:03x}" in README
    places = [(int(first, 16), int(last, 16) + 1) for first, last in re.findall(r"\| (\w{3}) to (\w{3}) \|", README)]
    _, digest, document, table, normal, anomalous = (written[first:end] for first, end in places)
    proved = json.loads(b'"' + document + b'"').encode()
    assert digest.decode() == hashlib.sha256(proved + normal + anomalous).hexdigest()
    assert json.loads(b"{" + table)["text_features"] == json.loads(proved)["tensors"]["text_features"]
    assert normal + anomalous == features.tobytes()


def test_the_packages_to_install_are_those_that_continuous_integration_installs() -> None:
    debian = re.search(r"\| Debian 12 and 13 \| `apt install ([^`]+)`", README)
    assert debian is not None
    installed = re.search(r"packages=\(([^)]+)\)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    assert installed is not None
    assert set(debian[1].split()) == set(installed[1].split()) - {"mosquitto", "shellcheck"}


def test_the_tensors_and_versions_are_those_of_a_bundle(tmp_path: Path) -> None:
    assert f"`schema_version` is {SCHEMA_VERSION}, in" in README
    assert SCHEMA_VERSION == recipe_file.SCHEMA_VERSION
    bundles = [handmade.write_full_bundle(tmp_path / "full", map_limits=True)]
    bundles += [write_photos_bundle(tmp_path / f"photos{kind}", subspace=kind) for kind in (False, True)]
    for graph in (graph for root in bundles for graph in Bundle.open(root).manifest.graphs.values()):
        for direction, tensors in (("in", graph.inputs), ("out", graph.outputs)):
            for name, spec in tensors.items():
                family = re.sub("^(reference|features)_.*", r"\1_*", name)
                row = re.search(rf"\| {direction} `{re.escape(family)}` \| (\w+) \| ([^|]+) \|", README)
                assert row is not None, name
                assert row[1] == spec.dtype
                assert len(row[2].split(",")) == len(spec.shape)
                _check_numbers(row[2].split(","), spec)


def test_the_row_to_test_a_resize_with_is_pillows_and_the_headers(built: Path, tmp_path: Path) -> None:
    found = re.search(r"`([\d ]+)` becomes `([\d ]+)` at (\d+) pixels", README)
    assert found is not None
    row = Image.fromarray(np.array([found[1].split()], np.uint8))
    small = [int(value) for value in found[2].split()]
    assert list(np.asarray(row.resize((len(small), 1), Image.Resampling.BICUBIC))[0]) == small
    row.save(tmp_path / "row.png")
    assert list(call(built / "pixels", 1, found[3], tmp_path / "row.png")[0][::3]) == small


def _check_numbers(row: list[str], spec: TensorSpec) -> None:
    """The page's numbers stand where the graph has the same; a letter stands for a name or the model's own size."""
    for said, side in zip(row, spec.shape):
        assert not said.strip().isdigit() or int(said) == side
