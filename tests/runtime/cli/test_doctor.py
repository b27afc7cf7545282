"""`clipspect doctor` on this machine: what it runs, prints and returns. Recorded machines are in tests/jetson."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from clipspect.base.installation import pip_install
from clipspect.cli import doctor
from support.command_line import run

Capture = pytest.CaptureFixture[str]


def test_the_document_has_what_really_ran(capsys: Capture) -> None:
    assert run("doctor", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    engines = {engine["name"]: engine for engine in report["engines"]}
    assert {"onnxruntime", "openvino"} <= set(engines)
    for engine in engines.values():
        assert engine["scores"] == any(device["works"] for device in engine["devices"])
        assert not (engine["scores"] and engine["problem"])
    assert engines["onnxruntime"]["scores_on"] == "cpu"
    assert {"device": "cpu", "works": True}.items() <= engines["onnxruntime"]["devices"][-1].items()
    assert report["machine"]["cpu"]["cores"] >= 1


def test_the_document_and_the_benchmarks_have_the_same_machine(capsys: Capture) -> None:
    import dataclasses

    from clipspect.host.machine import read_machine

    assert run("doctor", "--json") == 0
    machine = json.loads(capsys.readouterr().out)["machine"]
    assert set(machine) == {field.name for field in dataclasses.fields(read_machine())}


def test_without_an_engine_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    assert run("doctor") == 1
    out = capsys.readouterr().out
    assert "cannot score" in out
    assert pip_install("cpu") in out


def test_it_says_when_a_gpu_is_left_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from clipspect.engines.onnxruntime import devices

    if "cuda" in devices():
        pytest.skip("needs an onnxruntime without CUDA: pip install onnxruntime")
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H100, 570.10, 81559 MiB, 9.0'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (advice,) = (advice for advice in doctor.examine().advice if "no engine scores on NVIDIA H100" in advice.found)
    assert advice.remedy == f"pip uninstall onnxruntime, and {pip_install('gpu')}"


def test_every_advice_has_a_line_of_what_was_found_and_one_of_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_text("NVIDIA Jetson Orin NX\0")
    report = doctor.examine(tmp_path, [])
    assert report.machine.device == "NVIDIA Jetson Orin NX"
    assert report.advice
    lines = doctor.page(report).splitlines()
    for advice in report.advice:
        assert lines[lines.index(f"  {advice.found}") + 1] == f"    > {advice.remedy}"
