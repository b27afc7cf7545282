"""The checks that every engine has from its base class: what goes in, what comes out, who may use it and when."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, save

from clipspect.base.errors import BackendError
from clipspect.engines import Backend, Tensors, open_backend
from clipspect.engines.graph import ANY, Graph, Signature, TensorSpec
from support import handmade

SIDE, DIM = handmade.SIDE, handmade.DIM
ENGINES = ["onnxruntime", "openvino"]
GRAPH = handmade.make_manifest().graphs["words"]


def frames(count: int, grey: int = 51) -> dict[str, Any]:
    text = np.ones((2, 1, DIM), np.float32)
    return {"image": np.full((count, SIDE, SIDE, 3), grey, np.uint8), "text_features": text}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return str(request.param)


@pytest.fixture(params=["manifest", "engine"])
def backend(request: pytest.FixtureRequest, engine: str, tiny_bundle: Path) -> Iterator[Backend]:
    """Checked by what the manifest says of the graph, or by what the engine says."""
    graph = GRAPH if request.param == "manifest" else None
    with open_backend(engine, tiny_bundle / "model.onnx", graph=graph) as opened:
        yield opened


# --- inputs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": None}, r"the graph takes image, text_features, found text_features$"),
        ({"more": np.zeros(1)}, r"the graph takes image, text_features, found image, more, text_features$"),
        ({"image": np.zeros((1, SIDE, SIDE, 3))}, r"the graph takes image as uint8, found float64$"),
        ({"image": np.zeros((SIDE, SIDE, 3), np.uint8)}, r"as \(\S+, 32, 32, 3\), found \(32, 32, 3\)$"),
        ({"image": np.zeros((1, SIDE, SIDE, 4), np.uint8)}, r"as \(\S+, 32, 32, 3\), found \(1, 32, 32, 4\)$"),
        ({"text_features": np.ones((3, 1, DIM), np.float32)}, r"text_features as \(2, \S+, 4\), found \(3, 1, 4\)$"),
    ],
    ids=["missing", "unknown", "type", "rank", "channels", "states"],
)
def test_inputs_that_the_graph_does_not_take_are_refused_before_the_engine_sees_them(
    backend: Backend, change: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensors] = []
    monkeypatch.setattr(backend, "_run", lambda inputs, outputs: seen.append(inputs))
    inputs = {name: array for name, array in {**frames(1), **change}.items() if array is not None}
    with pytest.raises(BackendError, match=rf"^{backend.name}: .*{message}"):
        backend.run(inputs)
    assert not seen


def test_dimensions_of_one_name_have_one_length(engine: str, tmp_path: Path) -> None:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in ("a", "b", "c")]
    made = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "g", tensors[:2], tensors[2:])
    save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), tmp_path / "sum.onnx")
    spec = TensorSpec("float32", ("N",))
    graph = Graph("sum.onnx", 18, {"a": spec, "b": spec}, {"c": spec}, 0)
    three, one = np.ones(3, np.float32), np.ones(1, np.float32)
    with open_backend(engine, tmp_path / "sum.onnx", graph=graph) as opened:
        assert opened.run({"a": three, "b": three})["c"].tolist() == [2, 2, 2]
        with pytest.raises(BackendError, match=r"takes b as \(3\), found \(1\)$"):  # which the engine would broadcast
            opened.run({"a": three, "b": one})


# --- outputs ---------------------------------------------------------------------------------------------------------


def test_only_outputs_that_are_asked_for_come_back(backend: Backend) -> None:
    assert set(backend.run(frames(2))) == {"score", "anomaly_map"}
    assert set(backend.run(frames(2), ["anomaly_map", "score"])) == {"score", "anomaly_map"}
    assert backend.run(frames(2), ["score"])["score"] == pytest.approx([0.2, 0.2])
    assert backend.run(frames(2), []) == {}


def test_an_output_that_the_graph_does_not_have_is_refused(backend: Backend) -> None:
    with pytest.raises(BackendError, match=r"the graph answers anomaly_map, score, asked for heatmap$"):
        backend.run(frames(1), ["score", "heatmap"])


def replaced(**changes: Any) -> Graph:
    return dataclasses.replace(GRAPH, **changes)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            replaced(outputs={"score": GRAPH.outputs["score"]}),
            r"answers .*anomaly_map .* manifest says score \(float32\)",
        ),
        (
            replaced(outputs={**GRAPH.outputs, "extra": GRAPH.outputs["score"]}),
            r"answers .* the manifest says .*, extra \(float32",
        ),
        (
            replaced(outputs={**GRAPH.outputs, "score": TensorSpec("float64", ("N",))}),
            r"answers anomaly_map \(float32\), score \(float32\), the manifest says .*, score \(float64\)",
        ),
        (
            replaced(outputs={**GRAPH.outputs, "anomaly_map": TensorSpec("float32", ("N", SIDE, 16))}),
            r"answers anomaly_map as \(\S+, 32, 32\), the manifest says \(N, 32, 16\)",
        ),
        (
            replaced(inputs={**GRAPH.inputs, "image": TensorSpec("uint8", ("N", 16, SIDE, 3))}),
            r"takes image as \(\S+, 32, 32, 3\), the manifest says \(N, 16, 32, 3\)",
        ),
        (
            replaced(inputs={"image": GRAPH.inputs["image"]}),
            r"takes .*text_features .* the manifest says image \(uint8\)",
        ),
    ],
    ids=["one output less", "one output more", "type", "map size", "image size", "one input less"],
)
def test_a_graph_that_the_engine_reads_otherwise_than_the_manifest_says_is_not_opened(
    engine: str, tiny_bundle: Path, graph: Graph, message: str
) -> None:
    with pytest.raises(BackendError, match=rf"{engine}: model.onnx {message}.*: export the bundle again$"):
        open_backend(engine, tiny_bundle / "model.onnx", graph=graph)


def test_two_scores_of_an_image_are_refused_and_not_paired_with_the_next(engine: str, tmp_path: Path) -> None:
    """The file says no length of its scores, so that only the answer shows it."""
    made = helper.make_graph(
        [helper.make_node("Concat", ["x", "x"], ["score"], axis=0)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["M"])],
    )
    save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), tmp_path / "two.onnx")
    spec = TensorSpec("float32", ("N",))
    graph = Graph("two.onnx", 18, {"x": spec}, {"score": spec}, 0)
    expected = rf"^{engine} on cpu answered another score than .* two.onnx says: expected \(3\), found \(6\): export"
    with (
        open_backend(engine, tmp_path / "two.onnx", graph=graph) as opened,
        pytest.raises(BackendError, match=expected),
    ):
        opened.run({"x": np.ones(3, np.float32)})


class Forgetful(Backend):
    """An engine of somebody else's that answers what it likes."""

    name = "forgetful"

    def __init__(self, answer: Callable[[], dict[str, Any]]) -> None:
        super().__init__(Signature(GRAPH.inputs, GRAPH.outputs), GRAPH, device="cpu", precision="fp32")
        self.answer = answer

    def _run(self, inputs: Tensors, outputs: Sequence[str]) -> dict[str, Any]:
        return self.answer()

    def _close(self) -> None:
        self.answer = dict


GOOD = {"score": np.zeros(1, np.float32), "anomaly_map": np.zeros((1, SIDE, SIDE), np.float32)}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({}, "answered nothing, expected anomaly_map, score"),
        ({"score": GOOD["score"]}, "answered score, expected anomaly_map, score"),
        ({**GOOD, "more": GOOD["score"]}, "answered anomaly_map, more, score, expected anomaly_map, score"),
        ({**GOOD, "score": np.zeros(1)}, "answered another score .* expected float32, found float64"),
        ({**GOOD, "score": np.zeros((), np.float32)}, r"another score .* expected \(1\), found \(\)"),
        ({**GOOD, "anomaly_map": np.zeros((1, 16, 64), np.float32)}, r"expected \(1, 32, 32\), found \(1, 16, 64\)"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_one_error(answer: dict[str, Any], message: str) -> None:
    with Forgetful(lambda: answer) as backend, pytest.raises(BackendError, match=f"^forgetful on cpu .*{message}"):
        backend.run(frames(1))
    with Forgetful(lambda: GOOD) as backend:  # the control
        assert backend.run(frames(1)) == GOOD


def test_what_an_engine_raises_is_one_error_in_one_line_with_its_cause() -> None:
    def fail() -> dict[str, Any]:
        raise RuntimeError("no\n   luck")

    with Forgetful(fail) as backend, pytest.raises(BackendError, match=r"^forgetful failed on cpu: no luck$") as caught:
        backend.run(frames(1))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_dimensions_without_a_name_take_every_length() -> None:
    class Loose(Forgetful):
        def __init__(self) -> None:
            spec = TensorSpec("float32", (ANY, ANY))
            Backend.__init__(self, Signature({"x": spec}, {"y": spec}), None, device="cpu", precision="fp32")
            self.answer = lambda: {"y": np.zeros(1)}

    assert set(Loose().run({"x": np.ones((3, 4), np.float32)})) == {"y"}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_shown_to_those_who_look_for_them_and_refused_to_those_who_use_answers(
    backend: Backend, value: float
) -> None:
    inputs = {**frames(1), "text_features": np.full((2, 1, DIM), value, np.float32)}
    assert not np.isfinite(backend.run(inputs)["score"]).any()
    assert np.isfinite(backend.run_finite(inputs, ["anomaly_map"])["anomaly_map"]).all()
    with pytest.raises(BackendError, match=f"{backend.name} on cpu answered NaN or infinity in score: run clipspect"):
        backend.run_finite(inputs)


# --- who may use it, and when ----------------------------------------------------------------------------------------


def test_closing_lets_go_once_and_nothing_goes_on_afterwards() -> None:
    backend = Forgetful(lambda: GOOD)
    with backend as entered:
        assert entered is backend
        assert backend.run(frames(1)) == GOOD
    backend.close()
    for use in (lambda: backend.run(frames(1)), lambda: backend.run_finite(frames(1)), backend.profile):
        with pytest.raises(BackendError, match="the forgetful backend is closed: load the bundle again"):
            use()
