"""`clipspect info`: what it tells of recipes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from clipspect.bundle.bundle import Bundle
from clipspect.recipes.on_demand import Cascade, OnDemand, Reuse
from clipspect.recipes.recipe import write_recipe
from clipspect.recipes.shelf import open_recipe
from support.command_line import run

Capture = pytest.CaptureFixture[str]


def test_info_tells_a_program_of_a_cascade_and_of_reuse(tiny_bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    recipe = open_recipe(Bundle.open(tiny_bundle), "object")
    saving = dataclasses.replace(recipe, name="saving", windows=OnDemand(Cascade(0.25), Reuse(tolerance=3)))
    write_recipe(tmp_path / "saving.safetensors", saving)
    assert run("info", tiny_bundle, "--recipe", tmp_path / "saving.safetensors", "--json") == 0
    windows = json.loads(capsys.readouterr().out)["recipes"][-1]["windows"]
    assert (windows["cascade"]["limit"], windows["cascade"]["stride"]) == (0.25, 2)
    assert windows["reuse"] == {"tolerance": 3, "refresh": 100}
