"""Recipes of words and of references over one engine: one graph serves both, and memory holds the weights once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import clipspect
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import RECIPES
from clipspect.engines.graph import BOTH, WORDS_MAP, WORDS_SCORE
from clipspect.recipes.make import make_recipe
from clipspect.recipes.recipe import write_recipe

ENGINES = ["onnxruntime", "openvino"]
MOST_MORE = 30  # MB, for a second recipe

_MEASURE = """
import json, sys
import numpy as np
import clipspect

def megabytes():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) / 1024

bundle, first, second, backend = sys.argv[1:]
frame = np.random.default_rng(0).integers(0, 256, (240, 240, 3), np.uint8)
one = clipspect.load(bundle, first, backend, threads=2)
for _ in range(3):
    one.inspect(frame)
before = megabytes()
two = one.with_recipe(second)
for _ in range(3):
    one.inspect(frame), two.inspect(frame)
print(json.dumps(megabytes() - before))
"""


@pytest.fixture(scope="module")
def bundle(int8_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The demo model with the recipes "object", of words, and "photos", of two references."""
    copy = tmp_path_factory.mktemp("one engine") / "demo.bundle"
    opened = Bundle.open(shutil.copytree(int8_bundle.path, copy))
    good = [frame(seed) for seed in (100, 101)]
    recipe = make_recipe(opened, "photos", references=good, like="object", backend="onnxruntime")
    write_recipe(copy / RECIPES / "photos.safetensors", recipe)
    return opened


def frame(seed: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).integers(0, 256, (240, 240, 3), np.uint8)


@pytest.mark.parametrize("backend", ENGINES)
def test_the_graph_for_references_says_what_the_words_alone_say(bundle: Bundle, backend: str) -> None:
    pytest.importorskip(backend, reason=f"needs {backend}")
    frames = [frame(seed) for seed in range(3)]
    with clipspect.load(bundle.path, "object", backend) as alone:
        expected = [alone.inspect(one) for one in frames]
    with clipspect.load(bundle.path, "object", backend) as words, words.with_recipe("photos") as references:
        found, other = [words.inspect(one) for one in frames], [references.inspect(one) for one in frames]
    with clipspect.load(bundle.path, "photos", backend) as references:
        expected_other = [references.inspect(one) for one in frames]
    for ours, theirs in zip(found + other, expected + expected_other):
        assert ours.score == pytest.approx(theirs.score, abs=1e-6)
        np.testing.assert_allclose(ours.model_map, theirs.model_map, atol=1e-6)
    assert abs(found[0].score - other[0].score) > 1e-3


def test_the_manifest_names_the_outputs_of_words(bundle: Bundle) -> None:
    assert {WORDS_SCORE, WORDS_MAP} <= set(bundle.manifest.graphs[BOTH].outputs)


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize(("first", "second"), [("object", "photos"), ("photos", "object"), ("photos", "photos")])
def test_a_second_recipe_takes_little_memory(bundle: Bundle, backend: str, first: str, second: str) -> None:
    pytest.importorskip(backend, reason=f"needs {backend}")
    command = [sys.executable, "-c", _MEASURE, str(bundle.path), first, second, backend]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) < MOST_MORE
