"""What the C++ example answers, beside the Python runtime on the same engine."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipspect
from clipspect.base.version import __version__
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import RECIPES
from clipspect.frame.decode import read
from clipspect.frame.resize import to_model_size
from clipspect.inspection.record import record_of
from clipspect.recipes.limits import Limits, Promise
from clipspect.recipes.recipe import write_recipe
from clipspect.sources.registry import files
from clipspect_models import DEMO_BUNDLE
from support import handmade
from support.calibrated import calibrate_object
from support.command_line import run
from support.cpp_answers import TOLERANCE, compare, compare_records
from support.cpp_programs import ROOT, call


def test_winclip_zero_shot_scores_photographs_of_every_kind_like_python(
    built: Path, photos: list[Path], tmp_path: Path
) -> None:
    records = compare(built, Path(DEMO_BUNDLE), "object", photos, tmp_path / "maps")
    assert any(record["regions"] for record in records)
    assert len({(record["item"]["width"], record["item"]["height"]) for record in records}) > 5
    assert len({record["id"] for record in records}) == len(records)


def test_winclip_by_words_and_photographs_or_either_alone_scores_wide_images_like_python(
    built: Path, few_shot_bundle: Path, photos: list[Path], tmp_path: Path
) -> None:
    few = compare(built, few_shot_bundle, "nut, 2 photos", photos, tmp_path / "few")
    zero = compare(built, few_shot_bundle, "nut", photos[:3], tmp_path / "zero")
    alone = compare(built, few_shot_bundle, "nut by photos", photos[:3], tmp_path / "alone")
    assert len({few[0]["score"], zero[0]["score"], alone[0]["score"]}) == 3


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
        Image.fromarray(handmade.grey(int(image.stem))).save(image)
    scores = [np.float32(int(image.stem)) * np.float32(1 / 255) for image in images]
    limits = Limits(review=float(scores[1]), reject=float(scores[2]))  # both limits belong to the higher verdict
    write_recipe(bundle / RECIPES / "object.safetensors", handmade.make_recipe(limits=limits))
    records = compare(built, bundle, "object", images, tmp_path / "maps")
    assert [record["verdict"] for record in records] == ["pass", "uncertain", "fail"]
    assert [record["map_limit"] for record in records] == [0.5] * 3


def test_calibrated_limits_judge_by_the_guard_and_the_map_by_its_own_limit(
    built: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    promise = Promise(0.05, 0.95, 312, 9, 0.05)
    image = tmp_path / "spotted.png"
    Image.fromarray(handmade.spotted(32, 32, 100)).save(image)  # in the model's size
    peak = float(np.float32(100) * np.float32(1 / 255))
    for map_limit, regions in ((peak - 1e-3, 1), (peak + 1e-3, 0)):
        calibrate_object(tiny_bundle, Limits(peak - 1e-6, peak + 1e-6, map_limit, promise, promise, promise))
        (record,) = compare(built, tiny_bundle, "object", [image], tmp_path / f"maps{regions}")
        assert len(record["regions"]) == regions
        assert record["verdict"] == "uncertain"
        assert record["map_limit"] == record["limits"]["map"] > map_limit
        assert record["limits"]["review_promise"] is None
    recipe = tiny_bundle / RECIPES / "object.safetensors"
    moved = recipe.rename(tmp_path / recipe.name)
    out, said = call(built / "inspect", image, "--bundle", tiny_bundle, "--recipe", moved, "--json")
    assert json.loads(out)["limits"] == record["limits"]
    assert said == "inspect: limits of onnxruntime on cpu in fp32, widened by 0.0002: calibrate again for exact ones\n"
    recipe.parent.rmdir()
    calibrate_object(tiny_bundle, Limits(0.4, 0.6), bundle="0" * 64)
    out, said = call(built / "inspect", image, "--bundle", tiny_bundle, "--json", status=1)
    assert "calibrated with another bundle" in said
    assert (out, said.count("\n")) == (b"", 1)


def test_a_file_whose_name_is_no_text_has_the_record_that_python_writes(
    built: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "T\u2028eile \udcff\udced\udca0\udc80"
    folder.mkdir()
    bad, good = folder / "bad \udcff é.png", folder / 'good \x7f"\\\U0001f529\udcc3.png'
    bad.write_bytes(b"no image")
    Image.fromarray(handmade.spotted()).save(tmp_path / "good.png")
    (tmp_path / "good.png").rename(good)
    monkeypatch.chdir(folder)
    names = [f".//{bad.name}", good.name, str(good)]
    out, said = call(built / "inspect", *names, "--bundle", tiny_bundle, "--json", status=1)
    assert out.isascii()
    with clipspect.load(tiny_bundle, backend="openvino") as inspector:
        outcomes = list(inspector.stream(files(*names)))
        for line, outcome in zip(out.splitlines(), outcomes, strict=True):
            compare_records(json.loads(line), json.loads(record_of(outcome, inspector).to_json()))
    assert "not a JPEG or PNG" in json.loads(out.splitlines()[0])["error"]
    assert said.startswith("inspect: ")
    assert said.count("\n") == 1


def test_the_header_has_the_packages_version() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    header = (ROOT / "runtime/cpp/include/clipspect/version.hpp").read_text(encoding="utf-8")
    assert f'version = "{__version__}"' in header or __version__ == "0+source"
    assert header.split('version = "')[1].split('"')[0] == text.split('version = "')[1].split('"')[0]


def test_two_recipes_and_two_threads_over_one_graph_answer_as_one_after_the_other(
    built: Path, tmp_path: Path, image_folder: Path
) -> None:
    bundle = handmade.write_bundle(tmp_path / "two.bundle", recipes=("bright",))
    dark = handmade.make_recipe("dark", tensors={"text_features": np.full((2, 1, 4), 0.5, np.float32)})
    write_recipe(bundle / RECIPES / "dark.safetensors", dark)
    arguments = bundle, "bright", "dark", image_folder / "part9.png", 200
    assert call(built / "sharing", *arguments)[0].split() == [b"1", b"0.5"]


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
