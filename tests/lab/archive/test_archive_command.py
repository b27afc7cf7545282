"""The command refuses in one line what it cannot do, before it starts anything."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from support import archived
from support.command_line import error_of, run


@pytest.fixture
def images(tmp_path: Path) -> Path:
    archived.write_images(tmp_path / "images", 2)
    return tmp_path / "images"


def test_without_ray_the_extra_is_named(
    tiny_bundle: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run("archive", tiny_bundle, images, "--ray", "local", "--out", tmp_path / "out") == 1
    error = error_of(capsys)
    assert "archives need Ray Data" in error
    assert "[ray]" in error


def test_a_cluster_that_does_not_answer_is_one_line(
    tiny_bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert run("archive", tiny_bundle, images, "--ray", f"127.0.0.1:{port}", "--out", tmp_path / "out") == 1
    assert f"127.0.0.1:{port}: no Ray cluster answers there (Connection refused)" in error_of(capsys)


@pytest.mark.parametrize("address", ["the cluster", "ray://127.0.0.1:10001"])
def test_an_address_that_is_none_is_refused(
    address: str, tiny_bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("archive", tiny_bundle, images, "--ray", address, "--out", tmp_path / "out") == 1
    assert f"--ray {address}: expected local, or, on a machine of the cluster, auto or HOST:PORT" in error_of(capsys)
