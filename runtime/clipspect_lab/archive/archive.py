"""Inspecting an archive: list what is not done, have the workers of a Ray cluster inspect it, write what comes back."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa

from clipspect.base.errors import ClipspectError
from clipspect.base.plug_ins import described
from clipspect.base.progress import Progress, quiet
from clipspect.engines.backend import one_line
from clipspect.engines.engine import CPU, engine_named
from clipspect_lab.archive import store as folder
from clipspect_lab.archive.cluster import Size, cluster, size_of, standard_error_left_out
from clipspect_lab.archive.decided import Decided
from clipspect_lab.archive.extra import require_ray
from clipspect_lab.archive.listed import chunks, not_done
from clipspect_lab.archive.rows import written_name
from clipspect_lab.archive.source import Source, open_source
from clipspect_lab.archive.store import About, Store, Tally
from clipspect_lab.archive.tries import TRIES, Tries
from clipspect_lab.archive.worker import CHUNK_NUMBER, STOP, Found, Task, Worker, look


@dataclass(frozen=True)
class Request:
    """What is asked for."""

    task: Task
    source: str
    column: str | None
    out: Path
    ray: str
    workers: int | None
    records_a_file: int


@dataclass(frozen=True)
class Archived:
    """What there is at the end, and what this run did of it."""

    tally: Tally
    decided: Decided
    inspected: int  # by this run
    seconds: float  # from the first chunk to the last
    size: Size
    lost: int  # workers' processes that ended in the middle of their work


def archive(request: Request, progress: Progress = quiet) -> Archived:
    """Raises ClipspectError; what is finished by then is written."""
    with folder.opened(request.out, request.records_a_file) as store:
        for name in store.read():
            _say(f"{request.out / name} is gone: its images are inspected again")
        source, images = open_source(request.source, request.column, request.out)
        waiting = _waiting(images, store)
        with cluster(request.ray, request.workers, request.task.options.get("threads")) as logs:
            done = _inspected(request, store, source, waiting, progress)
            if done.lost:
                where = "of the cluster"
                if logs.folder is not None:
                    logs.kept = logs.folder.with_name(logs.folder.name.removeprefix("."))
                    where = f"in {logs.kept}"
                _say(f"{done.lost} times a worker's process ended, and another went on: see the logs {where}")
            return done


def _inspected(request: Request, store: Store, source: Source, images: pa.Table, progress: Progress) -> Archived:
    task = request.task
    before = store.about()
    if before is not None and task.backend is None:  # the engine that the archive was begun with: no new competition
        engine = before.decided.engine
        task = dataclasses.replace(task, backend=engine.backend, options={"device": engine.device, **task.options})
    threads, device = task.options.get("threads"), task.options.get("device")
    if task.backend is not None and engine_named(task.backend).remote:  # the device is the server's
        size = size_of(request.workers, threads or 1, CPU)
    else:
        size = size_of(request.workers, threads, device)
        task = dataclasses.replace(task, options={**task.options, "threads": size.threads})
    found = _looked(task, source, size)
    store.begin(About(1, request.source, request.column, found.decided))
    if found.guard:
        _say(found.guard)
    task = dataclasses.replace(
        task, backend=found.decided.engine.backend, options={**task.options, "device": found.decided.engine.device}
    )
    tries = _Counted()
    start, done, total = perf_counter(), store.tally.images, store.tally.images + len(images)
    progress("", done, total)
    for table in _answers(task, source, found.decided, images, size, tries):
        store.add(table)
        done += len(table)
        progress("", done, total)
    seconds = perf_counter() - start
    store.write()
    return Archived(store.tally, found.decided, len(images), seconds, size, tries("lost"))


def _answers(
    task: Task, source: Source, decided: Decided, images: pa.Table, size: Size, tries: _Counted
) -> Iterator[pa.Table]:
    """Tables of records, of each image one. Raises ClipspectError where a worker says that it cannot go on."""
    if len(images) == 0:
        return
    ray = require_ray()
    tables = [
        chunk.append_column(CHUNK_NUMBER, pa.array(np.full(len(chunk), number)))
        for number, chunk in enumerate(chunks(images))
    ]
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    records = ray.data.from_arrow(tables).map_batches(
        Worker,
        fn_constructor_kwargs={
            "task": task,
            "source": source,
            "decided": decided,
            "tries": tries,
            "most_loads": TRIES + size.workers - 1,
        },
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=size.workers),
        num_cpus=size.threads,
        num_gpus=size.gpus,
    )
    missing = np.zeros(_end(images), bool)
    missing[images["number"].to_numpy()] = True
    for table in _given(records.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)):
        if reasons := table[STOP].drop_null().to_pylist():
            raise ClipspectError(reasons[0])
        new = missing[table["number"].to_numpy()]
        missing[table["number"].to_numpy()] = False
        yield table.drop_columns([STOP]).filter(pa.array(new))
    if missing.any():
        raise ClipspectError(f"{missing.sum()} images came back without a record: start the command again")


def _given(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """What Ray gives; whatever it raises on the way becomes one clear error."""
    try:
        with contextlib.ExitStack() as starting:
            starting.enter_context(standard_error_left_out())
            for table in tables:
                starting.close()
                yield table
    except Exception as error:
        reason = " ".join(described(error).split())
        raise ClipspectError(f"Ray failed ({reason:.300}), what is finished is kept: start again") from error


def _end(images: pa.Table) -> int:
    return int(images["number"].to_numpy().max(initial=-1)) + 1


class _Counted:
    """Calls a `Tries` in a process of its own; travels to the workers."""

    def __init__(self) -> None:
        ray = require_ray()
        self._actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Tries).remote()

    def __call__(self, method: str, *arguments: Any) -> Any:
        return require_ray().get(getattr(self._actor, method).remote(*arguments))


def _looked(task: Task, source: Source, size: Size) -> Found:
    """What workers will be. Raises ClipspectError."""
    ray = require_ray()
    try:
        found = ray.get(
            ray.remote(num_cpus=size.threads, num_gpus=size.gpus, max_calls=1, max_retries=TRIES - 1)(look).remote(
                task, source
            )
        )
    except ray.exceptions.RayError as error:
        raise ClipspectError(
            f"a worker ended while it loaded the engine ({one_line(error)}): see clipspect verify"
        ) from error
    if isinstance(found, ClipspectError):
        raise found
    assert isinstance(found, Found)
    return found


def _waiting(images: pa.Table, store: Store) -> pa.Table:
    if len(store.done) == 0:
        return images

    names = pa.array([written_name(os.fsdecode(path)) for path in images["path"].to_pylist()], pa.string())
    return not_done(images, names, store.done)


def _say(text: str) -> None:
    logging.getLogger("clipspect").warning(text)
