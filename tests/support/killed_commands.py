"""The commands that write, as kills.py starts and kills them: what each needs, and what must hold when it has ended."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from clipspect.base import temporary
from clipspect.bundle.signature import make_keys
from clipspect.cli import main
from clipspect.sinks.records import read_records
from support import handmade
from support.drawn_datasets import write_mvtec
from support.killed_results import (
    is_signed,
    names,
    one_answer,
    one_engine,
    opens,
    require,
    rows,
    whole_eval,
    whole_repository,
    whole_run,
    whole_watch,
)
from support.lined import quick, write_plan
from support.watched import grey_png

OLD_BUNDLE = Path(__file__).parents[1] / "runtime/recipes/schema1.bundle"
ENGINE = ("--backend", "onnxruntime", "--threads", "1")
FOUND_S, PATIENCE_S = 0.05, 120.0


@dataclass
class Command:
    """A command line, in the place that it is run in."""

    name: str
    argv: tuple[str, ...]
    prepare: Callable[[Path], None] = lambda place: None  # before it is started for the first time
    more: Callable[[Path], None] = lambda place: None  # between the kill and the second start
    done: Callable[[Path], bool] | None = None  # of one that goes on until it is stopped
    check: Callable[[Path], None] = lambda place: None  # when it has ended well
    had: str = ""  # what it says the second time, where the first has done it already
    seconds: float = field(default=0.0, init=False)  # that it takes

    def start(self, place: Path) -> int:
        """The process of a fork, which has no other way out than its end."""
        child = os.fork()
        if child:
            return child
        status = 70
        temporary._cleared.clear()  # as in a process that has just begun
        atexit._clear()
        with contextlib.suppress(BaseException):
            os.chdir(place)
            output = os.open(place.with_name("output"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            for stream in (1, 2):
                os.dup2(output, stream)
            try:
                status = main(list(self.argv))
            except SystemExit as end:
                status = int(end.code or 0)
        atexit._run_exitfuncs()  # which a fork leaves out
        os._exit(status)

    def run(self, place: Path) -> None:
        """To its end, which must be a good one."""
        start = time.monotonic()
        child = self.start(place)
        ended = 0
        while not ended:
            require(time.monotonic() < start + PATIENCE_S, f"does not end: {said(place)}")
            ended, status = os.waitpid(child, os.WNOHANG)
            if not ended and self.done is not None and self.done(place):
                os.kill(child, signal.SIGTERM)
                _, status = os.waitpid(child, 0)
                break
            time.sleep(0.005)
        self.seconds = self.seconds or time.monotonic() - start
        had = self.had and self.had in said(place)
        require(os.waitstatus_to_exitcode(status) == 0 or had, f"ended with {status}: {said(place)}")

    def killed(self, place: Path, chance: random.Random) -> bool:
        """Whether the kill came before its end: anywhere, or soon after it has begun to write."""
        child = self.start(place)
        if chance.random() < 0.5:
            before, until = names(place), time.monotonic() + self.seconds
            while names(place) == before and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, FOUND_S))
        else:
            time.sleep(chance.uniform(0, self.seconds))
        os.kill(child, signal.SIGKILL)
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def said(place: Path) -> str:
    output = place.with_name("output")
    return output.read_text(errors="replace")[-2000:] if output.exists() else ""


def commands(place: Path, *, export: bool) -> Iterator[Command]:
    write_inputs(place)
    parts = 8
    out = "out-{}".format
    run = ("run", "full.bundle", "good", "--recipe", "object", *ENGINE)
    yield Command("run", (*run, "--out", out("run"), "--report", "run.html"), gone(out("run"), "run.html"),
                  check=lambda place: whole_run(place / out("run"), parts))  # fmt: skip
    own = "own/nut.safetensors"
    given = ("--object", "metal nut", *ENGINE)
    yield Command("recipe", ("recipe", "full.bundle", "nut", "--references", "photos", "--force", *given))
    yield Command("teach", ("teach", "full.bundle", "nut", "--good", "good", "--out", own, "--force", *given))
    good = ("--good", "good", "--anyway", *ENGINE)
    yield Command("calibrate", ("calibrate", "full.bundle", "object", *good, "--report", "calibrate.html"))
    yield Command("roi", ("roi", "full.bundle", own, "2,2 30,2 30,30 2,30", "--photo", "good/0.png"))
    by_hand = ("calibrate", "full.bundle", "nut", "--review", "0.3", "--reject", "0.6")
    yield Command("limits", by_hand)
    yield Command("reuse", ("reuse", "full.bundle", own, "--off"))
    yield Command("sign", ("sign", "full.bundle", "--key", "key.pem"), check=is_signed)
    served = ("--out", out("triton"), "--force")
    yield Command("triton", ("triton", "full.bundle", *served), check=whole_repository)
    rtx = ("--package", "tensorrt_rtx", "--for-compute-capability", "8.6")
    if find_spec("tensorrt_rtx") is not None:
        compiled = ("compile", "full.bundle", "--graph", "zero-shot", "--cache", "cache", "--force", *rtx)
        yield Command("compile", compiled, check=one_engine)
    lot = ("lot", "demo", "good", *ENGINE, "--out", out("lot"), "--report", "lot.html")
    yield Command("lot", lot, gone(out("lot")), check=lambda place: whole_run(place / out("lot"), parts))
    log = "out-answers/results.jsonl"
    yield Command("feedback", ("feedback", log, id_of(place), "good"), check=lambda place: one_answer(place / log))
    yield Command("learn", ("learn", "full.bundle", "object", log, "--by", "limits", "--apply"),
                  had="it was learned from already")  # fmt: skip
    yield Command("drift", ("drift", log, "--chart", "drift.html"))
    data = ("eval", "full.bundle", "dataset", "--layout", "mvtec", *ENGINE)
    yield Command("eval", (*data, "--out", out("eval")), gone(out("eval")), check=whole_eval)
    yield Command("eval without --out", data)
    yield Command("study", ("study", "full.bundle", "object", "parts", "--out", out("study"), *ENGINE))
    yield Command("doctor", ("doctor",))
    yield Command("upgrade", ("upgrade", "old.bundle"), old_bundle, check=lambda place: opens(place / "old.bundle"))
    watch = ("watch", "camera", "--bundle", "full.bundle", "--recipe", "object", "--settle", "0.05", "--give-up", "0.2")
    to = (
        "--out",
        out("watch"),
        "--health",
        "0.1",
        "--overlays",
        "unjudged,pass,fail,uncertain,invalid",
        "--rotate",
        "8kB",
    )
    for sort in ("copy", "move"):
        yield Command(f"watch --sort {sort}", (*watch, *to, "--sort", sort, *ENGINE), camera(8), camera(2, first=8),
                      lambda place: rows(place / out("watch")) == 10,
                      lambda place: whole_watch(place, place / out("watch"), 10))  # fmt: skip
    yield Command("line", ("line", "line.toml"), camera(8), camera(2, first=8),
                  lambda place: rows(place / "out-line") == 10,
                  lambda place: whole_watch(place, place / "out-line", 10))  # fmt: skip
    if export:
        clip = ("--backbone", "tiny.json", "--weights", "tiny.safetensors")
        yield Command("export", ("export", "winclip", *clip, "--out", "new.bundle", "--force"),
                      check=lambda place: opens(place / "new.bundle"))  # fmt: skip


def write_inputs(place: Path) -> None:
    handmade.write_full_bundle(place / "full.bundle")
    make_keys(place / "key.pem", place / "key.public.pem")
    chance = np.random.default_rng(0)
    for folder, count in (("good", 8), ("photos", 2), ("more", 3), ("parts/a", 3), ("parts/b", 3)):
        (place / folder).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(chance.integers(0, 90, (32, 32, 3), np.uint8)).save(place / folder / f"{number}.png")
    write_mvtec(place / "dataset", {"screw": (40, 30)})
    plan = quick(
        place / "camera", sort="copy", overlays=["unjudged", "pass", "fail", "uncertain", "invalid"], recipe="object"
    )
    plan["settle"] = 0.05
    write_plan(place / "line.toml", {"": plan}, bundle="full.bundle", out="out-line", backend="onnxruntime", threads=1)
    text = (place / "line.toml").read_text()
    (place / "line.toml").write_text(text.replace('name = ""\n', ""))


def gone(*paths: str) -> Callable[[Path], None]:
    def remove(place: Path) -> None:
        for path in paths:
            shutil.rmtree(place / path, ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):
                (place / path).unlink()

    return remove


def camera(count: int, first: int = 0) -> Callable[[Path], None]:
    """New files in the watched folder; the first ones into empty folders."""

    def write(place: Path) -> None:
        if not first:
            gone("camera", "out-watch", "out-line")(place)
            (place / "camera").mkdir()
        for number in range(first, first + count):
            (place / f"camera/{number}.png").write_bytes(grey_png(number))

    return write


def old_bundle(place: Path) -> None:
    gone("old.bundle")(place)
    shutil.copytree(OLD_BUNDLE, place / "old.bundle")


def id_of(place: Path) -> str:
    """A run whose records are answered."""
    command = Command("run", ("run", "full.bundle", "more", "--recipe", "object", *ENGINE, "--out", "out-answers"))
    command.run(place)
    return next(iter(read_records(place / "out-answers/results.jsonl"))).id
