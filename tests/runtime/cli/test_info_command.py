"""`clipspect info`: what a bundle is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command_line import error_of, run

Capture = pytest.CaptureFixture[str]


def test_info_shows_what_a_bundle_is(tiny_bundle: Path, capsys: Capture) -> None:
    assert run("info", tiny_bundle) == 0
    out = capsys.readouterr().out
    for word in ("winclip", "scales [2, 3]", "32 x 32", "parity", "1.0e-07", "object 'object'", "model.onnx"):
        assert word in out


def test_info_json_is_one_document(tiny_bundle: Path, capsys: Capture) -> None:
    assert run("info", tiny_bundle, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["manifest"]["method"] == "winclip"
    assert document["recipes"][0]["tensors"] == {"text_features": [2, 1, 4]}


def test_info_of_a_damaged_bundle_is_refused(tiny_bundle: Path, capsys: Capture) -> None:
    (tiny_bundle / "model.onnx").write_bytes(b"x")
    assert run("info", tiny_bundle) == 1
    assert "the file was cut or changed" in error_of(capsys)
