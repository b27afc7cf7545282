"""Where results go over MQTT, as a person writes it: mqtt://[USER@]HOST[:PORT]/TOPIC."""

from __future__ import annotations

import importlib.util
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from clipspect.base.errors import ClipspectError
from clipspect.base.installation import pip_install

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_EXAMPLE = "expected mqtt://[USER@]HOST[:PORT]/TOPIC, or mqtts:// with encryption"
_MOST_TOPIC_BYTES = 60_000  # MQTT's limit is 65,535


@dataclass(frozen=True)
class Broker:
    """An MQTT broker and the topic under which this watcher speaks."""

    host: str
    port: int
    topic: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    encrypted: bool = False
    ca: Path | None = None  # a plant's own, in PEM: no other vouches for the broker then; None: the system's
    certificate: Path | None = None  # that we show, with its private key in the same PEM file

    def tls_context(self) -> ssl.SSLContext:
        """With the files as they are now, which are renewed while a line runs. Raises ClipspectError."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ValueError) as error:  # ssl's own are an OSError
            raise ClipspectError(f"--mqtt-ca: {self.ca}: no certificates in PEM that can be read ({error})") from error
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, password="")  # or an encrypted key would ask for one
            except (OSError, ValueError) as error:
                raise ClipspectError(
                    f"--mqtt-certificate: {self.certificate}: not a certificate with its private key in one PEM file, "
                    f"not encrypted ({error})"
                ) from error
        return context

    def result(self, source: str) -> str:
        """The topic of a source's results; of those of the only source, where it has no name."""
        return f"{self.topic}/{source}/result" if source else f"{self.topic}/result"

    @property
    def status(self) -> str:
        """The topic of the retained status."""
        return f"{self.topic}/status"

    @property
    def command(self) -> str:
        """The topic of what a line is to do."""
        return f"{self.topic}/command"

    @property
    def answer(self) -> str:
        """The topic of what it says to that."""
        return f"{self.topic}/answer"

    def __str__(self) -> str:
        return f"mqtt broker {self.host}:{self.port}"


def parse_broker(
    address: str, password_file: Path | None = None, ca: Path | None = None, certificate: Path | None = None
) -> Broker:
    """The broker of an address; the password is the first line of a file. Raises ClipspectError."""
    if importlib.util.find_spec("paho") is None:
        raise ClipspectError(f"--mqtt needs paho-mqtt: {pip_install('mqtt')}")
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")  # or it could not be looked up
    except ValueError as error:
        raise ClipspectError(f"--mqtt: {address!r} is no address ({error}): {_EXAMPLE}") from error
    topic = _topic(parts.path)
    if parts.scheme not in _PORTS or not host or not topic or parts.query:
        raise ClipspectError(f"--mqtt: {address!r} is no address of a broker and a topic: {_EXAMPLE}")
    if parts.password is not None:
        raise ClipspectError("--mqtt: a password there can be read by every user of this machine: --mqtt-password FILE")
    if set(topic) & set("#+\0") or topic.startswith("$") or len(topic.encode()) > _MOST_TOPIC_BYTES:
        raise ClipspectError(
            f"--mqtt: {topic!r:.80} cannot be published to: a topic without # and +, e.g. line1/camera2"
        )
    user = unquote(parts.username) if parts.username else None
    if password_file is not None and user is None:
        raise ClipspectError(f"--mqtt-password: {address!r} names no user: mqtt://USER@HOST/TOPIC")
    password = _password(password_file) if password_file is not None else None
    encrypted = parts.scheme == "mqtts"
    for option, file in (("--mqtt-ca", ca), ("--mqtt-certificate", certificate)):
        if file is not None and not encrypted:
            raise ClipspectError(f"{option}: {address!r:.200} is not encrypted: mqtts://HOST/TOPIC")
    broker = Broker(host, port or _PORTS[parts.scheme], topic, user, password, encrypted, ca, certificate)
    if encrypted:
        broker.tls_context()
    return broker


def _topic(path: str) -> str:
    try:
        topic = unquote(path, errors="strict").strip("/")
        topic.encode()
    except UnicodeError as error:
        raise ClipspectError(f"--mqtt: the topic {path!r:.80} is no UTF-8: write it so") from error
    return topic


def _password(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ClipspectError(f"{path}: the password cannot be read ({error}): check the file and its rights") from error
    if not lines or not lines[0]:
        raise ClipspectError(f"{path}: no password on the first line")
    return lines[0]
