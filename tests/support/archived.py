"""Archives as tests make them: images, a worker without Ray, and faults in processes that tests do not start."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from clipspect.cli import main
from clipspect_lab.archive.decided import Decided
from clipspect_lab.archive.listed import chunks
from clipspect_lab.archive.source import Source, open_source
from clipspect_lab.archive.tries import Tries
from clipspect_lab.archive.worker import CHUNK_NUMBER, Task, Worker

# Python imports it at the start of each process: it ends the process that opens poison.png, and the first one only that
# opens fatal.png, as a decoder's fault or the kernel's want of memory would.
SITE = """
import os, signal, sys


def hook(event, arguments):
    if event != "open" or not isinstance(arguments[0], (str, bytes)):
        return
    name = os.path.basename(os.fsdecode(arguments[0]))
    if name == "fatal.png":
        try:
            os.close(os.open(os.environ["FATAL_ONCE"], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
    if name in ("fatal.png", "poison.png"):
        os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(hook)
"""


def write_images(folder: Path, count: int) -> list[Path]:
    """Grey images with a brighter spot, each another, of several sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = np.random.default_rng(0)
    paths = []
    for number in range(count):
        pixels = np.full((32 + number % 3, 40, 3), 60 + number % 100, np.uint8)
        pixels[5:9, 6 : 10 + number % 7] = drawn.integers(120, 255)
        Image.fromarray(pixels).save(path := folder / f"part{number}.png")
        paths.append(path)
    return paths


def task_of(bundle: Path, batch: int = 1) -> Task:
    options = {"device": "cpu", "threads": 1}
    return Task(os.fspath(bundle), None, "onnxruntime", options, None, batch, os.getcwd())


def inspected(bundle: Path, source: str, column: str | None = None, *, tries: Tries | None = None) -> pa.Table:
    """What one worker answers to all chunks of a source, in this process."""
    found, images = open_source(source, column, Path("out"))
    worker = begun(bundle, found, tries or Tries())
    return pa.concat_tables(worker(chunk) for chunk in numbered_chunks(images))


def begun(bundle: Path, source: Source, tries: Tries, decided: Decided | None = None) -> Worker:
    """A worker in this process; by default the one that decides."""
    task = task_of(bundle)
    if decided is None:
        with task.load() as inspector:
            decided = Decided.by(inspector)
    return Worker(task, source, decided, lambda name, *words: getattr(tries, name)(*words), 3)


def numbered_chunks(images: pa.Table) -> Iterator[pa.Table]:
    """As they come to workers."""
    for number, chunk in enumerate(chunks(images)):
        yield chunk.append_column(CHUNK_NUMBER, pa.array([number] * len(chunk)))


def records_of(table: pa.Table) -> list[dict[str, Any]]:
    """The documents, in the source's order, without what no two runs have alike."""
    return [timeless(json.loads(text)) for text in table.sort_by("number")["record"].to_pylist()]


def records_of_run(bundle: Path, source: str, out: Path) -> list[dict[str, Any]]:
    """The same of `clipspect run`."""
    words = ["run", bundle, source, "--backend", "onnxruntime", "--threads", 1, "--json", "--sink", f"jsonl:{out}"]
    main([str(word) for word in words])
    return [timeless(json.loads(line)) for line in out.read_text().splitlines()]


def timeless(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "id": "", "time": "", "timings_ms": None, "latency_ms": None, "files": {}, "chain": None}


def read_archive(out: Path) -> pa.Table:
    """All records of an archive's folder."""
    return pa.concat_tables(pq.read_table(path) for path in sorted((out / "records").glob("*.parquet")))
