"""Mixed work for a given time in one process, which must not grow: python soak.py [SECONDS].

Each round inspects with several inspectors and recipes over one engine, as arrays and files of changing sizes, alone,
in batches, in streams that are left early, from threads, in tiles and with reasons; files that are no images; a run
with overlays and a report; a folder that is watched, with overlays; and opens and closes every engine. What is held is
compared between the rounds after the warm-up (the first third) and the last ones: status 1 where memory grew by more
than 2 %, or where handles or threads are left.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import gc
import io
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

import clipspect
from clipspect.cli import main as command
from clipspect.line.plan import Plan, SourcePlan

ENGINES = ("onnxruntime", "openvino")
GROWTH = 0.02
SIZES = ((64, 48), (240, 240), (333, 517), (600, 800))
WATCHED = 6  # files a round


@dataclass(frozen=True)
class Sample:
    """The process after a round."""

    at: float  # seconds since the start
    memory_kb: int
    handles: int
    threads: int
    processor_s: float
    frames: int  # inspected since the start


class Soak:
    """What is there from round to round."""

    def __init__(self, place: Path) -> None:
        self._place, self._random, self.frames = place, np.random.default_rng(0), 0
        self._inspector = clipspect.load("demo", backend=ENGINES[0], threads=1)
        recipe = self._inspector.recipe
        good = [self._frame(480, 480) for _ in range(4)]
        photos = clipspect.make_recipe("demo", "photos", references=good, judge="photos", backend=ENGINES[0], threads=1)
        tiled = dataclasses.replace(recipe, name="tiled", tiling=clipspect.Tiling(grid=(2, 2)))
        self._others = [self._inspector.with_recipe(other) for other in (photos, tiled)]
        self._photos = photos
        self._folder = place / "images"
        self._folder.mkdir()
        for number, (height, width) in enumerate(SIZES):
            image = Image.fromarray(self._frame(height, width))
            image.save(self._folder / f"{number}.{('png', 'jpg', 'bmp', 'tif')[number]}")
        self._odd = self._odd_files()

    def round(self) -> None:
        self._alone_and_together()
        self._streams()
        self._threads()
        self._odd_ones()
        self._run(self._place / "run")
        self._watch(self._place / "watch")
        for engine in ENGINES:
            self._open_and_close(engine)

    def close(self) -> None:
        for inspector in (*self._others, self._inspector):
            inspector.close()

    def _frame(self, height: int, width: int) -> npt.NDArray[np.uint8]:
        return self._random.integers(0, 256, (height, width, 3), np.uint8)

    def _frames(self) -> list[npt.NDArray[np.uint8]]:
        return [self._frame(*size) for size in SIZES]

    def _odd_files(self) -> list[Path]:
        folder = self._place / "odd"
        folder.mkdir()
        (folder / "empty.png").touch()
        (folder / "text.png").write_text("no image")
        whole = (self._folder / "1.jpg").read_bytes()
        (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
        (folder / "folder.png").mkdir()
        return [*folder.iterdir(), folder / "not-there.png"]

    def _alone_and_together(self) -> None:
        for inspector in (self._inspector, *self._others):
            for frame in self._frames():
                result = inspector.inspect(frame)
                assert np.isfinite(result.anomaly_map).all()
            inspector.inspect_batch(self._frames()[:3])
            self.frames += len(SIZES) + 3

    def _streams(self) -> None:
        for inspector, batch in itertools.product((self._inspector, self._others[0]), (1, 4)):
            outcomes = list(inspector.stream([*self._frames(), *self._odd], batch))
            assert [outcome.error is None for outcome in outcomes] == [True] * len(SIZES) + [False] * len(self._odd)
            left = inspector.stream(self._frames() * 2, batch, keep_pictures=True)
            next(left)
            left.close()
            self.frames += len(SIZES) + 1

    def _threads(self) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._inspector.inspect, self._frames()))
        self._inspector.use_recipe(self._photos)
        self._inspector.inspect(self._frame(*SIZES[0]))
        self._inspector.use_recipe("object")
        self.frames += len(SIZES) + 1

    def _odd_ones(self) -> None:
        for path in self._odd:
            with contextlib.suppress(clipspect.ImageError):
                self._inspector.inspect(path)
                raise AssertionError(f"{path} was inspected")

    def _run(self, out: Path) -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            arguments = [str(self._folder), str(self._odd[0].parent), "--out", str(out), "--report", f"{out}.html"]
            assert command(["run", "demo", *arguments, "--explain", "--backend", ENGINES[0], "--threads", "1"]) == 1
        self.frames += len(SIZES)
        shutil.rmtree(out)

    def _watch(self, out: Path) -> None:
        """A line with one folder, until each file has its record."""
        folder = self._place / "camera"
        folder.mkdir()
        source = SourcePlan(f"folder:{folder}", settle=0.1, give_up=0.2, overlays=("unjudged",), sort="move")
        plan = Plan("demo", str(out), (source,), backend=ENGINES[0], threads=1, health=0.5)
        with contextlib.redirect_stderr(io.StringIO()), clipspect.Line(plan) as line:
            line.load()
            running = threading.Thread(target=line.run)
            running.start()
            for number in range(WATCHED):
                Image.fromarray(self._frame(*SIZES[number % 3])).save(folder / f".{number}.png")
                os.rename(folder / f".{number}.png", folder / f"{number}.png")
            end = time.monotonic() + 300
            while line.document("")["inspected"] < WATCHED and running.is_alive():
                assert time.monotonic() < end, "the line does not come to its end"
                time.sleep(0.05)
            line.stop()
            running.join()
        assert len(list(clipspect.read_records(out / "results.jsonl"))) == WATCHED
        self.frames += WATCHED
        for path in (folder, out):
            shutil.rmtree(path)

    def _open_and_close(self, engine: str) -> None:
        with clipspect.load("demo", backend=engine, threads=1, explain=True) as inspector:
            assert inspector.inspect(self._frame(*SIZES[2])).explanation is not None
            inspector.with_recipe(self._photos).close()
        self.frames += 1


def sample(start: float, frames: int) -> Sample:
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # what is free already, but kept by the C library, is no growth
        ctypes.CDLL(None).malloc_trim(0)
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    times = os.times()
    return Sample(
        round(time.monotonic() - start, 1),
        int(status["RssAnon"].split()[0]),
        len(os.listdir("/proc/self/fd")),
        int(status["Threads"]),
        times.user + times.system,
        frames,
    )


def judged(samples: list[Sample]) -> dict[str, bool]:
    """What has to hold, of the rounds after the warm-up."""
    early, late = _ends(samples)
    return {
        f"memory grew by at most {GROWTH:.0%}": _median(late, lambda of: of.memory_kb)
        <= (1 + GROWTH) * _median(early, lambda of: of.memory_kb),
        "no handle is left": min(of.handles for of in late) <= min(of.handles for of in early),
        "no thread is left": min(of.threads for of in late) <= min(of.threads for of in early),
    }


def _ends(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """The rounds after the warm-up, and the last ones."""
    warm = samples[len(samples) // 3 :]
    count = max(1, len(warm) // 4)
    return warm[:count], warm[-count:]


def _median(samples: list[Sample], value: Callable[[Sample], float]) -> float:
    return statistics.median(map(value, samples))


def main() -> int:
    if "MALLOC_ARENA_MAX" not in os.environ:  # else threads share the C library's arenas by chance: steps of a tenth
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "MALLOC_ARENA_MAX": "1"})
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    start, samples = time.monotonic(), list[Sample]()
    with tempfile.TemporaryDirectory(prefix="clipspect-soak-") as place:
        soak = Soak(Path(place))
        for number in itertools.count():
            soak.round()
            samples.append(sample(start, soak.frames))
            print(json.dumps(dataclasses.asdict(samples[-1])), flush=True)
            if time.monotonic() > start + seconds and number >= 8:
                break
        soak.close()
    early, late = _ends(samples)
    for name, value in (("memory_kb", "memory"), ("handles", "handles"), ("threads", "threads")):
        before, after = (_median(part, lambda of, name=name: getattr(of, name)) for part in (early, late))
        print(f"{value}: {before:g} after the warm-up, {after:g} at the end ({after / before - 1:+.2%})")
    spent, frames = samples[-1].processor_s - samples[0].processor_s, samples[-1].frames - samples[0].frames
    print(f"{len(samples)} rounds, {samples[-1].frames} frames, {spent / frames:.4f} CPU seconds a frame")
    kept = judged(samples)
    for what, good in kept.items():
        print(f"{'kept' if good else 'BROKEN'}: {what}")
    return 0 if all(kept.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
