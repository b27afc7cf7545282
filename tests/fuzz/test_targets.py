"""Nothing but a ClipspectError comes out of what reads bytes from outside; `make fuzz` looks on for minutes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from clipspect.engines.onnx_check import check_onnx
from clipspect.engines.onnx_file import read_file
from fuzz import graph_target
from fuzz.graph_seeds import graphs, write_weights
from fuzz.mutate import any_bytes, onnx_file
from fuzz.seeds import prepare
from fuzz.targets import TARGETS

INPUTS = {"graph": 200, "source": 20, "records": 20}  # of the dearer ones
OTHERS = 150


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("clipspect.frame.decode.MAX_PIXELS", 1_000_000)
    here = Path.cwd()
    yield
    os.chdir(here)
    graph_target.engine.close()


@pytest.mark.parametrize("target", TARGETS)
def test_only_our_errors_come_out_of_changed_files(target: str, tmp_path: Path) -> None:
    random = Random(0)
    seeds = prepare(target, tmp_path)
    change = onnx_file if target == "graph" else any_bytes
    for seed in seeds:
        TARGETS[target](tmp_path, seed)
    for _ in range(INPUTS.get(target, OTHERS)):
        TARGETS[target](tmp_path, change(random.choice(seeds), random))


def test_the_graphs_that_fuzzing_begins_with_are_taken_and_opened(tmp_path: Path) -> None:
    write_weights(tmp_path)
    for said, data in graphs().values():
        check_onnx(read_file(data), tmp_path, said)
        (tmp_path / "model.onnx").write_bytes(data)
        assert graph_target.engine.read(tmp_path / "model.onnx")["answers"].keys() == said.outputs.keys()
