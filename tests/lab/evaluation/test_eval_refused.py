"""`clipspect eval`: what cannot be done is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from clipspect_lab.evaluation.datasets import LAYOUTS
from clipspect_lab.evaluation.truth import RESOLUTIONS
from support import handmade
from support.command_line import error_of
from support.eval_command import Capture, evaluated, run


def test_a_mask_that_is_missing_is_refused_before_anything_is_inspected(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    mask = mvtec / "metal_nut/ground_truth/dent/001_mask.png"
    mask.unlink()
    assert run(tiny_bundle, mvtec, "--layout", "mvtec", "--out", tmp_path / "out") == 1
    assert f"{mask}: no such file" in error_of(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--layout", "visa"], "it looks like --layout mvtec"),
        (["--layout", "mvtec", "--classes", "gear"], "no class 'gear'; there are: cable, metal_nut"),
        (["--layout", "mvtec", "--recipe", "gear"], "no recipe 'gear'"),
        (["--layout", "mvtec", "--shots", "4"], "4 references asked for, there are 3 good images"),
        (["--layout", "mvtec", "--shots", "1"], "export it with --few-shot"),
        (["--layout", "mvtec", "--names", "none.json"], "none.json: cannot be read as JSON"),
        (["--layout", "mvtec", "--backend", "tpu"], "no backend 'tpu'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    tiny_bundle: Path, mvtec: Path, capsys: Capture, options: list[str], reason: str
) -> None:
    assert run(tiny_bundle, mvtec, *options) == 1
    assert reason in error_of(capsys)


def test_several_recipes_and_no_words_ask_for_a_choice(tmp_path: Path, mvtec: Path, capsys: Capture) -> None:
    bundle = handmade.write_bundle(tmp_path / "b", recipes=("nut", "bolt"))
    assert run(bundle, mvtec, "--layout", "mvtec") == 1
    assert "class 'cable': no recipe 'cable'" in error_of(capsys)
    assert evaluated(capsys, bundle, mvtec, "--layout", "mvtec", "--recipe", "nut")["classes"][0]["recipe"] == "nut"


@pytest.mark.parametrize("names", ["[]", '{"cable": 3}', '{"cable": ""}', "{"])
def test_names_that_are_no_names_are_refused(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture, names: str
) -> None:
    (tmp_path / "names.json").write_text(names)
    assert run(tiny_bundle, mvtec, "--layout", "mvtec", "--names", tmp_path / "names.json") == 1
    assert 'expected a JSON object of names, such as {"pcb1"' in error_of(capsys)


@pytest.mark.parametrize("options", [[], ["--classes", "cable"]])
def test_a_name_for_a_class_that_is_not_there_is_refused_and_one_for_a_class_that_is_not_chosen_is_not(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture, options: list[str]
) -> None:
    names = tmp_path / "names.json"
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--names", names, *options)
    names.write_text('{"metal_nut": "bolt", "metalnut": "bolt"}')
    assert run(*arguments) == 1
    assert "no class 'metalnut'; there are: cable, metal_nut: correct --names" in error_of(capsys)
    names.write_text('{"metal_nut": "bolt"}')
    evaluated(capsys, *arguments)


@pytest.mark.parametrize(
    ("turned", "refused"),
    [({}, False), ({1: (20, 50)}, True), ({1: (40, 30)}, True), ({1: (30, 40)}, False), ({0: (20, 50)}, True)],
)
def test_references_of_another_upright_size_are_refused_before_anything_is_inspected(
    full_bundle: Path,
    mvtec: Path,
    tmp_path: Path,
    capsys: Capture,
    turned: dict[int, tuple[int, int]],
    refused: bool,
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    for number, size in turned.items():
        path = mvtec / f"metal_nut/train/good/00{number}.png"
        Image.new("RGB", size, "grey").save(path, exif=exif)
    arguments = (full_bundle, mvtec, "--layout", "mvtec", "--shots", "3", "--out", tmp_path / "out")
    assert run(*arguments) == refused
    if refused:
        text = error_of(capsys)
        assert f"{mvtec}/metal_nut/train/good/00" in text
        assert "this reference of class 'metal_nut' is " in text
        assert "few-shot references must be of one size, make the good images so" in text
        assert not (tmp_path / "out").exists()


def test_a_reference_that_is_no_image_is_refused_before_anything_is_inspected(
    full_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture
) -> None:
    photo = mvtec / "metal_nut/train/good/001.png"
    photo.write_text("not an image")
    assert run(full_bundle, mvtec, "--layout", "mvtec", "--shots", "3", "--out", tmp_path / "out") == 1
    assert f"{photo}: not a readable image" in error_of(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [[], ["b", "d"], ["b", "d", "--layout", "mvtec", "--shots", "0"], ["b", "d", "--layout", "coco"]]
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith("; see: clipspect eval --help\n")


def test_the_help_offers_every_layout_and_resolution(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    out = capsys.readouterr().out
    assert f"--layout {{{','.join(LAYOUTS)}}}" in out
    assert f"--resolution {{{','.join(RESOLUTIONS)}}}" in out
