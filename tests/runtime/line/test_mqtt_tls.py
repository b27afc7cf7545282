"""Results over MQTT with TLS, to a real mosquitto whose certificate is of a plant's own authority."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.certificates import Authority
from support.command_line import error_of, run
from support.lined import Lining, quick, write_plan
from support.mosquitto import Listener, Mosquitto, needs_mosquitto
from support.signed import needs_openssl, openssl
from support.watched import Watching, grey_png

pytestmark = [needs_mosquitto, needs_openssl]

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def silent(tmp_path: Path) -> Mosquitto:
    """A broker that is not started."""
    return Mosquitto(tmp_path / "mosquitto")


def test_a_line_reaches_a_broker_with_its_plants_authority_and_its_own_certificate(
    tiny_bundle: Path, place: Path, out: Path, authority: Authority, silent: Mosquitto, capsys: Capture
) -> None:
    port = silent.listen_with_tls(authority.certificate, *authority.issue("broker"), client_certificates=True)
    certificate, key = authority.issue("line")
    both = place / "line.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    (place / "camera").mkdir()
    mqtt = {"url": f"mqtts://127.0.0.1:{port}/line1", "ca": authority.certificate, "certificate": both}

    def planned(**mqtt: object) -> Path:
        settings = {"bundle": tiny_bundle, "out": out, "backend": "onnxruntime", "threads": 1, "health": 0.1}
        return write_plan(place / "line.toml", {"camera": quick(place / "camera")}, **settings, mqtt=mqtt)

    silent.start()
    try:
        with Listener(silent.port, "line1") as listener, Lining(planned(**mqtt), out) as line:
            (place / "camera" / "1.png").write_bytes(grey_png(50))
            line.wait_until(lambda: listener.results and listener.statuses)
            assert line.stop() == 0
        assert run("line", planned(**mqtt), "--check") == 0
        assert f"mqtt broker 127.0.0.1:{port}: takes us in" in capsys.readouterr().out
        assert run("line", planned(**{**mqtt, "ca": Authority(place, "stranger").certificate}), "--check") == 1
        assert "CERTIFICATE_VERIFY_FAILED" in capsys.readouterr().out
        del mqtt["certificate"]
        assert run("line", planned(**mqtt), "--check") == 1
        assert "WRONG  mqtt: " in capsys.readouterr().out
    finally:
        silent.stop()


@pytest.mark.slow
def test_watch_sends_nothing_to_a_broker_that_the_plants_authority_does_not_vouch_for_and_reads_its_renewed_file(
    tiny_bundle: Path, folder: Path, out: Path, place: Path, authority: Authority, silent: Mosquitto
) -> None:
    port = silent.listen_with_tls(authority.certificate, *authority.issue("broker"))
    ca = place / "ca.pem"
    ca.write_bytes(Authority(place, "stranger").certificate.read_bytes())
    options = ("--mqtt", f"mqtts://127.0.0.1:{port}/line1", "--mqtt-ca", ca, "--health", 0.1)
    silent.start()
    try:
        with Listener(silent.port, "line1") as listener, Watching(folder, tiny_bundle, out, *options) as watching:
            (folder / "1.png").write_bytes(grey_png(50))
            watching.wait_for_rows(1)
            watching.wait_until(lambda: "CERTIFICATE_VERIFY_FAILED" in watching.said())
            assert listener.results == []
            ca.write_bytes(authority.certificate.read_bytes())
            watching.wait_until(lambda: len(listener.results) == 1)
            assert watching.stop() == 0
    finally:
        silent.stop()


def test_a_certificate_for_another_host_is_refused(
    tiny_bundle: Path, place: Path, out: Path, authority: Authority, silent: Mosquitto, capsys: Capture
) -> None:
    port = silent.listen_with_tls(authority.certificate, *authority.issue("broker", host="192.0.2.1"))
    (place / "camera").mkdir()
    mqtt = {"url": f"mqtts://127.0.0.1:{port}/line1", "ca": authority.certificate}
    plan = write_plan(place / "l.toml", {"a": quick(place / "camera")}, bundle=tiny_bundle, out=out, mqtt=mqtt)
    silent.start()
    try:
        assert run("line", plan, "--check") == 1
        assert "IP address mismatch" in capsys.readouterr().out
    finally:
        silent.stop()


def test_files_that_cannot_serve_are_refused_in_one_line(
    tiny_bundle: Path, folder: Path, out: Path, place: Path, authority: Authority, capsys: Capture
) -> None:
    certificate, key = authority.issue("line")
    locked = place / "locked.pem"
    assert openssl("pkey", "-in", key, "-aes256", "-passout", "pass:word", "-out", locked) == 0
    locked.write_bytes(certificate.read_bytes() + locked.read_bytes())
    (place / "empty.pem").write_bytes(b"")
    secure, plain = ("--mqtt", "mqtts://broker/line1"), ("--mqtt", "mqtt://broker/line1")
    for options, said in (
        ((*plain, "--mqtt-ca", authority.certificate), "is not encrypted"),
        ((*plain, "--mqtt-certificate", locked), "is not encrypted"),
        ((*secure, "--mqtt-ca", place / "none.pem"), "no certificates in PEM that can be read"),
        ((*secure, "--mqtt-ca", place / "empty.pem"), "no certificates in PEM that can be read"),
        ((*secure, "--mqtt-ca", key), "no certificates in PEM that can be read"),
        ((*secure, "--mqtt-certificate", certificate), "with its private key in one PEM file"),
        ((*secure, "--mqtt-certificate", locked), "not encrypted"),
        (("--mqtt-ca", authority.certificate), "there is no --mqtt"),
        (("--mqtt-certificate", locked), "there is no --mqtt"),
    ):
        assert run("watch", folder, "--bundle", tiny_bundle, "--out", out, *options) == 1
        assert said in error_of(capsys)
