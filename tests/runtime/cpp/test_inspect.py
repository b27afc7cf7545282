"""What the C++ example answers, beside the Python runtime on the same engine."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import clipspect
from clipspect.base.errors import ImageError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import RECIPES
from clipspect.frame.decode import read
from clipspect.frame.resize import to_model_size
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from clipspect_models import DEMO_BUNDLE
from support import handmade
from support.command_line import run
from support.cpp_programs import call
from support.cpp_rows import error_row, result_row

TOLERANCE = 1e-4


def compare(built: Path, bundle: Path, recipe: str, images: list[Path], maps: Path) -> list[dict[str, Any]]:
    """Asserts that both runtimes answer the same to each image; the rows of the C++ one."""
    maps.mkdir()
    arguments = [*images, "--bundle", bundle, "--recipe", recipe, "--json", "--maps", maps]
    rows = [json.loads(line) for line in call(built / "inspect", *arguments)[0].splitlines()]
    with clipspect.load(bundle, recipe, "openvino") as inspector:
        for image, row in zip(images, rows, strict=True):
            result = inspector.inspect(image)
            anomaly_map = np.load(maps / f"{image.name}.npy")
            np.testing.assert_allclose(anomaly_map, result.anomaly_map, rtol=0, atol=TOLERANCE, err_msg=image.name)
            _compare_rows(row, result_row(result))
    return rows


def _compare_rows(row: dict[str, Any], expected: dict[str, Any]) -> None:
    expected = json.loads(json.dumps(expected))
    assert list(row) == list(expected)
    for key in ("score", "peak"):
        assert row[key] == pytest.approx(expected[key], abs=TOLERANCE), row["source"]
    assert list(row["timings_ms"]) == list(expected["timings_ms"])
    for key in row.keys() - {"score", "peak", "regions", "timings_ms"}:
        assert row[key] == expected[key], row["source"]
    assert len(row["regions"]) == len(expected["regions"]), row["source"]
    for found, wanted in zip(row["regions"], expected["regions"]):
        assert list(found) == list(wanted)
        box = "x", "y", "width", "height"
        assert [found[key] for key in box] == pytest.approx([wanted[key] for key in box], abs=1), row["source"]
        assert found["area"] == pytest.approx(wanted["area"], abs=2, rel=1e-3)
        assert found["centroid"] == pytest.approx(wanted["centroid"], abs=0.1)


def test_winclip_zero_shot_scores_photographs_of_every_kind_like_python(
    built: Path, photos: list[Path], tmp_path: Path
) -> None:
    rows = compare(built, Path(DEMO_BUNDLE), "object", photos, tmp_path / "maps")
    assert any(row["regions"] for row in rows)
    assert len({(row["width"], row["height"]) for row in rows}) > 5


def test_winclip_few_shot_scores_like_python(
    built: Path, few_shot_bundle: Path, photos: list[Path], tmp_path: Path
) -> None:
    few = compare(built, few_shot_bundle, "nut, 2 photos", photos, tmp_path / "few")
    zero = compare(built, few_shot_bundle, "nut", photos[:3], tmp_path / "zero")
    assert few[0]["score"] != zero[0]["score"]


def test_anomalyclip_scores_like_python(
    built: Path, anomalyclip_bundle: Path, photos: list[Path], tmp_path: Path
) -> None:
    compare(built, anomalyclip_bundle, "object", photos[:5], tmp_path / "maps")


def test_a_recipe_with_limits_of_the_map_goes_into_its_graph(built: Path, photos: list[Path], tmp_path: Path) -> None:
    bundle = handmade.write_full_bundle(tmp_path / "limited", map_limits=True)
    assert run("recipe", bundle, "nut", "--like", "object", "--references", photos[2], "--backend", "openvino") == 0
    compare(built, bundle, "nut", photos[:4], tmp_path / "maps")


def test_the_verdict_goes_by_the_recipes_limits(built: Path, tmp_path: Path) -> None:
    bundle = handmade.write_bundle(tmp_path / "tiny.bundle", recipes=())
    images = [tmp_path / f"{grey}.png" for grey in (50, 100, 200)]
    for image in images:
        Image.new("L", (20, 30), int(image.stem)).save(image)
    scores = [np.float32(int(image.stem)) * np.float32(1 / 255) for image in images]
    limits = Limits(review=float(scores[1]), reject=float(scores[2]))  # both limits belong to the higher verdict
    write_recipe(bundle / RECIPES / "object.safetensors", handmade.make_recipe(limits=limits))
    rows = compare(built, bundle, "object", images, tmp_path / "maps")
    assert [row["verdict"] for row in rows] == ["pass", "uncertain", "fail"]


def test_a_bad_image_is_reported_and_the_others_are_inspected(
    built: Path, tiny_bundle: Path, image_folder: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad \udcff é.png"
    bad.write_bytes(b"no image")
    good = image_folder / "part9.png"
    out, said = call(built / "inspect", bad, good, "--bundle", tiny_bundle, "--json", status=1)
    first, second = [json.loads(line) for line in out.splitlines()]
    assert first == {**error_row(bad, ImageError("")), "error": first["error"]}
    assert "not a JPEG or PNG" in first["error"]
    assert said.startswith("inspect: ")
    assert (second["source"], second["error"]) == (str(good), None)


def test_without_json_a_line_an_image_is_for_people(built: Path, tiny_bundle: Path, image_folder: Path) -> None:
    out, said = call(built / "inspect", image_folder / "part9.png", "--bundle", tiny_bundle)
    assert out.decode().split()[1:4] == ["-", "1", "regions"]
    assert said == ""
    assert call(built / "inspect", "--bundle", tiny_bundle, status=2)[1].startswith("usage: ")


def test_c_with_the_contract_page_alone_scores_like_python(built: Path, photos: list[Path], tmp_path: Path) -> None:
    bundle = Bundle.open("demo")
    raw = tmp_path / "image.rgb"
    raw.write_bytes(to_model_size(read(photos[0]), bundle.manifest.image).tobytes())
    recipe = bundle.path / RECIPES / "object.safetensors"
    size = dataclasses.astuple(bundle.manifest.image)[:2]
    score, peak = map(float, call(built / "minimal", bundle.graph_path, recipe, raw, *size)[0].split())
    with clipspect.load(bundle.path, "object", "openvino") as inspector:
        result = inspector.inspect(photos[0])
    assert (score, peak) == pytest.approx((result.score, result.model_map.max()), abs=TOLERANCE)
    assert "other size" in call(built / "minimal", bundle.graph_path, recipe, raw, 8, 8, status=1)[1]
    raw.with_name("cut").write_bytes(recipe.read_bytes()[:-1])
    assert "wrong offsets" in call(built / "minimal", bundle.graph_path, raw.with_name("cut"), raw, *size, status=1)[1]
