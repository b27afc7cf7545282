"""Recipes made on the box with exported bundles: the references' numbers from photos in a folder and words."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import clipspect
from clipspect.bundle.bundle import Bundle
from clipspect.cli import main
from clipspect.recipes.shelf import open_recipe
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.text_encoder import write_text_encoder
from support import handmade
from support.golden_clip import Arrays, golden
from support.golden_dense import golden as golden_dense

OBJECT = "metal nut"


@dataclass(frozen=True, eq=False)
class Case:
    """A copy of an exported bundle, what the reference answered, and how close the maps must come."""

    root: Path
    expected: Arrays
    key: str  # the scales in the names of WinCLIP's arrays; empty for APRIL-GAN
    tolerance: float

    def recipe(self, *arguments: object) -> int:
        return main(["recipe", str(self.root), *map(str, arguments), "--backend", "onnxruntime"])

    def photos(self, folder: Path, count: int) -> Path:
        """The golden references as files, lossless and at the model's size."""
        folder.mkdir()
        for number, pixels in enumerate(self.expected["references"][:count]):
            Image.fromarray(pixels).save(folder / f"{number}.png")
        return folder

    def suffix(self, shots: int) -> str:
        return f"{self.key}_{shots}shot" if self.key else f"{shots}shot"


@pytest.fixture(params=["winclip-23", "winclip-235", "aprilgan"])
def case(request: pytest.FixtureRequest, winclip_bundle: Callable[[tuple[int, ...]], Bundle], tmp_path: Path) -> Case:
    name, _, key = request.param.partition("-")
    bundle: Bundle = (
        request.getfixturevalue("aprilgan_bundle") if name == "aprilgan" else winclip_bundle(tuple(map(int, key)))
    )
    root = tmp_path / "copy.bundle"
    shutil.copytree(bundle.path, root)
    return Case(root, golden() if key else golden_dense(name), key, 1e-5 if key else 1e-4)


@pytest.mark.parametrize("shots", [1, 4])
def test_a_recipe_of_photos_gives_the_references_scores_and_maps(case: Case, tmp_path: Path, shots: int) -> None:
    assert case.recipe(f"{shots} good", "--references", case.photos(tmp_path / "good", shots)) == 0
    with clipspect.load(case.root, recipe=f"{shots} good", backend="onnxruntime") as inspector:
        recipe = inspector.recipe
        results = inspector.inspect_batch(case.expected["images"])
        alone = inspector.inspect(case.expected["images"][1])
    assert recipe.object == OBJECT
    assert recipe.references is not None
    assert (recipe.references["count"], recipe.tensors.keys() & {"map_limits"}) == (
        shots,
        set() if case.key else {"map_limits"},
    )
    maps = np.stack([result.anomaly_map for result in results])
    np.testing.assert_allclose(maps[:, ::4, ::4], case.expected[f"map_{case.suffix(shots)}"], atol=case.tolerance)
    if case.key:
        scores = case.expected[f"score_{case.suffix(shots)}"]
    else:  # by the paper's formula, with the recipe's own limits
        low, high = recipe.tensors["map_limits"].tolist()
        scores = 0.5 * (case.expected["score"] + (maps.max(axis=(1, 2)) - low) / (high - low))
    assert [result.score for result in results] == pytest.approx(scores, abs=1e-5 if case.key else 1e-4 / (high - low))
    assert alone.score == pytest.approx(results[1].score, abs=1e-4)


@pytest.mark.parametrize("case", ["winclip-23"], indirect=True)
def test_thinning_keeps_within_what_it_reports_and_only_raises_maps(case: Case, tmp_path: Path) -> None:
    photos = case.photos(tmp_path / "good", 4)
    assert case.recipe("all", "--references", photos) == 0
    assert case.recipe("few", "--references", photos, "--gallery-size", 100, "--like", "all") == 0
    bundle = Bundle.open(case.root)
    few, every = open_recipe(bundle, "few"), open_recipe(bundle, "all")
    assert few.references is not None
    maps = []
    for recipe in (few, every):
        with clipspect.load(case.root, recipe=recipe, backend="onnxruntime") as inspector:
            found = inspector.inspect_batch(case.expected["images"])
            maps.append(np.stack([result.anomaly_map for result in found]))
    for name, gallery in few.references["galleries"].items():
        kept, rows = few.tensors[f"reference_{name}"], every.tensors[f"reference_{name}"]
        distances = 1 - (rows @ kept.T).max(axis=1)
        assert gallery["rows"] == len(kept) == 100
        assert distances.max() <= gallery["largest_distance"] + 1e-5
    assert (maps[0] >= maps[1] - 1e-4).all(), "less to remember can only make an image more of a surprise"
    assert few.references["thinning"]["largest"] > 0


@pytest.mark.parametrize("case", ["winclip-23"], indirect=True)
def test_words_and_photos_together_give_the_references_numbers(case: Case, clip: Clip, tmp_path: Path) -> None:
    manifest = Bundle.open(case.root).manifest
    encoder = write_text_encoder(clip, case.root)  # as --with-text-encoder does
    handmade.write_manifest(case.root, dataclasses.replace(manifest, text_encoder=encoder))
    assert case.recipe("both", "--object", OBJECT, "--references", case.photos(tmp_path / "good", 1)) == 0
    for index, image in enumerate(case.expected["images"]):
        result = clipspect.load(case.root, recipe="both", backend="onnxruntime").inspect(image)
        assert result.score == pytest.approx(case.expected["score_23_1shot"][index], abs=1e-5)
        np.testing.assert_allclose(
            result.anomaly_map[::4, ::4], case.expected["map_23_1shot"][index], atol=case.tolerance
        )
    assert case.recipe("words", "--object", OBJECT) == 0
    zero_shot = clipspect.load(case.root, recipe="words", backend="onnxruntime").inspect(case.expected["images"][0])
    assert zero_shot.score == pytest.approx(case.expected["score_23"][0], abs=1e-5)


def test_an_exported_bundle_verifies_and_one_of_other_weights_does_not(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(case.root), "--backend", "onnxruntime", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    on_demand = ["on demand"] if case.key == "23" else []
    assert [comparison["graph"] for comparison in document["comparisons"]] == ["zero-shot", "few-shot", *on_demand]
    for comparison in document["comparisons"]:
        assert max(comparison["score"], comparison["anomaly_map"]) <= comparison["tolerance"] / 10
        assert comparison["rank_correlation"] > 0.9999
    shift_weights(case.root)
    assert main(["verify", str(case.root), "--backend", "onnxruntime"]) == 1
    out, err = capsys.readouterr()
    assert "does not compute what was exported" not in out
    assert err.startswith("clipspect: onnxruntime on cpu does not compute what was exported: differs in the zero-shot")
    assert err.count("\n") == 1


def shift_weights(root: Path) -> None:
    """Scale one stored tensor of both graphs, under a manifest whose hashes fit."""
    manifest = Bundle.open(root).manifest
    data = root / "model.onnx.data"
    stored = onnx.load(root / "model.onnx", load_external_data=False).graph.initializer
    largest = max((item for item in stored if item.data_type == onnx.TensorProto.FLOAT), key=size)
    place = {entry.key: entry.value for entry in largest.external_data}
    values = np.memmap(data, np.float32, "r+", offset=int(place["offset"]), shape=size(largest))
    values *= 1.05
    values.flush()
    handmade.write_manifest(root, manifest)


def size(tensor: onnx.TensorProto) -> int:
    return math.prod(tensor.dims)
