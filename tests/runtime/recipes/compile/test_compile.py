"""`clipspect compile`: real engines by TensorRT-RTX without a GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from clipspect.base.errors import BackendError
from clipspect.bundle.bundle import Bundle
from clipspect.recipes.compile import compile_bundle
from clipspect.recipes.recipe import Recipe, write_recipe
from support import handmade, handmade_graphs
from support.command_line import error_of, run
from support.compiled import RTX, documents, engine_of

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install tensorrt-rtx-cu13 (no GPU)")
pytest.importorskip("cuda.bindings", reason="needs NVIDIA's bindings: pip install cuda-bindings (no GPU)")
from clipspect.engines.tensorrt import devices
from clipspect.engines.tensorrt.ranges import Sizes, ranges_of

# --- what is built ---------------------------------------------------------------------------------------------------


def test_the_demo_bundle_is_compiled_once_and_info_lists_it(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compile", "demo", *RTX, "8.9", "--graph", "zero-shot", "--json") == 0
    (engine,) = json.loads(capsys.readouterr().out)["engines"]
    assert (engine["graph"], engine["built"], engine["path"]) == ("zero-shot", True, str(engine_of(cache)))
    facts = engine["engine"]["facts"]
    assert facts["compute_capabilities"] == ["8.6", "8.9"]
    assert (facts["device"], facts["precision"], facts["package"]) == (None, "fp32", "tensorrt_rtx")
    assert sorted(facts["files"]) == ["model.onnx", "model.onnx.data"]
    assert documents(cache) == [engine["engine"]]
    assert sorted(path.suffix for path in cache.iterdir()) == [".engine", ".json"]
    assert run("compile", "demo", *RTX, "8.9", "--graph", "zero-shot") == 0
    assert "there already: tensorrt_rtx" in capsys.readouterr().out
    assert run("info", "demo") == 0
    page = capsys.readouterr().out
    assert "compiled engines of these graphs" in page
    assert "fp32, up to 1 image(s), for compute capability 8.6, 8.9" in page
    assert run("info", "demo", "--json") == 0
    (listed,) = json.loads(capsys.readouterr().out)["engines"]
    assert listed["engine"] == engine["engine"]


def test_every_graph_of_a_bundle_is_compiled_and_the_text_encoder_where_it_is_asked_for(
    full_bundle: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("compile", full_bundle, *RTX) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[::2]] == ["zero-shot", "few-shot"]
    assert run("compile", full_bundle, *RTX, "--graph", "text", "few-shot") == 0
    out = capsys.readouterr().out
    assert "text      built in" in out
    assert "few-shot  there already" in out
    assert len(documents(cache)) == 3


def test_a_larger_batch_takes_the_smaller_ones_place_and_serves_it(tiny_bundle: Path, cache: Path) -> None:
    for batch, built in ((1, True), (4, True), (2, False)):
        (compiled,) = compile_bundle(tiny_bundle, capabilities=["8.6"], package="tensorrt_rtx", batch=batch, prompts=8)
        assert compiled.built == built
    (document,) = documents(cache)
    assert document["inputs"]["image"]["least"] == [1, handmade.SIDE, handmade.SIDE, 3]
    assert document["inputs"]["image"]["most"] == [4, handmade.SIDE, handmade.SIDE, 3]
    assert engine_of(cache).name == document["file"]


def test_precisions_have_engines_of_their_own(tiny_bundle: Path, cache: Path) -> None:
    assert run("compile", tiny_bundle, *RTX) == 0
    assert run("compile", tiny_bundle, *RTX, "--precision", "tf32") == 0
    assert sorted(document["facts"]["precision"] for document in documents(cache)) == ["fp32", "tf32"]


def test_what_is_there_is_built_anew_only_when_forced(tiny_bundle: Path, cache: Path) -> None:
    for arguments, changed in ((), True), ((), False), (("--force",), True):
        before = {path: path.stat().st_mtime_ns for path in cache.glob("*.json")}
        assert run("compile", tiny_bundle, *RTX, *arguments) == 0
        assert (before != {path: path.stat().st_mtime_ns for path in cache.glob("*.json")}) == changed
        assert engine_of(cache).name == documents(cache)[0]["file"]


def shapes_of(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    return {name: tensor.shape for name, tensor in recipe.tensors.items()}


def test_the_engine_is_made_for_the_recipes_of_the_bundle(tiny_bundle: Path) -> None:
    many = handmade.make_recipe("many", tensors={"text_features": np.ones((2, 9, handmade.DIM), np.float32)})
    graph = Bundle.open(tiny_bundle).manifest.graphs["words"]
    text = ranges_of(graph, Sizes(batch=3, prompts=5), [shapes_of(handmade.make_recipe()), shapes_of(many)])[
        "text_features"
    ]
    assert (text.least, text.best, text.most) == ((2, 1, handmade.DIM), (2, 9, handmade.DIM), (2, 9, handmade.DIM))


def test_galleries_have_room_for_the_photos_that_were_said(full_bundle: Path) -> None:
    few_shot = Bundle.open(full_bundle).manifest.graphs["both"]
    shapes = ranges_of(few_shot, Sizes(references=6))
    for name, cells in handmade_graphs.GRIDS.items():
        rows = shapes[f"reference_{name}"]
        assert (rows.least[0], rows.best[0], rows.most[0]) == (1, 4 * cells**2, 6 * cells**2)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--backend", "openvino"), "openvino has nothing to compile: it loads a bundle as it is"),
        (("--for-compute-capability", "8.7"), "does not build for compute capability 8.7; it knows 7.5, 8.0, 8.6"),
        ((*RTX, "--graph", "few-shot"), "the bundle has no few-shot graph, it has: zero-shot"),
        ((*RTX, "--precision", "fp16"), "the graph is fp32, found 'fp16'"),
    ],
)
def test_what_cannot_be_compiled_is_refused_in_one_line(
    tiny_bundle: Path, cache: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert run("compile", tiny_bundle, "--package", "tensorrt_rtx", *arguments) == 1
    assert message in error_of(capsys)
    assert not cache.exists() or not list(cache.iterdir())


def test_without_a_gpu_the_kind_of_gpu_must_be_said(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if devices():
        pytest.skip("needs a machine without an NVIDIA GPU")
    assert run("compile", tiny_bundle, "--package", "tensorrt_rtx") == 1
    error = error_of(capsys)
    assert "no NVIDIA GPU can be used here" in error
    assert "--for-compute-capability" in error


def test_a_graph_that_does_not_parse_is_one_quiet_error(
    tmp_path: Path, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = handmade.write_bundle(tmp_path / "b")
    model = onnx.load(root / "model.onnx")
    model.graph.node[0].input[0] = "rounded"
    model.graph.node.insert(0, onnx.helper.make_node("Erf", ["image"], ["rounded"]))  # of bytes, which no engine takes
    onnx.save(model, root / "model.onnx")
    handmade.rewritten(root)
    assert run("compile", root, *RTX) == 1
    assert "tensorrt_rtx cannot load model.onnx: " in error_of(capfd)
    assert not list(cache.iterdir())


def test_a_cache_that_cannot_be_written_is_refused(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compile", tiny_bundle, *RTX, "--cache", tiny_bundle / "model.onnx") == 1
    assert "cannot be written" in error_of(capsys)


@pytest.mark.parametrize("damage", ["cut", "changed", "missing"])
def test_a_damaged_engine_is_refused_with_the_command_and_built_again_by_it(
    tiny_bundle: Path, cache: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    assert run("compile", tiny_bundle, *RTX) == 0
    path = engine_of(cache)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[:-9] if damage == "cut" else whole[:-1] + bytes([whole[-1] ^ 1]))
    capsys.readouterr()
    assert run("verify", tiny_bundle, "--backend", "tensorrt") == 1
    capsys.readouterr()
    with pytest.raises(BackendError, match=f": clipspect compile {tiny_bundle} --backend tensorrt --package") as caught:
        _load(tiny_bundle)
    words = {"cut": f"was cut short or changed ({len(whole) - 9} of", "changed": "hash", "missing": "cannot be read"}
    assert words[damage] in str(caught.value)
    assert run("compile", tiny_bundle, *RTX) == 0
    assert "built in" in capsys.readouterr().out
    assert engine_of(cache).stat().st_size > len(whole) // 2


def test_an_engine_of_a_bundle_that_was_exported_again_is_stale(tiny_bundle: Path, cache: Path) -> None:
    assert run("compile", tiny_bundle, *RTX) == 0
    (tiny_bundle / "model.onnx").write_bytes(
        handmade_graphs.brightness(handmade.SIDE, handmade.DIM) + b"\x32\x01x"
    )  # a description
    handmade.rewritten(tiny_bundle)
    command = f"clipspect compile {tiny_bundle} --backend tensorrt --package tensorrt_rtx"
    with pytest.raises(BackendError, match=rf"does not fit: model.onnx is another file .*: {command}$"):
        _load(tiny_bundle)


def test_an_engine_in_another_cache_is_not_found(tiny_bundle: Path, tmp_path: Path) -> None:
    assert run("compile", tiny_bundle, *RTX, "--cache", tmp_path / "elsewhere") == 0
    with pytest.raises(BackendError, match=r"no NVIDIA GPU|no engine is compiled of .*model\.onnx \(looked in"):
        _load(tiny_bundle)


def _load(root: Path) -> None:
    from clipspect.engines import open_backend

    open_backend("tensorrt", root / "model.onnx", package="tensorrt_rtx").close()


def test_a_recipe_that_is_new_needs_no_new_engine(tiny_bundle: Path, cache: Path) -> None:
    assert run("compile", tiny_bundle, *RTX) == 0
    write_recipe(tiny_bundle / "recipes/bolt.safetensors", handmade.make_recipe("bolt"))
    (compiled,) = compile_bundle(tiny_bundle, capabilities=["8.6"], package="tensorrt_rtx")
    assert not compiled.built


def test_progress_counts_graphs_and_never_goes_back(full_bundle: Path, cache: Path) -> None:
    told: list[tuple[str, float, float]] = []
    options: dict[str, Any] = {"capabilities": ["8.6"], "package": "tensorrt_rtx"}
    compile_bundle(full_bundle, progress=lambda *told_of: told.append(told_of), **options)
    if not told:
        pytest.skip("needs builds that take a moment: these were over before the first look")
    assert all(step.startswith(("zero-shot: ", "few-shot: ")) for step, _, _ in told)
    assert {total for _, _, total in told} == {2}
    done = [share for _, share, _ in told]
    assert done == sorted(done)
    assert 0 <= done[0] <= done[-1] <= 2
