"""What the presets say of the methods is what the exporter does, and the command line passes on the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from open_clip import get_pretrained_cfg

from clipspect.bundle.bundle import Bundle
from clipspect.bundle.presets import preset_names, read_preset
from clipspect.cli import main
from clipspect.recipes.shelf import open_recipe
from clipspect_export import METHODS
from clipspect_export.methods.anomalyclip import graph as anomalyclip
from clipspect_export.methods.aprilgan import graph as aprilgan
from clipspect_export.methods.crane import graph as crane
from clipspect_export.methods.method import DINO, options_of
from clipspect_export.methods.registry import read_method, read_options
from clipspect_export.methods.winclip import graph as winclip
from clipspect_export.towers.config import QUICK_GELU, read_backbone
from clipspect_export.towers.dino_config import read_dino
from clipspect_export.towers.dino_weights import TAG

FIXED = {  # by method: temperature, logit scale, layers
    "winclip": (winclip.TEMPERATURE, None, None),
    "anomalyclip": (anomalyclip.TEMPERATURE, None, None),
    "crane": (crane.TEMPERATURE, None, None),
    "memory": (None, None, None),
    "aprilgan": (None, aprilgan.LOGIT_SCALE, aprilgan.LAYERS),
}


@pytest.mark.parametrize("name", preset_names())
def test_what_a_preset_calls_fixed_is_fixed_in_the_exporter(name: str) -> None:
    preset = read_preset(name)
    method = read_method(preset.method)
    if method.tower == DINO:
        dino = read_dino(preset.backbone.name)
        expected = dino.activation, dino.image.height
        assert preset.backbone.weights == TAG
    else:
        config = read_backbone(preset.backbone.name)
        tag = get_pretrained_cfg(preset.backbone.name, preset.backbone.weights)
        own = QUICK_GELU if tag.get("quick_gelu") else config.activation
        expected = method.activation or own, method.image_size or config.image.height
    fixed = preset.fixed
    assert (fixed.activation, fixed.image_size) == expected
    assert (fixed.temperature, fixed.logit_scale, fixed.layers) == FIXED[preset.method]
    assert ("checkpoint" in options_of(method)) == (preset.checkpoint is not None)


@pytest.mark.parametrize("name", METHODS)
def test_a_methods_own_preset_asks_for_what_the_exporter_does_by_itself(name: str) -> None:
    preset, method = read_preset(name), read_method(name)
    assert preset.method == name
    trained = {"checkpoint": "epoch_15.pth"} if preset.checkpoint else {}
    assert read_options(method, {**preset.options, **trained}) == read_options(method, trained)


@pytest.mark.parametrize("name", preset_names())
def test_every_option_of_a_preset_is_one_of_its_method(name: str) -> None:
    preset = read_preset(name)
    assert preset.options.keys() <= options_of(read_method(preset.method)).keys()


def test_a_preset_alone_exports_its_options_to_a_folder_of_its_name_with_the_recipe_object(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", "winclip-235", "--backbone", str(files[0]), "--weights", str(files[1])]) == 0
    assert capsys.readouterr().out.startswith("winclip-235.bundle: ")
    bundle = Bundle.open(tmp_path / "winclip-235.bundle")
    assert open_recipe(bundle).object == "object"
    manifest = bundle.manifest
    assert (manifest.method, manifest.backbone.name) == ("winclip", "tiny")
    assert manifest.parameters["scales"] == [2, 3, 5]
    assert manifest.parameters["temperature"] == read_preset("winclip-235").fixed.temperature
