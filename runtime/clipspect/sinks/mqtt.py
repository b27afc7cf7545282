"""Logs as an outbox: every line goes to an MQTT broker, however often broker or line stop in between."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

from clipspect.base.document import MismatchError, build
from clipspect.base.errors import ClipspectError
from clipspect.base.files import atomic_file
from clipspect.sinks.broker import Broker
from clipspect.sinks.chain import link_of
from clipspect.sinks.log import Log
from clipspect.sinks.log_file import Position
from clipspect.sinks.records import json_object

if TYPE_CHECKING:
    from paho.mqtt.client import Client

_WINDOW = 10  # lines that are sent before the first is acknowledged; so many can come twice
_LOOK_S = 1.0  # between two looks for new lines, where nothing tells of one
_ANSWER_S = 5.0  # for the broker to acknowledge
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0  # between attempts to connect
_PARTING_S = 5.0  # at the end, for lines that are not sent yet
_CUT_OFF_S = 20.0  # at the end, for a network that does not answer at all
_AT_LEAST_ONCE = 1  # quality of service

Status = Callable[[str], dict[str, Any]]
Command = Callable[[bytes], dict[str, Any]]  # what is said to a message


class Queue:
    """A log, the topic of its lines, and how far the broker has acknowledged them, which stands in a file."""

    def __init__(self, topic: str, log: Log, cursor: Path) -> None:
        self.topic, self._log, self._path = topic, log, cursor
        self._cursor, self.lost = _acknowledged(cursor, log)  # `lost`: lines that cannot be sent any more, in words

    @property
    def waiting_bytes(self) -> int:
        """The part of the log that is not acknowledged."""
        return self._log.bytes_after(self._cursor)

    def next_lines(self) -> list[tuple[bytes, Position]]:
        return list(islice(self._log.lines(self._cursor), _WINDOW))

    def acknowledge(self, place: Position) -> None:
        with atomic_file(self._path) as file:
            file.write(json.dumps({"log": self._log.name, **dataclasses.asdict(place)}).encode())
        self._cursor = place


class Outbox:
    """A thread that sends the lines of logs, each log's in their order, each at least once, and keeps up a retained
    status.

    Lines go out as soon as `news` says that there are some, in turns where there are several logs. TOPIC/status is
    retained: the document that `status` makes, "online" when connected and every `every` seconds, "offline" at the end;
    when we are cut off, the last will says so. What comes to TOPIC/command goes to `command`, where there is one, and
    what that says to TOPIC/answer. Leaving the context sends what is left for up to five seconds while there is a
    broker, then says goodbye.
    """

    def __init__(
        self,
        broker: Broker,
        queues: Sequence[Queue],
        *,
        status: Status,
        every: float,
        problem: Callable[[str | None], None],
        command: Command | None = None,
    ) -> None:
        self._broker, self._queues, self._command = broker, queues, command
        self._status, self._every, self._problem = status, every, problem
        self._acknowledged = 0
        self._connected = False
        self._end: float | None = None  # monotonic, of the parting
        self._news = threading.Event()  # a line, a command, an answer of the broker, a lost connection, the end
        self._thread = threading.Thread(target=self._keep_sending, name="clipspect-mqtt", daemon=True)

    def news(self) -> None:
        """A record is in its log."""
        self._news.set()

    def report(self) -> dict[str, Any]:
        """For the health document: `waiting_bytes` is the part of the logs that is not acknowledged."""
        waiting = sum(queue.waiting_bytes for queue in self._queues)
        return {"connected": self._connected, "acknowledged": self._acknowledged, "waiting_bytes": waiting}

    def __enter__(self) -> Outbox:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end = monotonic() + _PARTING_S
        self._news.set()
        self._thread.join(_PARTING_S + _CUT_OFF_S)

    def _keep_sending(self) -> None:
        pause = _PAUSE_S
        while True:
            try:
                self._send_while_connected()
            except Exception as error:  # whatever it is, the lines are in the log, and it is tried again
                self._problem(f"{self._broker}: {error}: results wait in the log")
            pause = _PAUSE_S if self._connected else pause
            self._connected = False
            until = monotonic() + pause
            while self._end is None and monotonic() < until:
                self._wait(until - monotonic())
            if self._end is not None:
                return
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _send_while_connected(self) -> None:
        """Until the end. Raises OSError, ClipspectError when the connection cannot be made or is lost."""
        connection = Connection(self._broker, self._news, listens=self._command is not None)
        try:
            connection.open(self._wait)
            self._connected = True
            self._problem(None)
            self._send(connection)
        finally:
            connection.close()

    def _send(self, connection: Connection) -> None:
        next_status = 0.0
        while self._end is None or monotonic() < self._end:
            self._obey(connection)
            if monotonic() >= next_status:
                self._send_status(connection, "online")
                next_status = monotonic() + self._every
            ending = self._end is not None  # asked before the look, so that the last line is not overlooked
            if not self._send_lines(connection):
                if ending:
                    break
                self._wait(min(_LOOK_S, next_status - monotonic()))
                connection.check()
        self._send_status(connection, "offline")

    def _send_lines(self, connection: Connection) -> bool:
        """Some of each log; whether there were any."""
        batches = [(queue, lines) for queue in self._queues if (lines := queue.next_lines())]
        sent = [connection.publish(queue.topic, line) for queue, lines in batches for line, _ in lines if link_of(line)]
        if sent:
            self._wait_for_answers(connection, sent)
        for queue, lines in batches:
            queue.acknowledge(lines[-1][1])
            self._acknowledged += len(lines)
        return bool(sent)

    def _obey(self, connection: Connection) -> None:
        while self._command is not None and connection.commands:
            answer = self._command(connection.commands.popleft())
            sent = connection.publish(self._broker.answer, json.dumps(answer).encode())
            self._wait_for_answers(connection, [sent])

    def _send_status(self, connection: Connection, status: str) -> None:
        document = json.dumps(self._status(status)).encode()
        self._wait_for_answers(connection, [connection.publish(self._broker.status, document, retain=True)])

    def _wait_for_answers(self, connection: Connection, sent: list[int]) -> None:
        until = monotonic() + _ANSWER_S
        while not connection.answered(sent):
            connection.check()
            if monotonic() >= until:
                raise ClipspectError(f"no answer within {_ANSWER_S:g} s")
            self._wait(until - monotonic())

    def _wait(self, seconds: float) -> None:
        """Until there is news, which whoever waits then looks for, or for so long."""
        self._news.wait(max(seconds, 0))
        self._news.clear()


class Connection:
    """One connection to the broker, from its opening to its loss; paho's thread tells what comes of it."""

    def __init__(self, broker: Broker, news: threading.Event, *, listens: bool = False) -> None:
        self._broker, self._news, self._listens = broker, news, listens
        self.commands: deque[bytes] = deque()  # that have come, the oldest first
        self._accepted = False
        self._answered: set[int] = set()  # messages, by their number
        self._lost: str | None = None  # why, once it is
        self._client = self._made()

    def open(self, wait: Callable[[float], None]) -> None:
        """Raises OSError, ClipspectError."""
        self._client.connect(self._broker.host, self._broker.port, keepalive=int(2 * _ANSWER_S))
        self._client.loop_start()
        until = monotonic() + _ANSWER_S
        while not self._accepted:
            self.check()
            if monotonic() >= until:
                raise ClipspectError(f"no answer within {_ANSWER_S:g} s")
            wait(until - monotonic())

    def check(self) -> None:
        """Raises ClipspectError when the connection is lost."""
        if self._lost is not None:
            raise ClipspectError(self._lost)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """The message's number."""
        self.check()
        return self._client.publish(topic, payload, _AT_LEAST_ONCE, retain).mid

    def answered(self, messages: list[int]) -> bool:
        """Whether the broker has acknowledged them; asked until it has."""
        if not self._answered.issuperset(messages):
            return False
        self._answered.clear()  # numbers come again; nothing else is under way
        return True

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _made(self) -> Client:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        client.connect_timeout = _ANSWER_S
        if self._broker.user is not None:
            client.username_pw_set(self._broker.user, self._broker.password)
        if self._broker.encrypted:
            client.tls_set_context(self._broker.tls_context())
        will = json.dumps({"status": "offline", "problems": ["the connection was lost"]})
        client.will_set(self._broker.status, will, _AT_LEAST_ONCE, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._lost = str(reason)
        else:
            self._accepted = True
            if self._listens:
                client.subscribe(self._broker.command, _AT_LEAST_ONCE)
        self._news.set()

    def _on_message(self, client: Client, data: Any, message: Any) -> None:
        if not message.retain:  # it would come again with every connection, whatever was asked for since
            self.commands.append(message.payload)
            self._news.set()

    def _on_publish(self, client: Client, data: Any, message: int, reason: Any, properties: Any) -> None:
        self._answered.add(message)
        self._news.set()

    def _on_disconnect(self, client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._lost = self._lost or f"the connection was lost ({reason})"
        self._news.set()


def _acknowledged(cursor: Path, log: Log) -> tuple[Position, str | None]:
    """The place up to which lines are acknowledged; a log that does not fit to it is sent from its start."""
    name, reached = "", Position.before(1)
    try:
        document = json_object(cursor.read_bytes()) or {}
        name = build(str, document.pop("log", ""), str(cursor))
        reached = build(Position, document, str(cursor))
    except (FileNotFoundError, MismatchError):
        pass  # damaged: sent twice is better than not at all
    place, _ = log.resume(name, reached)
    sent = reached.line if name == log.name else 0
    if place.line <= sent:
        return place, None
    return place, (
        f"mqtt: lines {sent + 1} to {place.line} of the log were not sent, and their files are not here: "
        "bring them back and start again, or they stay unsent"
    )
