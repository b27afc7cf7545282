"""A bundle of schema 1, as the last version that knew it wrote it, becomes one of schema 2, or stays as it was."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clipspect
from clipspect.base.errors import BundleError, ClipspectError, RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import MANIFEST
from clipspect.cli import main
from clipspect.recipes.recipe import read_recipe
from clipspect.recipes.shelf import open_recipe, recipe_names
from clipspect.recipes.upgrade import upgrade
from support import handmade

OLD = Path(__file__).with_name("schema1.bundle")  # written by version 0.1.0 at c19c4b8
UNCHANGED = ("model.onnx", "fewshot.onnx", "text.onnx", "tokenizer.json", "check.safetensors")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "old.bundle"))


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_bundle_of_schema_1_is_refused_with_the_command_that_converts_it(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(old)]) == 1
    command = f"clipspect upgrade {old}"
    assert command in capsys.readouterr().err
    assert main(command.split()[1:]) == 0
    assert main(["info", str(old)]) == 0


def test_a_recipe_of_schema_1_is_refused_with_the_command_that_converts_it() -> None:
    with pytest.raises(RecipeError, match="a recipe of schema 1: convert the bundle with: clipspect upgrade"):
        read_recipe(OLD / "recipes/nut.safetensors")


def test_what_is_converted_says_all_that_the_old_bundle_said(old: Path) -> None:
    before = json.loads((old / MANIFEST).read_text(encoding="utf-8"))
    assert upgrade(old)
    bundle = Bundle.open(old)
    words, both = bundle.manifest.graphs["words"], bundle.manifest.graphs["both"]
    assert [words.file, both.file] == [before["graph"]["file"], before["few_shot"]["graph"]["file"]]
    assert list(words.map_range) == before["map_range"]
    assert words.parity.score == before["parity"]["score"]
    assert set(both.inputs) == set(before["few_shot"]["graph"]["inputs"])
    after = json.loads((old / MANIFEST).read_text(encoding="utf-8"))
    changed = {"schema_version", "graph", "graphs", "map_range", "parity", "few_shot", "files", "sha256"}
    assert {key: after[key] for key in before.keys() - changed} == {key: before[key] for key in before.keys() - changed}
    assert set(after["files"]) == set(UNCHANGED)
    for name in UNCHANGED:
        assert (old / name).read_bytes() == (OLD / name).read_bytes()


def test_recipes_are_converted_with_words_references_and_limits(old: Path) -> None:
    upgrade(old)
    bundle = Bundle.open(old)
    assert recipe_names(bundle) == ["bolt 2", "nut", "object"]
    recipe = open_recipe(bundle, "nut")
    assert recipe.object == "Schraubenmutter, 6 mm, größer"
    assert recipe.limits is not None
    assert (recipe.limits.review, recipe.limits.reject) == (0.25, 0.75)
    assert recipe.calibration is None
    assert recipe.references == {"count": 2, "files": ["a.png", "ü.png"]}
    assert recipe.judge == "both"
    assert recipe.tensors["reference_fine"].shape == (32, 3)


def test_a_converted_bundle_inspects_and_verifies(old: Path) -> None:
    upgrade(old)
    assert main(["verify", str(old), "--backend", "onnxruntime"]) == 0
    image = handmade.spotted(handmade.SIDE, handmade.SIDE)
    with clipspect.load(old, "object") as inspector:
        assert inspector.inspect(image).score == pytest.approx(float(image.mean(axis=-1).max()) / 255, abs=1e-6)


def test_out_leaves_the_old_bundle_as_it_is(old: Path, tmp_path: Path) -> None:
    assert upgrade(old, tmp_path / "new/new.bundle")
    assert contents(old) == contents(OLD)
    Bundle.open(tmp_path / "new/new.bundle")
    assert (tmp_path / "new/new.bundle/model.onnx").stat().st_nlink == 1
    with pytest.raises(BundleError, match="exists: choose another --out"):
        upgrade(old, tmp_path / "new/new.bundle")


def test_a_second_time_there_is_nothing_to_convert(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upgrade", str(old)]) == 0
    once = contents(old)
    assert main(["upgrade", str(old)]) == 0
    assert "is of schema 2 already" in capsys.readouterr().out
    assert contents(old) == once


def test_nothing_is_left_beside_a_bundle_that_was_converted(old: Path) -> None:
    upgrade(old)
    assert [path.name for path in old.parent.iterdir()] == [old.name]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_old_bundle_with_a_changed_byte_is_refused_and_stays_as_it_was(old: Path, data: st.DataObject) -> None:
    path = old / data.draw(st.sampled_from(sorted(contents(OLD))))
    original = path.read_bytes()
    position = data.draw(st.integers(0, len(original) - 1))
    other = original[position] ^ data.draw(st.integers(1, 255))
    path.write_bytes(original[:position] + bytes([other]) + original[position + 1 :])
    before = contents(old)
    try:
        if _is_white_space(original[position], other):  # of a JSON text, which the old digests did not cover
            upgrade(old)
            assert open_recipe(Bundle.open(old), "nut").tensors["reference_fine"].tobytes() == _reference()
            return
        with pytest.raises(ClipspectError):
            upgrade(old)
        assert contents(old) == before
        assert [found.name for found in old.parent.iterdir()] == [old.name]
    finally:
        shutil.rmtree(old)
        shutil.copytree(OLD, old)


def _is_white_space(*characters: int) -> bool:
    return set(characters) <= set(b" \t\r\n")


def test_weights_that_schema_1_exempted_from_hashing_are_hashed(old: Path) -> None:
    document = json.loads((old / MANIFEST).read_text(encoding="utf-8"))
    (old / "recipes/weights.bin").write_bytes(b"other")
    document["files"]["recipes/weights.bin"] = {"sha256": "0" * 64, "size": 5}
    _seal_as_schema_1(old, document)
    with pytest.raises(BundleError, match=r"recipes/weights.bin: the content does not match its hash"):
        upgrade(old)


def test_what_is_no_bundle_is_refused(tmp_path: Path, old: Path) -> None:
    for text in ("[]", "{", '{"schema_version": 3}', '{"schema_version": "1"}'):
        (old / MANIFEST).write_text(text)
        with pytest.raises(BundleError, match=MANIFEST):
            upgrade(old)
    with pytest.raises(BundleError, match="no such bundle folder"):
        upgrade(tmp_path / "none")


def test_a_place_that_cannot_be_written_is_one_line_and_changes_nothing(old: Path) -> None:
    with pytest.raises(BundleError, match=r"cannot be written"):
        upgrade(old, old / "model.onnx/new.bundle")
    assert contents(old) == contents(OLD)


def test_a_conversion_that_is_killed_leaves_the_bundle_as_it_was(old: Path) -> None:
    code = (
        "import os, pathlib, signal, sys; from clipspect.recipes import upgrade\n"
        "upgrade.sync_folder = lambda folder: os.kill(os.getpid(), signal.SIGKILL)\n"  # all is written, nothing swapped
        "upgrade.upgrade(pathlib.Path(sys.argv[1]))"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(old)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert contents(old) == contents(OLD)
    assert upgrade(old)
    Bundle.open(old)


def _seal_as_schema_1(root: Path, document: dict[str, object]) -> None:
    import hashlib

    document.pop("sha256", None)
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    (root / MANIFEST).write_text(json.dumps({**document, "sha256": hashlib.sha256(canonical).hexdigest()}))


def _reference() -> bytes:
    from safetensors.numpy import load_file

    found: bytes = np.ascontiguousarray(load_file(OLD / "recipes/nut.safetensors")["reference_fine"]).tobytes()
    return found
