"""Results over MQTT, against a real mosquitto that comes and goes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clipspect.base.errors import ClipspectError
from clipspect.sinks.broker import parse_broker
from support.command_line import error_of, run
from support.mosquitto import Listener, Mosquitto, needs_mosquitto
from support.watched import Watching, grey_png, rows_of, wait_for

Capture = pytest.CaptureFixture[str]


def retained_status(broker: Mosquitto, topic: str) -> dict[str, Any]:
    """What one who comes now is told of the watcher."""
    with Listener(broker.port, topic) as listener:
        wait_for(lambda: listener.statuses)
        return listener.statuses[0]


def drop(folder: Path, numbers: range) -> None:
    for number in numbers:
        (folder / f"{number}.png").write_bytes(grey_png(number % 256))


@needs_mosquitto
def test_no_result_is_lost_while_the_broker_and_the_watcher_come_and_go(
    tiny_bundle: Path, folder: Path, out: Path, broker: Mosquitto
) -> None:
    options = ("--mqtt", f"mqtt://127.0.0.1:{broker.port}/line1", "--health", 0.2, "--sort", "none", "--rotate", "10kB")
    with Listener(broker.port, "line1", session="database") as database:
        with Watching(folder, tiny_bundle, out, *options) as watching:
            drop(folder, range(40))
            watching.wait_until(lambda: len(database.results) >= 20)
            broker.stop()
            drop(folder, range(40, 80))
            watching.wait_for_rows(80)  # inspection goes on without a broker
            assert "results wait in the log" in watching.said()
            broker.start()
            watching.wait_until(lambda: len(database.results) >= 80)
            drop(folder, range(80, 120))
            watching.wait_for_rows(90)
            watching.process.kill()
        broker.stop()
        with Watching(folder, tiny_bundle, out, *options) as watching:
            watching.wait_for_rows(120)
            broker.start()
            watching.wait_until(lambda: {row["id"] for row in database.results} == {row["id"] for row in rows_of(out)})
            assert watching.stop() == 0
    assert len(rows_of(out)) == 120
    assert len(list(out.glob("results-*.jsonl"))) > 10
    told = {row["id"]: row for row in database.results}
    assert told == {row["id"]: row for row in rows_of(out)}
    assert [row["chain"]["line"] for row in told.values()] == list(range(1, 121))  # each first in its order
    assert len(database.results) <= 120 + 3 * 10  # what was not acknowledged at one of three interruptions, once more


@needs_mosquitto
def test_the_retained_status_says_online_offline_and_cut_off(
    tiny_bundle: Path, folder: Path, out: Path, broker: Mosquitto
) -> None:
    drop(folder, range(1))
    options = ("--mqtt", f"mqtt://127.0.0.1:{broker.port}/line 1/camera%202", "--health", 0.1)
    topic = "line 1/camera 2"
    with Watching(folder, tiny_bundle, out, *options) as watching:
        watching.wait_for_rows(1)
        watching.wait_until(lambda: retained_status(broker, topic)["inspected"] == 1)
        assert retained_status(broker, topic)["status"] == "online"
        watching.process.kill()
        wait_for(lambda: retained_status(broker, topic)["status"] == "offline")  # the last will
        assert retained_status(broker, topic)["problems"] == ["the connection was lost"]
    with Watching(folder, tiny_bundle, out, *options) as watching:
        watching.wait_until(lambda: retained_status(broker, topic)["status"] == "online")
        assert watching.stop() == 0
    parting = retained_status(broker, topic)
    assert (parting["status"], parting["problems"]) == ("offline", [])
    assert parting["mqtt"]["waiting_bytes"] == 0


@needs_mosquitto
def test_a_broker_that_answers_no_more_loses_nothing_and_keeps_nobody_from_leaving(
    tiny_bundle: Path, folder: Path, out: Path, broker: Mosquitto
) -> None:
    options = ("--mqtt", f"mqtt://127.0.0.1:{broker.port}/line1", "--health", 0.2, "--sort", "none")
    with Listener(broker.port, "line1", session="database") as database:
        with Watching(folder, tiny_bundle, out, *options) as watching:
            drop(folder, range(5))
            watching.wait_until(lambda: len(database.results) == 5)
            broker.freeze()
            drop(folder, range(5, 10))
            watching.wait_for_rows(10)
            watching.wait_until(lambda: "no answer within 5 s: results wait in the log" in watching.said())
            broker.thaw()
            watching.wait_until(lambda: {row["id"] for row in database.results} == {row["id"] for row in rows_of(out)})
            broker.freeze()
            drop(folder, range(10, 11))
            watching.wait_for_rows(11)
            assert watching.stop() == 0
        broker.thaw()
    health = json.loads((out / "health.json").read_text())
    assert (health["status"], health["mqtt"]["acknowledged"]) == ("offline", 10)
    assert 0 < health["mqtt"]["waiting_bytes"] < 3000


def test_a_broker_that_is_not_there_keeps_nothing_up(tiny_bundle: Path, folder: Path, out: Path) -> None:
    drop(folder, range(2))
    with Watching(folder, tiny_bundle, out, "--mqtt", "mqtt://127.0.0.1:9/line1") as watching:
        watching.wait_for_rows(2)
        assert watching.stop() == 0
    health = json.loads((out / "health.json").read_text())
    assert health["mqtt"]["connected"] is False
    assert health["mqtt"]["waiting_bytes"] == (out / "results.jsonl").stat().st_size
    assert "mqtt broker 127.0.0.1:9: " in health["problems"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mqtt", "broker/line1"], "is no address of a broker and a topic: expected mqtt://"),
        (["--mqtt", "mqtt://broker"], "is no address of a broker and a topic"),
        (["--mqtt", "mqtt://broker:port/line1"], "is no address (Port could not be cast"),
        (["--mqtt", "mqtt://me:secret@broker/line1"], "--mqtt-password FILE"),
        (["--mqtt", "mqtt://broker/line+/1"], "cannot be published to"),
        (["--mqtt", "mqtt://broker/line1", "--mqtt-password", "secret"], "names no user"),
        (["--mqtt", "mqtt://me@broker/line1", "--mqtt-password", "none"], "none: the password cannot be read"),
        (["--mqtt-password", "secret"], "there is no --mqtt"),
    ],
)
def test_an_address_that_cannot_be_is_refused(
    folder: Path, out: Path, arguments: list[str], message: str, capsys: Capture
) -> None:
    assert run("watch", folder, "--bundle", "demo", "--out", out, *arguments) == 1
    assert message in (said := error_of(capsys))
    assert "secret@" not in said


@needs_mosquitto
def test_a_user_and_a_password_from_a_file_open_the_door(
    tiny_bundle: Path, folder: Path, out: Path, tmp_path: Path
) -> None:
    home = tmp_path / "mosquitto"
    broker = Mosquitto(home)
    passwords, secret = home / "passwords", tmp_path / "secret"
    secret.write_text("open sesame\n")
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("needs mosquitto_passwd: apt-get install mosquitto")
    subprocess.run([tool, "-b", "-c", passwords, "ali", "open sesame"], check=True, capture_output=True)
    config = home / "mosquitto.conf"
    config.write_text(
        config.read_text().replace("allow_anonymous true", f"allow_anonymous false\npassword_file {passwords}")
    )
    broker.start()
    try:
        for user, connected in (("ali", True), ("baba", False)):
            address = f"mqtt://{user}@127.0.0.1:{broker.port}/line1"
            options = ("--mqtt", address, "--mqtt-password", secret, "--health", 0.1)
            with Watching(folder, tiny_bundle, out, *options) as watching:
                sign = '"connected": true' if connected else "mqtt broker 127.0.0.1:"
                watching.wait_until(lambda sign=sign: sign in watching.said())
                assert watching.stop() == 0
            assert ("ot authori" in watching.err) != connected
    finally:
        broker.stop()


@pytest.mark.parametrize("topic", ["line%FF", "line\udcff"])
def test_a_topic_that_is_no_utf_8_is_refused_in_one_line(topic: str) -> None:
    with pytest.raises(ClipspectError, match=r"--mqtt: the topic .* is no UTF-8: write it so"):
        parse_broker(f"mqtt://host/{topic}")
