"""A real mosquitto on this machine, and who listens to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.watched import wait_for

mqtt = pytest.importorskip("paho.mqtt.client", reason='needs paho-mqtt: pip install "clipspect[mqtt]"')

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="needs mosquitto: apt-get install mosquitto")


class Mosquitto:
    """A broker on a free port of this machine, that keeps sessions and retained messages while it is stopped.

    As a context it runs. `home` is made.
    """

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self.port = _free_port()
        self._config = home / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
            f"persistence true\npersistence_location {home}/\nuser root\nset_tcp_nodelay true\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def listen_with_tls(self, ca: Path, certificate: Path, key: Path, *, client_certificates: bool = False) -> int:
        """On a second port, which is returned; before `start`."""
        port = _free_port()
        asked = f"require_certificate true\ncafile {ca}\n" if client_certificates else ""
        with self._config.open("a") as config:
            config.write(f"listener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n{asked}")
        return port

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._process = subprocess.Popen([str(MOSQUITTO), "-c", self._config], stderr=subprocess.DEVNULL)
        wait_for(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self.thaw()
            self._process.terminate()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It keeps its connections and answers no more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", self.port)) == 0


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Listener:
    """A client that hears what is published under a topic; with a `session` also what was while it was away."""

    def __init__(self, port: int, topic: str, session: str = "") -> None:
        self.results: list[dict[str, Any]] = []
        self.statuses: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        version = mqtt.CallbackAPIVersion.VERSION2
        self._client = mqtt.Client(version, client_id=session, clean_session=not session)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._take
        self._client.on_connect = lambda client, *_: client.subscribe(f"{topic}/#", qos=1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _take(self, client: object, data: object, message: Any) -> None:
        kinds = {"result": self.results, "status": self.statuses, "answer": self.answers}
        kind = kinds.get(message.topic.rpartition("/")[2])
        if kind is not None:
            kind.append(json.loads(message.payload))

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, 1, retain).wait_for_publish(60)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
