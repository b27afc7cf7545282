from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from clipspect.base.installation import pip_install
from clipspect.bundle.bundle import Bundle
from clipspect.cli import main
from clipspect.engines import open_backend
from clipspect.recipes.shelf import open_recipe, recipe_names
from clipspect_export.check.answers import check_images
from seeded.published import write_seeded
from support.measured import run_command
from support.precision_cases import halved
from support.rtx import require_built, require_parsed

FULL_SIZE_BYTES = 6e9


ENSEMBLE = """normal = ["good {}", "{}"]
anomalous = ["bad {}"]
templates = ["a photo of a {}."]
"""


def test_export_writes_what_its_options_say(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, prompts = tmp_path / "nuts.bundle", tmp_path / "mine.toml"
    prompts.write_text(ENSEMBLE)
    arguments = ["export", "winclip", "--out", str(out), "--backbone", str(files[0]), "--weights", str(files[1])]
    words = ["--object", "hex nut", "--object", "wing nut", "--ensemble", str(prompts), "--prompt-fusion", "max"]
    assert main([*arguments, *words, "--scales", "3", "--few-shot", "--with-text-encoder"]) == 0
    bundle = Bundle.open(out)
    assert recipe_names(bundle) == ["hex nut", "wing nut"]
    recipe = open_recipe(bundle, "wing nut")
    assert recipe.object == "wing nut"
    assert recipe.text_features.shape == (2, 2, 64)
    assert recipe.prompts["normal"] == ["good {}", "{}"]
    assert bundle.manifest.parameters["scales"] == [3]
    assert "both" in bundle.manifest.graphs
    assert bundle.manifest.text_encoder is not None
    written = capsys.readouterr()
    assert written.out.count("parity with torch") == 2
    assert written.err == ""
    assert main(arguments) == 1
    assert "--force" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--scales", "two"], 2, "expected numbers with commas"),
        (["--scales", "99", "--weights", "x.pt"], 1, "scale 99 does not fit"),
        (["--backbone", "ViT-B-32"], 1, "add --weights TAG or --weights FILE"),
        (["--weights", "none.pt"], 1, "no such weights file"),
        (["--precision", "fp16", "--int8", "--weights", "x.pt"], 1, "fp16 is for GPUs: export two bundles"),
    ],
)
def test_what_export_refuses_is_said_in_one_line(
    arguments: list[str], status: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        found = main(["export", "winclip", "--out", str(tmp_path / "x"), *arguments])
    except SystemExit as exit_:
        found = exit_.code  # type: ignore[assignment]
    error = capsys.readouterr().err
    assert found == status
    assert message in error
    assert status == 2 or error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["anomalyclip", "--few-shot"], "anomalyclip has no few-shot form (winclip and aprilgan have)"),
        (["anomalyclip", "--with-text-encoder"], "learned prompts and reads no words: leave --with-text-encoder out"),
        (["anomalyclip", "--prompt-fusion", "max"], "learned prompts and reads no words: leave --prompt-fusion out"),
        (["anomalyclip", "--ensemble", "winclip"], "learned prompts and reads no words: leave --ensemble out"),
        (["winclip", "--ensemble", "mine.toml"], "normal: 'a good part' has no place for the object: write {} there"),
        (["winclip", "--ensemble", "none"], "none: no such ensemble; there are: "),
    ],
)
def test_words_and_references_that_a_method_does_not_take_are_refused_in_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(ENSEMBLE.replace("good {}", "a good part"))
    trained = ["--checkpoint", "epoch_15.pth"] if arguments[0] == "anomalyclip" else []
    assert main(["export", *arguments, *trained]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


def test_without_the_export_extra_the_error_names_it(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.machinery as machinery\n"
        "find = machinery.PathFinder.find_spec\n"
        "machinery.PathFinder.find_spec = classmethod(lambda cls, name, path=None, target=None:"
        " None if name in {'torch', 'open_clip'} else find(name, path, target))\n"
        f"sys.path[:0] = {[path for path in sys.path if path]!r}\n"
        "from clipspect.cli import main\n"
        f"sys.exit(main(['export', 'winclip', '--out', {str(tmp_path / 'x')!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert pip_install("export") in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_command_lines_help_does_not_import_torch() -> None:
    code = (
        f"import sys; sys.path[:0] = {[path for path in sys.path if path]!r}; "
        "from clipspect.cli import build_parser; build_parser(); "
        "assert not {'torch', 'onnx', 'tqdm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_the_published_backbone_exports_at_full_size(tmp_path: Path) -> None:
    source = write_seeded(tmp_path / "seeded.safetensors", "winclip")
    out = tmp_path / "pipe fryum.bundle"
    options = ["--backbone", "ViT-B-16-plus-240", "--weights", source, "--object", "pipe fryum", "--out", out]
    assert run_command("export", "winclip", *options).peak_bytes < FULL_SIZE_BYTES
    bundle = Bundle.open(out)
    assert bundle.manifest.graphs["words"].flops <= 625e9
    parity = bundle.manifest.graphs["words"].parity
    assert max(parity.score, parity.anomaly_map) <= 1e-5
    onnx.checker.check_model(str(bundle.graph_path))
    images, text = check_images(240), open_recipe(bundle).text_features
    with open_backend("onnxruntime", bundle.graph_path) as session:
        together = session.run({"image": images, "text_features": text})
        alone = session.run({"image": images[1:2], "text_features": text})
    for name, values in alone.items():
        np.testing.assert_allclose(values[0], together[name][1], atol=1e-5)
    openvino = pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    compiled = openvino.Core().compile_model(bundle.graph_path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = compiled({"image": images[1:2], "text_features": text})
    for name, values in alone.items():
        np.testing.assert_allclose(answer[name], values, atol=1e-4)
    windows = ["features_windows_2", "features_windows_3"]
    assert require_parsed(bundle.graph_path) == ["score", "anomaly_map", "image_embedding", *windows]
    require_built(halved(bundle.graph_path, tmp_path), bundle.manifest.graphs["words"])
