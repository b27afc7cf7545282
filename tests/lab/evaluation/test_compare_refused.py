"""`clipspect eval --compare`: what cannot be compared is refused, in one line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipspect.bundle.bundle import Bundle
from support import handmade, handmade_graphs
from support.command_line import error_of
from support.eval_command import Capture, evaluated, run

FEW = ("--resamples", 40)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nowhere"], "--compare nowhere: unknown; expected a bundle, an engine (onnxruntime"),
        (["{data}"], "a folder that is neither a bundle nor an evaluation's --out"),
        (["{bundle}"], "are the same bundle, engine and precision"),
        (["a", "b", "c"], "--compare takes one or two, found a b c"),
        (["{nameless}"], "class 'cable': no recipe 'cable' in {nameless}"),
        (["{small}"], "the models' sizes differ, 32 x 32 and 16 x 16"),
        (["{other}"], "different data: {other} has no class 'cable'"),
        (["{coarse}"], "resolution: {bundle} has model, {coarse} 256"),
        (["{coarse}", "{coarser}"], "resolution: {coarse} and {coarser} have 256: add --resolution 256, found model"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture, words: list[str], reason: str
) -> None:
    places = {name: tmp_path / name for name in ("nameless", "small", "other", "coarse", "coarser")}
    places |= {"bundle": tiny_bundle, "data": mvtec}
    handmade.write_bundle(places["nameless"], recipes=("bolt", "nut"))
    small_bundle(places["small"])
    coarse = ("--resolution", "256")
    for name, options in (("other", ("--classes", "metal_nut")), ("coarse", coarse), ("coarser", coarse)):
        if f"{{{name}}}" in words:
            evaluated(capsys, tiny_bundle, mvtec, "--layout", "mvtec", "--out", places[name], *options)
    chosen = [word.format(**places) for word in words]
    assert run(tiny_bundle, mvtec, "--layout", "mvtec", "--compare", *chosen, *FEW) == 1
    assert reason.format(**places) in error_of(capsys)


def small_bundle(root: Path) -> None:
    """The handmade bundle over images of 16 x 16."""
    handmade.write_bundle(root)
    manifest = Bundle.open(root).manifest
    image, graph = dataclasses.replace(manifest.image, height=16, width=16), manifest.graphs["words"]
    inputs = {**graph.inputs, "image": dataclasses.replace(graph.inputs["image"], shape=("N", 16, 16, 3))}
    outputs = {**graph.outputs, "anomaly_map": dataclasses.replace(graph.outputs["anomaly_map"], shape=("N", 16, 16))}
    (root / "model.onnx").write_bytes(handmade_graphs.brightness(16, handmade.DIM))
    graph = dataclasses.replace(graph, inputs=inputs, outputs=outputs)
    handmade.rewritten(root, image=image, graphs={"words": graph})


def test_an_image_that_only_one_side_has_is_named(
    tiny_bundle: Path, dim_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec")
    evaluated(capsys, *arguments, "--out", tmp_path / "done")
    (mvtec / "cable/test/good/001.png").unlink()
    assert run(*arguments, "--compare", tmp_path / "done", dim_bundle, *FEW) == 1
    assert "different data: class 'cable': only one of the two has cable/test/good/001.png" in error_of(capsys)


@pytest.mark.parametrize("live", [False, True], ids=["finished", "a bundle"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [("image", "cable/test/good/000.png was not the same file for both"), ("mask", "the masks were not the same")],
)
def test_evaluations_of_other_pictures_of_the_same_names_are_refused(
    tiny_bundle: Path,
    dim_bundle: Path,
    mvtec: Path,
    tmp_path: Path,
    capsys: Capture,
    change: str,
    reason: str,
    live: bool,
) -> None:
    arguments = ("--layout", "mvtec")
    evaluated(capsys, tiny_bundle, mvtec, *arguments, "--out", tmp_path / "before")
    path = (
        next((mvtec / "cable/ground_truth").rglob("*.png")) if change == "mask" else mvtec / "cable/test/good/000.png"
    )
    with Image.open(path) as image:
        other = np.zeros_like(np.asarray(image))
    other[:9, :9] = 255
    Image.fromarray(other).save(path)
    against: Path = dim_bundle
    if not live:
        against = tmp_path / "after"
        evaluated(capsys, tiny_bundle, mvtec, *arguments, "--out", against)
    assert run(tiny_bundle, mvtec, *arguments, "--compare", tmp_path / "before", against, *FEW) == 1
    error = error_of(capsys)
    assert "different data: class 'cable':" in error
    assert reason in error


def test_finished_evaluations_of_models_of_two_sizes_are_not_compared_at_the_models_size(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec")
    for name in ("one", "other"):
        evaluated(capsys, *arguments, "--out", tmp_path / name)
    path = tmp_path / "other/settings.json"
    path.write_text(path.read_text().replace("32 x 32", "16 x 16"))
    assert run(*arguments, "--compare", tmp_path / "one", tmp_path / "other", *FEW) == 1
    assert "the models' sizes differ, 32 x 32 and 16 x 16" in error_of(capsys)


def test_an_evaluation_that_was_cut_in_its_first_class_has_nothing_to_compare(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    bad = mvtec / "cable/test/good/001.png"
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    for name in ("one", "other"):
        assert run(tiny_bundle, mvtec, "--layout", "mvtec", "--out", tmp_path / name) == 1
    capsys.readouterr()
    assert run(tiny_bundle, mvtec, "--layout", "mvtec", "--compare", tmp_path / "one", tmp_path / "other", *FEW) == 1
    assert f"{tmp_path / 'one'}: no class to compare is finished" in error_of(capsys)
