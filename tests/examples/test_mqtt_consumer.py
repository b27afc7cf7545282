"""examples/mqtt_consumer.py: what `clipspect watch` publishes over a real broker comes once, also what it missed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.installed import ROOT
from support.mosquitto import Mosquitto, needs_mosquitto
from support.watched import Watching, grey_png, wait_for

TOPIC = "line1/camera"
pytestmark = needs_mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@contextmanager
def consumer(broker: Mosquitto, said: Path) -> Iterator[None]:
    command = [sys.executable, str(ROOT / "examples" / "mqtt_consumer.py"), "127.0.0.1", str(broker.port), TOPIC]
    with said.open("a") as out, subprocess.Popen(command, stdout=out) as process:
        yield
        assert process.poll() is None  # it is still there
        process.kill()


def records(said: Path) -> list[str]:
    lines = said.read_text().splitlines() if said.exists() else []
    return sorted(line for line in lines if line.startswith("record"))


def test_every_record_comes_once_also_those_of_the_time_without_it(
    broker: Mosquitto, tiny_bundle: Path, tmp_path: Path
) -> None:
    folder, said = tmp_path / "camera", tmp_path / "said"
    folder.mkdir()
    mqtt = "--mqtt", f"mqtt://127.0.0.1:{broker.port}/{TOPIC}"
    with Watching(folder, tiny_bundle, tmp_path / "out", *mqtt) as watching:
        with consumer(broker, said):
            wait_for(lambda: said.exists() and "status online" in said.read_text())
            (folder / "a.png").write_bytes(grey_png(51))
            wait_for(lambda: len(records(said)) == 1)
        (folder / "b.png").write_bytes(grey_png(204))
        watching.wait_for_rows(2)
        with consumer(broker, said):
            wait_for(lambda: len(records(said)) >= 2)
            (folder / "broken.png").write_bytes(b"no image")
            wait_for(lambda: len(records(said)) >= 3)
        assert watching.stop() == 0
    assert records(said) == [
        f"record {folder / name} {verdict}"
        for name, verdict in (("a.png", None), ("b.png", None), ("broken.png", "error"))
    ]
