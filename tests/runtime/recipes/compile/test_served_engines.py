"""Compiled engines in a Triton repository: TensorRT's as they are, TensorRT-RTX's not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command_line import error_of, run
from support.compiled import RTX, documents, engine_of
from support.kserve import read_config


def test_an_engine_of_tensorrt_is_served_whole_and_one_of_rtx_is_refused(
    tiny_bundle: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "repository"
    assert run("triton", tiny_bundle, "--out", out, "--device", "tensorrt") == 1
    assert "no engine of TensorRT in fp32 is compiled of" in error_of(capsys)
    assert run("compile", tiny_bundle, *RTX, "--batch", 4) == 0
    capsys.readouterr()
    assert run("triton", tiny_bundle, "--out", out, "--device", "tensorrt") == 1
    assert "Triton does not load those of tensorrt_rtx" in error_of(capsys)
    (document,) = documents(cache)
    document["facts"]["package"] = "tensorrt"  # which builds on a GPU alone: this is said of RTX's engine instead
    (manifest,) = cache.glob("*.json")
    manifest.write_text(json.dumps(document))
    assert run("triton", tiny_bundle, "--out", out, "--device", "tensorrt", "--json") == 0
    (graph,) = json.loads(capsys.readouterr().out)["graphs"]
    assert (graph["version"], graph["most_images"], graph["joined"]) == (3, 4, 0)
    config = read_config(out / graph["name"])
    assert (config.backend, config.default_model_filename, config.max_batch_size) == ("tensorrt", "model.plan", 0)
    assert [group.Kind.Name(group.kind) for group in config.instance_group] == ["KIND_GPU"]
    assert (out / graph["name"] / "3" / "model.plan").read_bytes() == engine_of(cache).read_bytes()
