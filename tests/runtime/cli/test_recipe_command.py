"""`clipspect recipe`: what it prints, what it refuses, and that it writes whole recipes or none."""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipspect
import clipspect_models
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import RECIPES
from clipspect.cli import main
from clipspect.frame.tiling import Tiling
from clipspect.recipes.limits import Limits
from clipspect.recipes.on_demand import OnDemand, Reuse
from clipspect.recipes.recipe import write_recipe
from clipspect.recipes.shelf import open_recipe, recipe_names
from support import handmade
from support.command_line import error_of, run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def photo_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: good/ with three photos, one of them in a subfolder, other/ with one of another size."""
    for number, name in enumerate(("good/9.png", "good/10.png", "good/more/11.jpg", "other/wide.png", "empty/.keep")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.startswith("good"):
            Image.fromarray(handmade.spotted(64, 48, 100 + 50 * number)).save(path)
        elif name.startswith("other"):
            Image.fromarray(handmade.spotted(90, 48)).save(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recipes(bundle: Path) -> list[str]:
    return sorted(path.name for path in (bundle / RECIPES).iterdir())


@pytest.mark.usefixtures("photo_folder")
def test_words_and_references_become_a_recipe_that_inspects(full_bundle: Path, capsys: Capture) -> None:
    words = ["--object", "nut", "--prompt-fusion", "max"]
    assert run("recipe", full_bundle, "line 3", *words, "--references", "good", "--gallery-size", 12) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    rows = ["recipe", "judged", "words", "references", "gallery", "gallery", "thinning"]
    assert [line.split()[0] for line in lines] == rows
    assert lines[0].endswith("line 3.safetensors")
    assert lines[1].endswith("both")
    assert "object 'nut', 147 normal and 84 anomalous prompts, max" in lines[2]
    assert lines[3].endswith("3 of 64 x 48 pixels")
    assert "12 of 48 rows, 144 bytes of 576 bytes; cosine distance of a dropped row to the nearest kept one " in out
    assert "12 rows, 144 bytes" in out
    recipe = open_recipe(Bundle.open(full_bundle), "line 3")
    assert recipe.references is not None
    assert [file["name"] for file in recipe.references["files"]] == ["9.png", "10.png", "11.jpg"]
    assert clipspect.load(full_bundle, recipe="line 3").inspect("good/9.png").score < 5


@pytest.mark.usefixtures("photo_folder")
def test_references_alone_say_whose_words_they_take(full_bundle: Path, capsys: Capture) -> None:
    assert run("recipe", full_bundle, "nut", "--references", "good/*.png", "good") == 0
    out = capsys.readouterr().out
    assert "object 'object', 1 prompt(s) a state, those of recipe 'object'" in out
    assert "3 of 64 x 48" in out, "a photo that was named twice counts once"
    assert "thinning" not in out


@pytest.mark.usefixtures("photo_folder")
def test_map_limits_are_reported(tmp_path: Path, capsys: Capture) -> None:
    bundle = handmade.write_full_bundle(tmp_path / "limited", map_limits=True)
    assert run("recipe", bundle, "nut", "--references", "good") == 0
    low, high = open_recipe(Bundle.open(bundle), "nut").tensors["map_limits"]
    out = capsys.readouterr().out
    assert f"{low:.4g} to {high:.4g}" in out
    assert "mirror images" not in out
    assert run("recipe", bundle, "one", "--references", "good/9.png", "--like", "nut") == 0
    assert "one photo and its mirror images: more photos say more" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.usefixtures("photo_folder")
def test_a_terminal_shows_how_far_the_work_is(full_bundle: Path) -> None:
    import fcntl
    import pty
    import termios

    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "clipspect", "recipe", str(full_bundle), "nut", "--object", "nut", "--references"]
    done = subprocess.run([*command, "good"], stdout=subprocess.PIPE, stderr=terminal, check=True, timeout=120)
    os.set_blocking(screen, False)
    shown = os.read(screen, 1 << 16)
    os.close(terminal)
    os.close(screen)
    for step in (b"prompts", b"references", b"galleries"):
        assert step in shown
    assert done.stdout.startswith(b"recipe")


def test_a_name_alone_is_words(full_bundle: Path, capsys: Capture) -> None:
    assert run("recipe", full_bundle, "metal nut") == 0
    assert "object 'metal nut', 147 normal and 84 anomalous prompts, mean" in capsys.readouterr().out
    prompts = ["--normal", "a flawless nut", "--anomalous", "a damaged nut", "a nut with flaw"]
    assert run("recipe", full_bundle, "nut", *prompts, "--threads", 1, "--backend", "onnxruntime") == 0
    assert "1 normal and 2 anomalous prompts, mean" in capsys.readouterr().out
    assert recipe_names(Bundle.open(full_bundle)) == ["metal nut", "nut", "object"]


def test_a_recipe_that_is_there_is_kept_without_force(full_bundle: Path, capsys: Capture) -> None:
    limited = handmade.make_recipe("nut", limits=Limits(0.3, 0.6))
    write_recipe(full_bundle / RECIPES / "nut.safetensors", limited)
    assert run("recipe", full_bundle, "nut") == 1
    assert "nut.safetensors exists: choose another name, or replace it with --force" in error_of(capsys)
    assert open_recipe(Bundle.open(full_bundle), "nut").limits == limited.limits
    assert run("recipe", full_bundle, "nut", "--force") == 0
    assert "replaced; limits that it had are gone" in capsys.readouterr().out
    assert open_recipe(Bundle.open(full_bundle), "nut").limits is None


def test_force_replaces_a_damaged_recipe(full_bundle: Path) -> None:
    (full_bundle / RECIPES / "nut.safetensors").write_bytes(b"damaged")
    assert run("recipe", full_bundle, "nut", "--force") == 0
    assert open_recipe(Bundle.open(full_bundle), "nut").object == "nut"


def test_a_recipe_that_is_made_again_keeps_its_tiles_unless_told(full_bundle: Path, capsys: Capture) -> None:
    def again(*given: object) -> Tiling | None:
        assert run("recipe", full_bundle, "nut", "--force", *given) == 0
        return open_recipe(Bundle.open(full_bundle), "nut").tiling

    assert again("--tile-grid", "3x2") == Tiling(grid=(3, 2))
    assert again() == Tiling(grid=(3, 2))
    assert "seen in" in capsys.readouterr().out
    assert again("--tile-overlap", "10%") == Tiling(grid=(3, 2), overlap=10)
    assert again("--tile", "96x64") == Tiling((96, 64))
    assert again("--no-tiles") is None
    capsys.readouterr()
    for given, words in ((["--tile-overlap", "10%"], "without tiles"), (["--no-tiles", "--tile", "9"], "--no-tiles")):
        assert run("recipe", full_bundle, "nut", "--force", *given) == 1
        assert words in error_of(capsys)


def test_a_recipe_that_is_made_again_says_that_all_windows_are_encoded(full_bundle: Path, capsys: Capture) -> None:
    path = full_bundle / RECIPES / "nut.safetensors"
    write_recipe(path, handmade.make_recipe("nut", windows=OnDemand(None, Reuse(2))))
    for words in ("all of every frame are encoded, unlike before: clipspect reuse", ""):
        assert run("recipe", full_bundle, "nut", "--force") == 0
        out = capsys.readouterr().out
        assert words in out
        assert ("windows" in out) == bool(words)


@pytest.mark.usefixtures("photo_folder")
def test_force_with_references_keeps_the_words_and_nothing_else(full_bundle: Path) -> None:
    assert run("recipe", full_bundle, "nut") == 0
    old = open_recipe(Bundle.open(full_bundle), "nut")
    assert run("recipe", full_bundle, "nut", "--references", "good", "--force") == 0
    new = open_recipe(Bundle.open(full_bundle), "nut")
    assert new.has_references
    assert (new.object, new.prompts) == (old.object, old.prompts)
    np.testing.assert_array_equal(new.text_features, old.text_features)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nut", "--references", "empty"], "empty: no images here"),
        (["nut", "--references", "none"], "none: no such file or folder"),
        (
            ["nut", "--references", "good", "other"],
            "references of another aspect: wide.png is 90 x 48, 9.png is 64 x 48",
        ),
        (["nut", "--references", "good", "spoiled.png"], "spoiled.png: not an image"),
        (["nut", "--gallery-size", "5"], "a gallery size without references"),
        (["nut", "--normal", "a nut"], "but none for --anomalous"),
        (["nut", "--ensemble", "mine.toml"], "mine.toml: no such ensemble"),
        (["nut", "--like", "bolt"], "no recipe 'bolt'"),
        (["nut", "--like", "object", "--object", "nut"], "leave one of the two out"),
        (["../nut"], "cannot be a recipe's name"),
        (["nut", "--backend", "tpu"], "no backend 'tpu'"),
        (["nut", "--references", "good", "--like", "object", "--backend", "tpu"], "no backend 'tpu'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line_and_leaves_nothing(
    full_bundle: Path, photo_folder: Path, capsys: Capture, arguments: list[str], reason: str
) -> None:
    (photo_folder / "spoiled.png").write_text("no image")
    assert run("recipe", full_bundle, *arguments) == 1
    assert reason in error_of(capsys)
    assert recipes(full_bundle) == ["object.safetensors"]


@pytest.mark.usefixtures("photo_folder")
def test_a_bundle_without_the_parts_says_how_to_get_them(tiny_bundle: Path, capsys: Capture) -> None:
    words = handmade.TextSpec(handmade.DIM, ensemble="winclip")
    handmade.write_manifest(tiny_bundle, dataclasses.replace(handmade.make_manifest(), text=words))
    assert run("recipe", tiny_bundle, "nut") == 1
    error = error_of(capsys)
    assert "--with-text-encoder" in error
    assert '--object "NAME"' in error
    assert run("recipe", tiny_bundle, "nut", "--references", "good") == 1
    assert "export it with --few-shot" in error_of(capsys)


def test_the_demo_bundle_takes_no_recipes(full_bundle: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clipspect_models, "DEMO_BUNDLE", full_bundle)
    assert run("recipe", "demo", "nut") == 1
    assert f"copy the folder {full_bundle} and make the recipe in the copy" in error_of(capsys)
    assert recipes(full_bundle) == ["object.safetensors"]


def test_a_recipe_is_written_outside_the_bundle_under_the_files_name(full_bundle: Path, tmp_path: Path) -> None:
    before = recipes(full_bundle)
    assert run("recipe", full_bundle, "nut", "--out", tmp_path / "mine/bolt.safetensors") == 0
    assert recipes(full_bundle) == before
    made = open_recipe(Bundle.open(full_bundle), tmp_path / "mine/bolt.safetensors")
    assert (made.name, made.object) == ("bolt", "bolt")


@pytest.mark.parametrize(
    "arguments",
    [
        ["recipe", "b"],
        ["recipe", "b", "nut", "--references"],
        ["recipe", "b", "nut", "--gallery-size", "0"],
        ["recipe", "b", "nut", "--prompt-fusion", "median"],
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith("; see: clipspect recipe --help\n")


@pytest.mark.usefixtures("photo_folder")
def test_info_shows_the_few_shot_graph_the_text_encoder_and_a_recipes_references(
    full_bundle: Path, capsys: Capture
) -> None:
    assert run("recipe", full_bundle, "nut", "--object", "nut", "--references", "good", "--gallery-size", 12) == 0
    capsys.readouterr()
    assert run("info", full_bundle) == 0
    out = capsys.readouterr().out
    for words in (
        "fewshot.onnx, opset 18",
        "text.onnx with tokenizer.json, up to 16 tokens",
        "check.safetensors",
        "147 normal and 84 anomalous prompts, mean, 3 references (24 rows in 2 galleries), no limits",
    ):
        assert words in out
    assert run("info", full_bundle, "--json") == 0
    nut = json.loads(capsys.readouterr().out)["recipes"][0]
    assert nut["references"]["count"] == 3
    assert nut["tensors"]["reference_fine"] == [12, 3]
