"""Archives over Ray on this machine: each image once though workers and the driver are killed, memory, and throughput.

    python benchmarks/bench_archive.py [--images 5000] [--timed 384]

5,000 small images by the demo's memory of one photograph, to see the machinery; then by words, which take ten times the
work, with one worker and with two, of one thread each.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

import clipspect
from clipspect.recipes.recipe import write_recipe

_EVERY_S = 0.5
_MB = 1 << 10  # kB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--timed", type=int, default=384, help="in chunks of 64: as many for each worker")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-archive-") as place:
        os.chdir(place)
        _write_images(Path("images"), arguments.images)
        recipe = clipspect.make_recipe("demo", "part", references=["images/part0.jpg"], judge="photos")
        write_recipe(Path("part.safetensors"), recipe)
        _killed(arguments.images)
        _write_images(Path("timed"), arguments.timed)
        _timed()


def _write_images(folder: Path, count: int) -> None:
    folder.mkdir()
    drawn = np.random.default_rng(0)
    for number in range(count):
        pixels = drawn.integers(60, 120, (240, 240, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"part{number}.jpg")


def _killed(count: int) -> None:
    """One worker is killed in the middle, then the driver, which is started again."""
    records = Path("out/records")
    words = ["demo", "images", "--recipe", "part.safetensors", "--out", "out", "--workers", "2", "--records", "500"]
    watched = _Watched()
    first = _started(words)
    watched.until(first, lambda: len(list(records.glob("*.parquet"))) >= 2)
    victim = random.Random(0).choice(_named("ray::Map"))
    os.kill(victim, signal.SIGKILL)
    print(f"worker {victim} was killed after {_count(records)} records")
    watched.until(first, lambda: len(list(records.glob("*.parquet"))) >= count // 1000)
    first.kill()
    first.wait()
    before = _count(records)
    print(f"the driver was killed after {before} records")
    second = _started(words)
    watched.until(second, lambda: False)
    names = [name for path in records.glob("*.parquet") for name in pq.read_table(path)["name"].to_pylist()]
    said = json.loads(second.communicate()[0])
    print(f"started again: {said['inspected']} were inspected; {len(names)} records of {len(set(names))} images")
    assert len(names) == len(set(names)) == count
    watched.print()


def _timed() -> None:
    """One worker and two, in turns."""
    for turn in range(2):
        for workers in (1, 2):
            watched = _Watched()
            run = _started(["demo", "timed", "--out", f"out{turn}{workers}", "--workers", str(workers)])
            watched.until(run, lambda: False)
            said = json.loads(run.communicate()[0])
            print(f"{workers} workers of one thread: {said['inspected'] / said['seconds']:.1f} images a second")
            watched.print()


def _started(words: list[str]) -> subprocess.Popen[str]:
    words = ["archive", *words, "--ray", "local", "--backend", "onnxruntime", "--threads", "1", "--json"]
    return subprocess.Popen([sys.executable, "-m", "clipspect", *words], stdout=subprocess.PIPE, text=True)


class _Watched:
    """The most memory that each kind of process held."""

    def __init__(self) -> None:
        self._most: dict[str, int] = {}

    def until(self, run: subprocess.Popen[str], there: Callable[[], bool]) -> None:
        while run.poll() is None and not there():
            for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
                if (kind := _kind(pid, run.pid)) is not None:
                    self._most[kind] = max(self._most.get(kind, 0), _memory(pid))
            time.sleep(_EVERY_S)

    def print(self) -> None:
        print("most memory of a process, MB:", {kind: most // _MB for kind, most in sorted(self._most.items())})


def _kind(pid: int, driver: int) -> str | None:
    if pid == driver:
        return "driver"
    name = _command(pid)
    for start, kind in (("ray::Map", "worker"), ("ray::Tries", "tries"), ("ray::IDLE", "idle")):
        if name.startswith(start):
            return kind
    for program in ("raylet/raylet", "gcs_server"):
        if program in name.partition(" ")[0]:
            return program.rpartition("/")[2]
    return None


def _named(start: str) -> list[int]:
    return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _command(pid).startswith(start)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _memory(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


def _count(records: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in records.glob("*.parquet"))


if __name__ == "__main__":
    main()
