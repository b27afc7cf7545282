"""Memories of good parts through bundle and runtime, against what the official codes answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from safetensors.numpy import load_file
from torch.nn import functional

import clipspect
from clipspect.base.errors import ClipspectError, ExportError, RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.cli import main
from clipspect.engines import open_backend
from clipspect.inspection.verify import verify
from clipspect.recipes.recipe import Recipe, write_recipe
from clipspect_export import export_bundle
from clipspect_export.methods.registry import plan, read_method, read_options
from clipspect_export.methods.source import load_source, read_config
from clipspect_export.methods.write import write_graphs
from clipspect_export.towers.dino_config import read_dino
from clipspect_export.towers.dino_weights import load_dino
from seeded.dino import TINY, dino_weights, to_timm
from seeded.weights import write_weights
from support.golden_clip import GOLDEN
from support.rtx import require_built
from support.shared import made_once
from support.two_parts import require_two_parts

SUBSPACE: dict[str, Any] = {"scorer": "subspace", "blocks": (8, 9)}
SEEDS = {"anomalydino": (17, 0), "subspacead": (19, 4)}  # and registers
Exported = Callable[[str], Bundle]


def write_backbone(path: Path, registers: int) -> Path:
    """A JSON configuration in timm's form."""
    sizes = {"embed_dim": TINY["width"], "depth": TINY["layers"], "num_heads": 2, "reg_tokens": registers}
    path.write_text(json.dumps({"architecture": "vit_small_patch14_dinov2", "model_args": sizes}), encoding="utf-8")
    return path


def source(folder: Path, name: str) -> dict[str, Any]:
    """The tiny backbone of a golden file, and its weights."""
    seed, registers = SEEDS[name]
    weights = write_weights(folder / f"{name}.safetensors", dino_weights(seed, registers=registers, **TINY))
    return {"backbone": write_backbone(folder / f"{name}.json", registers), "weights": weights}


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The tiny DINOv2 of a golden file as a bundle."""

    @cache
    def bundle(name: str) -> Bundle:
        options = {} if name == "anomalydino" else SUBSPACE
        given = source(tmp_path_factory.mktemp("dino"), name)
        made = made_once(
            tmp_path_factory, f"{name}.bundle", lambda out: export_bundle("memory", out, **given, **options)
        )
        return Bundle.open(made)

    return bundle


def golden(name: str) -> dict[str, npt.NDArray[Any]]:
    return dict(np.load(GOLDEN / f"{name}_tiny.npz"))


def answers(bundle: Bundle, recipe: Recipe, images: npt.NDArray[np.uint8]) -> tuple[Any, Any]:
    """Scores, and every fourth row and column of the maps."""
    with clipspect.load(bundle.path, recipe, backend="onnxruntime") as inspector:
        results = inspector.inspect_batch(list(images))
    return np.array([found.score for found in results]), np.stack([found.model_map[::4, ::4] for found in results])


def remember(bundle: Bundle, references: npt.NDArray[np.uint8], **options: Any) -> Recipe:
    return clipspect.make_recipe(bundle, "nut", references=list(references), backend="onnxruntime", **options)


@pytest.mark.parametrize(
    ("setting", "shots", "rotations"), [("1shot", 1, False), ("4shot", 4, False), ("1shot_rot", 1, True)]
)
def test_anomalydino_answers_as_its_official_code(
    exported: Exported, setting: str, shots: int, rotations: bool
) -> None:
    bundle, expected = exported("anomalydino"), golden("anomalydino")
    recipe = remember(bundle, expected["references"][:shots], rotations=rotations)
    assert recipe.judge == "photos"
    scores, maps = answers(bundle, recipe, expected["images"])
    np.testing.assert_allclose(scores, expected[f"score_{setting}"], atol=1e-5)
    np.testing.assert_allclose(maps, expected[f"map_{setting}"], atol=1e-4)


def test_a_wide_image_keeps_its_shape_and_answers_as_the_official_code(exported: Exported, tmp_path: Path) -> None:
    """Its references are square, as in the golden file: their rows are those of the square bundle."""
    square, expected, method = exported("anomalydino"), golden("anomalydino"), read_method("memory")
    given, options = source(tmp_path, "anomalydino"), read_options(method, {"image_size": "448x588"})
    config = read_config(method, given["backbone"], options)
    tower = load_source(method, config=config, **given).tower
    write_graphs(plan(method, config, options)(tower).forms, config, tmp_path)
    reference = remember(square, expected["references"][:1]).tensors
    with open_backend("onnxruntime", tmp_path / "memory.onnx") as engine:
        found = engine.run({"image": expected["image_wide"][None], **reference})
    np.testing.assert_allclose(found["score"][0], expected["score_1shot_wide"], atol=1e-5)
    np.testing.assert_allclose(found["anomaly_map"][0, ::4, ::4], expected["map_1shot_wide"], atol=1e-4)


@pytest.mark.parametrize(("setting", "shots"), [("1shot", 1), ("4shot", 4)])
def test_subspacead_answers_as_its_official_code(exported: Exported, setting: str, shots: int) -> None:
    """Residuals are squared and of any size: differences are told in parts of the map's mean."""
    bundle, expected = exported("subspacead"), golden("subspacead")
    recipe = remember(bundle, expected["references"][:shots])
    assert recipe.references is not None
    assert recipe.references["subspace"]["rank"] == expected[f"rank_{setting}"]
    scores, maps = answers(bundle, recipe, expected["images"])
    size = expected[f"map_{setting}"].mean()
    np.testing.assert_allclose(scores / size, expected[f"score_{setting}"] / size, atol=1e-5)
    np.testing.assert_allclose(maps / size, expected[f"map_{setting}"] / size, atol=1e-4)


def test_the_bundle_says_that_it_reads_no_words(exported: Exported) -> None:
    manifest = exported("anomalydino").manifest
    assert (manifest.method, list(manifest.graphs), manifest.text) == ("memory", ["photos"], None)
    assert manifest.first_graph.parity.tolerance == 1e-5
    assert next(iter(manifest.first_graph.inputs)) == "image"


@pytest.mark.parametrize("name", ["anomalydino", "subspacead"])
def test_the_parts_for_a_server_answer_as_the_whole(exported: Exported, name: str, tmp_path: Path) -> None:
    bundle = exported(name)
    require_two_parts(bundle, bundle.manifest.graphs["photos"], tmp_path, tolerance=1e-5)


@pytest.mark.parametrize("name", ["anomalydino", "subspacead"])
def test_a_box_can_verify_a_memory(exported: Exported, name: str) -> None:
    found = verify(exported(name), "onnxruntime")
    assert [comparison.graph for comparison in found.comparisons] == ["memory"]
    assert found.passed


def test_the_check_is_given_what_a_box_makes_of_its_images(exported: Exported, tmp_path: Path) -> None:
    """Of a joined memory the spread of its reference, of a subspace the components of its images."""
    given = source(tmp_path, "anomalydino")
    export_bundle("memory", tmp_path / "joined.bundle", **given, blocks=(11, 12), image_size="112x112")
    check = load_file(tmp_path / "joined.bundle" / "check.safetensors")
    made = remember(Bundle.open(tmp_path / "joined.bundle"), check["memory_references"])
    np.testing.assert_allclose(check["spread"], made.tensors["spread"], atol=1e-6)
    subspace = exported("subspacead")
    check = load_file(subspace.path / "check.safetensors")
    found, made = check["components"], remember(subspace, check["images"]).tensors["components"]
    assert 0 < found.any(axis=1).sum() == made.any(axis=1).sum()
    np.testing.assert_allclose(found.T @ found, made.T @ made, atol=1e-2)
    parity = subspace.manifest.first_graph.parity
    assert parity.scale == pytest.approx(check["memory_anomaly_map"].mean())
    assert parity.tolerance == pytest.approx(1e-5 * parity.scale)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"architecture": ["vit"]}, r"architecture is \['vit'\], expected vit_small"),
        ({"architecture": "vit_small_patch14_dinov2", "model_args": [1]}, r"model_args is \[1\], expected an object"),
        ({"architecture": "vit_small_patch14_dinov2", "depth": 3}, "depth is not known; known are architecture"),
        ({"architecture": "vit_small_patch14_dinov2", "model_args": {"mlp": 3}}, "model_args mlp is not known"),
        (
            {"architecture": "vit_small_patch14_dinov2", "model_args": {"reg_tokens": 4, "no_embed_class": False}},
            "no_embed_class: DINOv2 has it true with registers",
        ),
    ],
)
def test_a_configuration_that_is_no_dinov2_is_refused(tmp_path: Path, document: dict[str, Any], message: str) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ExportError, match=message):
        read_dino(path)


@pytest.mark.parametrize("name", ["anomalydino", "subspacead"])
def test_nvidias_builder_makes_an_engine_of_a_memory(exported: Exported, name: str) -> None:
    bundle = exported(name)
    graph = bundle.manifest.graphs["photos"]
    require_built(bundle.path / graph.file, graph)
    first = next(iter(onnx.load(bundle.path / graph.file, load_external_data=False).graph.node))
    assert (first.op_type, first.input[0]) == ("Cast", "image")


def test_both_names_of_the_weights_give_the_same_tensors(tmp_path: Path) -> None:
    for registers in (0, 4):
        own = dino_weights(3, registers=registers, **TINY)
        config = read_dino(write_backbone(tmp_path / "tiny.json", registers))
        written = [
            write_weights(tmp_path / "official.safetensors", own),
            write_weights(tmp_path / "timm.safetensors", to_timm(own)),
        ]
        official, timm = (load_dino(path, config).tensors for path in written)
        assert official.keys() == timm.keys()
        assert all(torch.equal(official[name], timm[name]) for name in official)
        np.savez(tmp_path / "own.npz", **own)
        archive = load_dino(tmp_path / "own.npz", config).tensors
        assert all(torch.equal(official[name], archive[name]) for name in official)


def test_positions_without_registers_are_resampled_as_the_official_code_does(tmp_path: Path) -> None:
    own = dino_weights(3, **TINY)
    config = read_dino(write_backbone(tmp_path / "tiny.json", 0))
    found = load_dino(write_weights(tmp_path / "w.safetensors", own), config).tensors["positions"]
    table = torch.from_numpy(own["pos_embed"][:, 1:]).reshape(1, 37, 37, -1).permute(0, 3, 1, 2)
    expected = functional.interpolate(table, scale_factor=(32.1 / 37, 32.1 / 37), mode="bicubic")
    assert torch.equal(found, expected.flatten(2)[0].T)


@pytest.mark.parametrize(
    ("changes", "size", "message"),
    [
        ({"width": 192}, "448x448", r"has a width of 192, expected 128 for tiny"),
        ({"layers": 6}, "448x448", r"has a depth in blocks of 6, expected 12"),
        ({"registers": 4}, "448x448", r"has a number of registers of 4, expected 0"),
        ({}, "450x448", r"450 x 448 pixels does not divide into patches of 14: take --image-size 448x448"),
        ({}, "wide", r"image size 'wide': expected HEIGHTxWIDTH"),
    ],
)
def test_weights_and_sizes_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, int], size: str, message: str
) -> None:
    weights = write_weights(tmp_path / "w.safetensors", dino_weights(1, **{**TINY, **changes}))
    with pytest.raises(ExportError, match=message) as refused:
        export_bundle(
            "memory",
            tmp_path / "b",
            backbone=write_backbone(tmp_path / "tiny.json", 0),
            weights=weights,
            image_size=size,
        )
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "b").exists()


def test_words_are_refused_where_none_are_read(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, photo = exported("anomalydino"), np.zeros((448, 448, 3), np.uint8)
    refused: list[tuple[type[ClipspectError], Callable[[], object], str]] = [
        (RecipeError, lambda: clipspect.make_recipe(bundle, "nut", object="nut", references=[photo]), "reads no words"),
        (RecipeError, lambda: clipspect.make_recipe(bundle, "nut"), "takes photos of good parts: add --references"),
        (RecipeError, lambda: clipspect.make_recipe(bundle, "nut", judge="both", references=[photo]), "reads no words"),
    ]
    for kind, attempt, message in refused:
        with pytest.raises(kind, match=message):
            attempt()
    assert main(["export", "memory", "--object", "nut", "--out", str(tmp_path / "b")]) == 1
    assert "memory reads no words, it goes by photos of good parts: leave --object out" in capsys.readouterr().err


def test_a_recipe_of_the_other_scorer_is_refused(exported: Exported) -> None:
    references = golden("anomalydino")["references"][:1]
    recipe, other = remember(exported("anomalydino"), references), exported("subspacead")
    same_weights = replace(recipe, encoder_sha256=other.manifest.backbone.weights.encoder_sha256)
    with pytest.raises(RecipeError, match=r"was made for a bundle with blocks \[12\], this one has \[8, 9\]"):
        clipspect.load(other.path, same_weights)


def test_info_and_recipe_say_what_a_memory_is(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = exported("subspacead")
    recipe = remember(bundle, golden("subspacead")["references"][:1])
    write_recipe(tmp_path / "nut.safetensors", recipe)
    assert main(["info", str(bundle.path)]) == 0
    assert "scorer subspace" in capsys.readouterr().out
