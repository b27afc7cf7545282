"""The log as an outbox: every line goes to an MQTT broker, however often broker or watcher stop in between."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from clipspect.base.errors import ClipspectError
from clipspect.base.files import atomic_file
from clipspect.sinks.broker import Broker
from clipspect.sinks.log import Log

if TYPE_CHECKING:
    from aiomqtt import Client

_WINDOW = 10  # lines that are sent before the first is acknowledged; so many can come twice
_STEP_S = 0.1  # between two looks for new lines
_ANSWER_S = 5.0  # for the broker to acknowledge
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0  # between attempts to connect
_PARTING_S = 5.0  # at the end, for lines that are not sent yet
_AT_LEAST_ONCE = 1  # quality of service

Status = Callable[[str], dict[str, Any]]


class Outbox:
    """A thread that sends the lines of a log, in their order, each at least once, and keeps up a retained status.

    The lines go to TOPIC/result. How far the broker has acknowledged them stands in the file `cursor`, so that what
    was not sent when either side stopped is sent later. TOPIC/status is retained: the document that `status` makes,
    "online" when connected and every `every` seconds, "offline" at the end; when we are cut off, the last will says so.
    """

    def __init__(
        self,
        broker: Broker,
        log: Log,
        cursor: Path,
        *,
        status: Status,
        every: float,
        problem: Callable[[str | None], None],
    ) -> None:
        self._broker, self._log, self._path = broker, log, cursor
        self._status, self._every, self._problem = status, every, problem
        self._cursor = _read(cursor, log)
        self._acknowledged = 0
        self._connected = False
        self._end: float | None = None  # monotonic, of the parting
        self._thread = threading.Thread(target=lambda: asyncio.run(self._keep_sending()), name="clipspect-mqtt")

    def start(self) -> None:
        self._thread.start()

    def report(self) -> dict[str, Any]:
        """For the health document: `waiting_bytes` is the part of the log that is not acknowledged."""
        waiting = self._log.size - self._cursor
        return {"connected": self._connected, "acknowledged": self._acknowledged, "waiting_bytes": waiting}

    def close(self) -> None:
        """Send what is left for up to five seconds while there is a broker, then say goodbye."""
        self._end = monotonic() + _PARTING_S
        self._thread.join()

    async def _keep_sending(self) -> None:
        from aiomqtt import MqttError

        pause = _PAUSE_S
        while True:
            try:
                async with self._client() as client:
                    self._connected, pause = True, _PAUSE_S
                    self._problem(None)
                    await self._while_connected(client)
            except (MqttError, OSError, ClipspectError) as error:
                self._problem(f"{self._broker}: {error}: results wait in the log")
            self._connected = False
            until = monotonic() + pause
            while self._end is None and monotonic() < until:
                await asyncio.sleep(_STEP_S)
            if self._end is not None:
                return
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _client(self) -> Client:
        from aiomqtt import Client, Will

        logger = logging.getLogger("clipspect.mqtt")
        logger.setLevel(logging.CRITICAL)  # what matters comes as an error
        will = json.dumps({"status": "offline", "problems": ["the connection was lost"]})
        return Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.user,
            password=self._broker.password,
            tls_context=ssl.create_default_context() if self._broker.encrypted else None,
            will=Will(self._broker.status, will, _AT_LEAST_ONCE, retain=True),
            timeout=_ANSWER_S,
            keepalive=int(2 * _ANSWER_S),
            logger=logger,
        )

    async def _while_connected(self, client: Client) -> None:
        """Until the end, or the connection is lost, which also an idle client is to notice."""
        tasks = [asyncio.ensure_future(self._send(client)), asyncio.ensure_future(_until_lost(client))]
        done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for task in done:
            task.result()

    async def _send(self, client: Client) -> None:
        next_status = 0.0
        while self._end is None or monotonic() < self._end:
            if monotonic() >= next_status:
                await self._send_status(client, "online")
                next_status = monotonic() + self._every
            ending = self._end is not None  # asked before the look, so that the last line is not overlooked
            lines = list(islice(self._log.lines(self._cursor), _WINDOW))
            if lines:
                sent = (client.publish(self._broker.result, line, _AT_LEAST_ONCE) for line, _ in lines)
                await asyncio.gather(*sent)
                self._acknowledge(lines[-1][1], len(lines))
            elif ending:
                break
            else:
                await asyncio.sleep(_STEP_S)
        await self._send_status(client, "offline")

    async def _send_status(self, client: Client, status: str) -> None:
        await client.publish(self._broker.status, json.dumps(self._status(status)), _AT_LEAST_ONCE, retain=True)

    def _acknowledge(self, offset: int, lines: int) -> None:
        with atomic_file(self._path) as file:
            file.write(json.dumps({"offset": offset}).encode())
        self._cursor = offset
        self._acknowledged += lines


async def _until_lost(client: Client) -> None:
    async for _ in client.messages:  # none comes: nothing is subscribed to
        pass


def _read(cursor: Path, log: Log) -> int:
    """The offset up to which lines are acknowledged; a log that does not fit to it is sent from its start."""
    try:
        offset = json.loads(cursor.read_bytes())["offset"]
    except FileNotFoundError:
        return 0
    except (ValueError, LookupError, TypeError):
        return 0  # damaged: sent twice is better than not at all
    return offset if isinstance(offset, int) and log.starts_line(offset) else 0
