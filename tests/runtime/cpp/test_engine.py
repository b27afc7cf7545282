"""What an engine answers is what the manifest says, or an error; and what an engine cannot do is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

import clipspect
from clipspect.base.errors import BackendError, BundleError
from clipspect.bundle.manifest import RECIPES, write_manifest
from clipspect.bundle.precision_record import PrecisionRecord
from clipspect.engines.openvino import backend as openvino_backend
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from support import handmade
from support.cpp_programs import call

Change = Callable[[onnx.GraphProto], object]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("L", (8, 8), 200).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def _answer(output: str, operator: str, dtype: int, shape: list[int | str], *inputs: str, **attributes: int) -> Change:
    """The graph answers another thing under the output's name."""

    def change(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = ["old" if name == output else name for name in names]
        graph.initializer.append(helper.make_tensor("axis", TensorProto.INT64, [1], [1]))
        graph.node.append(helper.make_node(operator, ["old", *inputs], [output], **attributes))
        (place,) = (i for i, value in enumerate(graph.output) if value.name == output)
        del graph.output[place]
        graph.output.insert(place, helper.make_tensor_value_info(output, dtype, shape))

    return change


def _rename(graph: onnx.GraphProto) -> None:
    for names in (graph.node[-1].output,):
        names[:] = ["scores"]
    graph.output[0].name = "scores"


def _more(graph: onnx.GraphProto) -> None:
    graph.output.append(helper.make_tensor_value_info("grey", TensorProto.FLOAT, ["N", 32, 32]))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_rename, "outputs are anomaly_map, scores, expected anomaly_map, score as bundle.json says"),
        (_more, "outputs are anomaly_map, grey, score, expected anomaly_map, score as bundle.json says"),
        (_answer("score", "Cast", TensorProto.DOUBLE, ["N"], to=TensorProto.DOUBLE), "score in another type"),
        (
            _answer("score", "Unsqueeze", TensorProto.FLOAT, ["N", 1], "axis"),
            "score of the shape (1, 1), expected (1,)",
        ),
        (_answer("score", "Concat", TensorProto.FLOAT, ["M"], "old", axis=0), "score of the shape (2,), expected (1,)"),
        (
            _answer("anomaly_map", "Transpose", TensorProto.FLOAT, [32, 32, "N"]),
            "anomaly_map of the shape (32, 32, 1), expected (1, 32, 32)",
        ),
    ],
)
def test_an_answer_that_is_not_the_manifests_is_an_error(
    built: Path, tiny_bundle: Path, image: Path, change: Change, reason: str
) -> None:
    model = onnx.load(tiny_bundle / "model.onnx")
    change(model.graph)
    (tiny_bundle / "model.onnx").write_bytes(model.SerializeToString())
    write_manifest(tiny_bundle, handmade.make_manifest())
    out, said = call(built / "inspect", image, "--bundle", tiny_bundle, status=1)
    assert out == b""
    assert said.startswith("inspect: error: openvino: the graph")
    assert reason in said
    with pytest.raises((BackendError, BundleError)):  # before an engine sees the graph, but for the shape of a batch
        clipspect.load(tiny_bundle, backend="openvino").inspect(image)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--device", "auto"], "openvino has cpu and gpu"),
        (["--device", "gpu.99"], "cannot load the graph on GPU.99"),
        (["--precision", "int8"], "openvino has fp32, bf16 and fp16"),
    ],
)
def test_what_the_engine_cannot_do_is_refused(
    built: Path, tiny_bundle: Path, image: Path, options: list[str], reason: str
) -> None:
    assert reason in call(built / "inspect", image, "--bundle", tiny_bundle, *options, status=1)[1]


def test_a_graph_in_fp16_is_refused_on_the_cpu(built: Path, tiny_bundle: Path, image: Path) -> None:
    handmade.rewritten(tiny_bundle, precision="fp16")
    said = call(built / "inspect", image, "--bundle", tiny_bundle, status=1)[1]
    assert "does not run a fp16 graph" in said


@pytest.mark.parametrize(
    ("records", "taken"),
    [
        ([PrecisionRecord("bf16", "openvino", passed=True, tolerance=0.05)], True),
        ([PrecisionRecord("bf16", "openvino", passed=False, forced=True, detail="the score differs")], True),
        ([PrecisionRecord("bf16", "openvino", passed=False, detail="the score differs")], False),
        ([PrecisionRecord("bf16", "openvino", passed=None, detail="no processor with it")], False),
        ([PrecisionRecord("bf16", "onnxruntime", passed=True, tolerance=0.05)], False),
        ([], False),
    ],
)
def test_a_precision_without_a_record_that_passed_judges_nothing_as_in_python(
    built: Path, tiny_bundle: Path, image: Path, records: list[PrecisionRecord], taken: bool
) -> None:
    if "bf16" not in openvino_backend._precisions("cpu"):
        pytest.skip("needs a processor with bf16")
    handmade.rewritten(tiny_bundle, precisions=tuple(records))
    write_recipe(tiny_bundle / RECIPES / "object.safetensors", handmade.make_recipe(limits=Limits(0.4, 0.6)))
    command = built / "inspect", image, "--bundle", tiny_bundle, "--precision", "bf16"
    said = call(*command, status=0 if taken else 1)[1]
    if taken:
        clipspect.load(tiny_bundle, backend="openvino", precision="bf16").close()
        return
    with pytest.raises(BackendError) as refused:
        clipspect.load(tiny_bundle, backend="openvino", precision="bf16")
    assert said.startswith("inspect: error: precision bf16 in openvino ")
    assert str(refused.value).startswith(said[len("inspect: error: ") :].partition("): ")[0])
    assert said.endswith("): take fp32\n")
