"""Ray: one on this machine for this run alone, or a cluster that is there; and how workers fit into it."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clipspect.base.errors import ClipspectError
from clipspect.base.temporary import temporary_folder
from clipspect.engines.backend import one_line
from clipspect.host.system import usable_cores
from clipspect_lab.archive.extra import be_quiet_at_exit, require_ray

LOCAL, AUTO = "local", "auto"
_OBJECTS = 256_000_000  # bytes of the object store on this machine: it holds paths and records, never images
_MOST_THREADS = 4  # of a worker, where nobody says: more workers of fewer threads inspect more
_ANSWER_S = 5.0


@dataclass(frozen=True)
class Size:
    """How many workers there are, and what each takes."""

    workers: int
    threads: int
    gpus: int  # of one worker


@dataclass
class Logs:
    """Where Ray writes what it has to say, on this machine."""

    folder: Path | None  # None: a cluster's own
    kept: Path | None = None  # the folder's name after the run, where it is kept


@contextlib.contextmanager
def cluster(address: str, workers: int | None, threads: int | None) -> Iterator[Logs]:
    """Ray is there for the block. Raises ClipspectError."""
    ray = require_ray()
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}
    with contextlib.ExitStack() as stack:
        # what Ray prints of workers that end is in its logs; we print nothing on standard output meanwhile
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        if address == LOCAL:
            logs = stack.enter_context(_own_logs())
            cores = max(usable_cores(), (workers or 1) * (threads or 1))
            own = {
                "num_cpus": cores,
                "object_store_memory": _OBJECTS,
                "include_dashboard": False,
                "_temp_dir": str(logs.folder),
            }
            _begin(lambda: ray.init(address=LOCAL, **own, **quiet), "Ray does not start on this machine")
        else:
            _require_answer(address)
            logs = Logs(None)
            _begin(lambda: ray.init(address=address, **quiet), f"{address}: no Ray cluster answers there")
        stack.callback(be_quiet_at_exit)
        stack.callback(ray.shutdown)
        yield logs


def size_of(workers: int | None, threads: int | None, device: str | None) -> Size:
    """How many workers the cluster takes, where it is not said: of 4 threads, or one a GPU. Raises ClipspectError."""
    ray = require_ray()
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores = [int(node.get("CPU", 0)) for node in nodes]
    gpus = int(sum(node.get("GPU", 0) for node in nodes)) if device != "cpu" else 0
    if threads is None:
        most = max(cores, default=1)
        threads = min(most, _MOST_THREADS if workers is None else max(1, sum(cores) // workers))
        if gpus:
            threads = max(1, min(threads, sum(cores) // max(gpus, workers or 1)))
    room = sum(each // threads for each in cores)
    if gpus:
        room = min(room, gpus)
    if workers is None:
        workers = max(1, room)
    if workers > room:
        kind = f" and {gpus} GPUs (--device cpu leaves them)" if gpus else ""
        raise ClipspectError(
            f"{workers} workers of {threads} threads: the cluster has room for {room} of them, with {sum(cores)} "
            f"cores{kind}: give fewer --workers or --threads"
        )
    return Size(workers, threads, 1 if gpus else 0)


@contextlib.contextmanager
def _own_logs() -> Iterator[Logs]:
    """A folder for Ray's logs and sockets, which goes with the run."""
    with temporary_folder() as folder:
        logs = Logs(folder)
        try:
            yield logs
        finally:
            if logs.kept is not None:
                folder.rename(logs.kept)


@contextlib.contextmanager
def standard_error_left_out() -> Iterator[None]:
    """What this process writes there in the block goes nowhere: for a warning of Ray's C++ about how Ray Data works.

    Not for long: what else it says there is to be read.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def _begin(begin: Any, failed: str) -> None:
    try:
        begin()
    except Exception as error:
        raise ClipspectError(f"{failed} ({one_line(error)}): see ray status, or --ray {LOCAL}") from error


def _require_answer(address: str) -> None:
    """Ray itself asks for minutes, and can end the process then."""
    if address == AUTO:
        return
    where = urlsplit(f"//{address}")
    try:
        host, port = where.hostname, where.port
    except ValueError:
        host = port = None
    if "://" in address or not host or not port:
        raise ClipspectError(
            f"--ray {address}: expected {LOCAL}, or, on a machine of the cluster, {AUTO} or HOST:PORT (Ray Data does "
            "not work through ray://)"
        )
    try:
        socket.create_connection((host, port), _ANSWER_S).close()
    except OSError as error:
        raise ClipspectError(
            f"{address}: no Ray cluster answers there ({error.strerror or error}): see ray status, or --ray {LOCAL}"
        ) from error
