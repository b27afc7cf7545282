"""The graph of windows on demand, through the file that the engines read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

import clipspect
from clipspect.base.errors import BackendError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.windows_graph import WindowsGraph
from clipspect.engines import open_backend
from clipspect.engines.onnx_operators import RULES
from clipspect.inspection.verify import verify
from clipspect.inspection.window_use import wants_windows
from clipspect.inspection.windows import WindowsEngine
from clipspect.recipes.make import make_recipe
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.shelf import open_recipe
from clipspect_export.graph.graph_check import check_graph
from support.golden_clip import golden
from support.rtx import require_parsed

ENGINES = ["onnxruntime", "openvino"]


@pytest.fixture(scope="module")
def bundle(winclip_bundle: Callable[[tuple[int, ...]], Bundle]) -> Bundle:
    return winclip_bundle((2, 3))


@pytest.fixture(scope="module")
def graph(bundle: Bundle) -> WindowsGraph:
    assert bundle.manifest.windows is not None
    return bundle.manifest.windows


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, bundle: Bundle, graph: WindowsGraph) -> Iterator[WindowsEngine]:
    pytest.importorskip(request.param)
    with open_backend(request.param, bundle.path / graph.file, graph=graph) as backend:
        yield WindowsEngine(backend, graph, bundle.manifest.image)


@pytest.fixture(scope="module")
def both(bundle: Bundle) -> Recipe:
    return make_recipe(bundle, "nut", like="metal nut", references=[golden()["references"][0]], backend="onnxruntime")


def test_the_graph_is_plain_onnx_over_the_weights_that_are_there(bundle: Bundle, graph: WindowsGraph) -> None:
    path = bundle.path / graph.file
    report = check_graph(path, {"image": {0: "N"}, "windows_2": {0: "M_2"}, "windows_3": {0: "M_3"}})
    assert report.operators.keys() <= RULES.keys()
    model = onnx.load(path, load_external_data=False)
    assert {item.domain: item.version for item in model.opset_import} == {"": 18}
    assert {node.op_type for node in model.graph.node if "image" in node.input} <= {"Cast", "Shape"}
    external = [item for item in model.graph.initializer if item.external_data]
    assert external
    assert {entry.value for item in external for entry in item.external_data if entry.key == "location"} == {
        "model.onnx.data"
    }
    assert path.stat().st_size < 1 << 17


def test_all_windows_cost_what_the_static_graph_costs(bundle: Bundle, graph: WindowsGraph) -> None:
    static = bundle.manifest.graphs["both"].flops
    assert abs(graph.flops / static - 1) < 0.02  # less the scoring, more the galleries


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("judged_by", ["words", "both"])
def test_all_windows_give_the_score_and_the_map_of_the_static_graph(
    bundle: Bundle, both: Recipe, backend: str, judged_by: str
) -> None:
    pytest.importorskip(backend)
    recipe = both if judged_by == "both" else None
    with (
        clipspect.load(bundle.path, recipe, backend) as static,
        clipspect.load(bundle.path, recipe, backend, windows=True) as on_demand,
    ):
        for image in golden()["images"]:
            expected, found = static.inspect(image), on_demand.inspect(image)
            assert found.score == pytest.approx(expected.score, abs=1e-6)
            np.testing.assert_allclose(found.model_map, expected.model_map, atol=1e-6)
            np.testing.assert_allclose(found.embedding, expected.embedding, atol=1e-6)


def test_the_answers_are_the_references(bundle: Bundle) -> None:
    with clipspect.load(bundle.path, backend="onnxruntime", windows=True) as inspector:
        results = inspector.inspect_batch(list(golden()["images"]))
    np.testing.assert_allclose([result.score for result in results], golden()["score_23"], atol=1e-5)
    np.testing.assert_allclose([result.model_map[::4, ::4] for result in results], golden()["map_23"], atol=1e-5)


def test_an_image_has_the_windows_that_are_asked_of_it(engine: WindowsEngine) -> None:
    """Any windows, none included, have the embeddings that they have among all; images of a batch differ in theirs."""
    pixels = golden()["images"][:2]
    every = engine.encode(pixels, engine.layout.all(2), patches=True)
    rng = np.random.default_rng(1)
    for share in (0.0, 0.1, 0.5):
        chosen = [rng.random(own.shape) < share for own in every.there]
        found = engine.encode(pixels, chosen, patches=True)
        np.testing.assert_allclose(found.images, every.images, atol=1e-6)
        assert found.patches is not None
        np.testing.assert_allclose(found.patches, every.patches, atol=1e-6)
        for own, among_all, there in zip(found.windows, every.windows, chosen):
            np.testing.assert_allclose(own, among_all * there[..., None], atol=1e-6)


def test_one_graph_is_in_memory_and_serves_all_recipes_that_read_words(bundle: Bundle, both: Recipe) -> None:
    with clipspect.load(bundle.path, backend="onnxruntime", windows=True) as inspector:
        with inspector.with_recipe(both) as second:
            assert list(second._engine._backends) == ["windows.onnx"]
            second.inspect(golden()["images"][0])
        assert inspector.inspect(golden()["images"][0]).verdict is None


def test_windows_are_refused_where_there_are_none(bundle: Bundle) -> None:
    without = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, windows=None))
    with pytest.raises(BackendError, match="export it with --windows"):
        wants_windows(without, open_recipe(bundle), "onnxruntime", "cpu", True)
    with pytest.raises(BackendError, match="need an engine on the CPU, found onnxruntime on cuda"):
        clipspect.load(bundle.path, backend="onnxruntime", device="cuda", windows=True)


def test_verify_replays_the_check_through_it(bundle: Bundle) -> None:
    found = verify(bundle, "onnxruntime")
    assert [comparison.graph for comparison in found.comparisons] == ["zero-shot", "few-shot", "on demand"]
    assert found.passed
    assert max(found.comparisons[-1].score, found.comparisons[-1].anomaly_map) < 1e-5


def test_tensorrt_rtx_parses_it(bundle: Bundle, graph: WindowsGraph) -> None:
    assert require_parsed(bundle.path / graph.file) == list(graph.outputs)


@pytest.mark.slow
def test_openvino_keeps_no_memory_for_each_number_of_windows(bundle: Bundle, graph: WindowsGraph) -> None:
    pytest.importorskip("openvino")
    rng, pixels = np.random.default_rng(0), golden()["images"][:1]
    with open_backend("openvino", bundle.path / graph.file, graph=graph) as backend:
        engine = WindowsEngine(backend, graph, bundle.manifest.image)

        def run(times: int) -> int:
            for _ in range(times):
                engine.encode(pixels, [rng.random((1, scale.windows)) < rng.random() for scale in engine.layout.scales])
            return resident_kb()

        run(300)  # the numbers that are rounded up to are few, and each is met once
        before = run(150)
        grown = run(300) - before
    assert grown < 24 << 10


def resident_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])
