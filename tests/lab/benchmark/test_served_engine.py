"""`clipspect bench` of an engine on a server."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from clipspect.recipes.triton_repository import write_triton_repository
from support.command_line import run
from support.kserve import Server


def test_a_server_is_measured_as_an_engine_of_this_machine_is(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_triton_repository(tiny_bundle, tmp_path / "repository")
    with Server(tmp_path / "repository") as server:
        served = ("--backend", "triton", "--url", server.url)
        assert run("bench", tiny_bundle, *served, "--runs", 1, "--size", "64x48", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["backend"], row["version"]) == ("triton", metadata.version("tritonclient"))
    assert row["images_per_second"] > 0
