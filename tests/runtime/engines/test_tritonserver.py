"""The engine `triton` and `clipspect triton` with a real Triton server, whose ONNX backend alone is ours (no GPU)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import clipspect
from clipspect.base.errors import BackendError, UnreachableError
from clipspect.bundle.bundle import Bundle
from clipspect.engines import open_backend
from clipspect.engines.graph import IMAGE, TEXT_FEATURES
from clipspect.engines.serving import model_name
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.shelf import open_recipe
from clipspect.recipes.triton_repository import write_triton_repository
from support import handmade
from support.shared import made_once
from support.tritonserver import TritonServer, install, needs_tritonserver

pytestmark = [pytest.mark.slow, needs_tritonserver]
COOKIES = Path(__file__).parents[3] / "models/clipspect_models/demo_cookies"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "tritonserver", install)


@pytest.fixture(scope="module")
def server(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """With the demo bundle."""
    folder = tmp_path_factory.mktemp("served")
    write_triton_repository("demo", folder / "repository", batch=4)
    with TritonServer(installed, folder / "repository", folder / "log.txt") as running:
        yield running


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.open("demo")


def recipes_of(bundle: Bundle) -> list[Recipe]:
    """Words, other words, more of them, and photographs of two galleries."""
    words = open_recipe(bundle, "object")
    others = [words.text_features[::-1], np.concatenate([words.text_features] * 3, axis=1)]
    references = sorted(COOKIES.glob("reference-*.jpg"))
    return [
        words,
        *(dataclasses.replace(words, tensors={TEXT_FEATURES: np.ascontiguousarray(other)}) for other in others),
        *(clipspect.make_recipe(bundle, "c", references=references[:count], judge="photos") for count in (1, 3)),
    ]


def require_equal(one: clipspect.Result, other: clipspect.Result) -> None:
    assert one.score == pytest.approx(other.score, abs=1e-6)
    np.testing.assert_allclose(one.anomaly_map, other.anomaly_map, rtol=0, atol=1e-6)
    assert one.verdict == other.verdict


def test_requests_of_mixed_recipes_are_joined_and_each_has_its_own_answer(bundle: Bundle, server: TritonServer) -> None:
    encoder = f"{model_name(bundle.digest, 'words')}-encoder"
    images = [COOKIES / "good-001.jpg", COOKIES / "broken-001.jpg"]
    recipes = recipes_of(bundle)
    with clipspect.load(bundle, recipes[0], "onnxruntime") as local:
        expected = []
        for recipe in recipes:
            with local.with_recipe(recipe) as own:
                expected.append([own.inspect(image) for image in images])
    before = server.runs_of(encoder)

    def served(place: int) -> list[clipspect.Result]:
        with clipspect.load(bundle, recipes[place], "triton", url=server.url) as inspector:
            return [inspector.inspect(image) for image in images]

    places = [*range(len(recipes))] * 2
    with ThreadPoolExecutor(len(places)) as pool:
        found = list(pool.map(served, places))
    for place, results in zip(places, found):
        for result, own in zip(results, expected[place]):
            require_equal(result, own)
    inspected, runs = (now - then for now, then in zip(server.runs_of(encoder), before))
    assert inspected == 6 * 2
    assert runs < inspected


def test_windows_on_demand_are_those_of_the_local_engine(bundle: Bundle, server: TritonServer) -> None:
    with (
        clipspect.load(bundle, None, "onnxruntime", windows=True) as local,
        clipspect.load(bundle, None, "triton", windows=True, url=server.url) as served,
    ):
        require_equal(local.inspect(COOKIES / "good-002.jpg"), served.inspect(COOKIES / "good-002.jpg"))


def test_words_and_references_give_the_local_result(installed: Path, tmp_path: Path) -> None:
    bundle = handmade.write_memory_bundle(tmp_path / "b")
    recipe = clipspect.make_recipe(bundle, "nut", references=[handmade.spotted(spot=90)], judge="both")
    write_triton_repository(bundle, tmp_path / "repository")
    with (
        TritonServer(installed, tmp_path / "repository", tmp_path / "log.txt") as server,
        clipspect.load(bundle, recipe, "onnxruntime") as local,
        clipspect.load(bundle, recipe, "triton", url=server.url) as served,
    ):
        require_equal(local.inspect(handmade.spotted()), served.inspect(handmade.spotted()))
        for role, of_role in (("both", recipe), ("words", open_recipe(Bundle.open(bundle), "object"))):
            graph = Bundle.open(bundle).manifest.graphs[role]
            image = {IMAGE: np.zeros((2, handmade.SIDE, handmade.SIDE, 3), np.uint8)}
            with open_backend("triton", bundle / graph.file, graph=graph, url=server.url) as backend:
                together = backend.run({**image, **of_role.tensors})
                for count in range(1, len(graph.outputs)):  # Triton leaves steps out whose outputs nobody asks for
                    for names in combinations(graph.outputs, count):
                        for name, values in backend.run({**image, **of_role.tensors}, names).items():
                            np.testing.assert_array_equal(values, together[name])


def test_a_server_that_is_killed_is_told_and_found_again(bundle: Bundle, server: TritonServer) -> None:
    image = COOKIES / "good-003.jpg"
    with clipspect.load(bundle, None, "triton", url=server.url) as inspector:
        before = inspector.inspect(image)
        server.kill()
        with pytest.raises(UnreachableError, match="is not to be reached, or not ready"):
            inspector.inspect(image)
        server.start()
        require_equal(inspector.inspect(image), before)


def test_a_killed_server_that_comes_back_with_another_bundle_is_refused(installed: Path, tmp_path: Path) -> None:
    bundle = handmade.write_bundle(tmp_path / "b")
    other = handmade.rewritten(handmade.write_bundle(tmp_path / "other"), versions={"exporter": "later"})
    for name, root in (("first", bundle), ("second", other)):
        write_triton_repository(root, tmp_path / name)
    with (
        TritonServer(installed, tmp_path / "first", tmp_path / "log.txt") as server,
        clipspect.load(bundle, None, "triton", url=server.url) as inspector,
    ):
        inspector.inspect(handmade.grey(1))
        server.kill()
        server.repository = tmp_path / "second"
        server.start()
        with pytest.raises(BackendError, match="has no model clipspect-") as refusal:
            inspector.inspect(handmade.grey(1))
        assert not isinstance(refusal.value, UnreachableError)
