"""`clipspect watch` over a Triton server that goes away and comes back: told and waited for, and nothing is lost."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipspect.recipes.triton_repository import write_triton_repository
from support.kserve import Server
from support.watched import PATIENCE_S, Watching, grey_png, rows_of


@pytest.fixture
def server(tiny_bundle: Path, tmp_path: Path) -> Iterator[Server]:
    write_triton_repository(tiny_bundle, tmp_path / "repository")
    with Server(tmp_path / "repository") as serving:
        yield serving


def watching_with(server: Server, folder: Path, bundle: Path, out: Path) -> Watching:
    return Watching(folder, bundle, out, "--backend", "triton", "--url", server.url, "--health", 0.1)


def test_a_server_that_goes_away_is_waited_for_and_told(
    tiny_bundle: Path, folder: Path, out: Path, server: Server
) -> None:
    (folder / "a.png").write_bytes(grey_png(1))
    with watching_with(server, folder, tiny_bundle, out) as watching:
        watching.wait_for_rows(1)
        server.stop()
        (folder / "b.png").write_bytes(grey_png(2))
        watching.wait_until(lambda: json.loads((out / "health.json").read_text())["problems"])
        (problem,) = json.loads((out / "health.json").read_text())["problems"]
        assert problem.startswith(f"the Triton server at 127.0.0.1:{server.port} is not to be reached")
        assert problem.endswith(": inspection waits for it")
        server.start()
        rows = watching.wait_for_rows(2)
        assert watching.stop() == 0
    assert "clipspect: engine: works again" in watching.err
    assert [row["item"]["file"]["name"] for row in rows] == ["a.png", "b.png"]
    assert {row["engine"]["backend"] for row in rows} == {"triton"}


def test_a_line_that_waits_for_its_server_ends_when_it_is_asked_to(
    tiny_bundle: Path, folder: Path, out: Path, server: Server
) -> None:
    (folder / "a.png").write_bytes(grey_png(1))
    with watching_with(server, folder, tiny_bundle, out) as watching:
        watching.wait_for_rows(1)
        server.stop()
        (folder / "b.png").write_bytes(grey_png(2))
        watching.wait_until(lambda: "inspection waits for it" in watching.said())
        watching.process.send_signal(signal.SIGTERM)
        assert watching.process.wait(PATIENCE_S) == 0
        server.start()
    assert len(rows_of(out)) == 1
    with watching_with(server, folder, tiny_bundle, out) as again:
        rows = again.wait_for_rows(2)
        assert again.stop() == 0
    assert [row["item"]["file"]["name"] for row in rows] == ["a.png", "b.png"]


def test_a_server_that_is_away_at_the_start_is_an_error(
    tiny_bundle: Path, folder: Path, out: Path, server: Server
) -> None:
    server.stop()
    with watching_with(server, folder, tiny_bundle, out) as watching:
        assert watching.process.wait(PATIENCE_S) == 1
    assert "clipspect: error: the Triton server at" in watching.err
    server.start()
