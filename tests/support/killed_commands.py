"""The commands that write, as kills.py starts and kills them: what each needs, and what must hold when it has ended."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from clipspect.base import temporary
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import MANIFEST
from clipspect.cli import main
from clipspect.line.audit import audit
from clipspect.line.feedback import answers_of
from clipspect.recipes.recipe import read_recipe
from clipspect.sinks.records import lines_of, read_records
from support import handmade
from support.drawn_datasets import write_mvtec
from support.lined import quick, write_plan
from support.watched import grey_png

OLD_BUNDLE = Path(__file__).parents[1] / "runtime/recipes/schema1.bundle"
ENGINE = ("--backend", "onnxruntime", "--threads", "1")
FOUND_S, PATIENCE_S = 0.05, 120.0


class FaultError(Exception):
    """What a kill has shown."""


def require(good: object, text: str) -> None:
    if not good:
        raise FaultError(text)


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


def names(place: Path) -> list[str]:
    """Of all that is there, and of the place for temporary files."""
    return sorted(str(path) for root in (place, Path(tempfile.gettempdir())) for path in root.rglob("*"))


def require_readable(place: Path) -> None:
    """Every file that has its final name is whole; of a log that is written, all but its last line."""
    for path in sorted(place.rglob("*")):
        if path.name.startswith(".") or any(part.startswith(".clipspect-") for part in path.parts):
            continue
        try:
            if path.name.endswith(".safetensors") and path.parent.name in {"recipes", "own"} and not is_old(path):
                read_recipe(path)
            elif path.name == MANIFEST and json.loads(path.read_bytes())["schema_version"] == 2:
                Bundle.open(path.parent)
            elif path.suffix == ".json":
                json.loads(path.read_bytes().rstrip(b"\0") or b"{}")
            elif path.suffix == ".html":
                require(path.read_text().rstrip().endswith("</html>"), "cut short")
            elif path.suffix in {".jpg", ".png"} and place / "camera" not in path.parents:
                Image.open(path).load()
            elif path.name == "results.jsonl" and path.stat().st_size:
                whole = [line for line in lines_of(path) if line.whole]
                require(all(json.loads(line.content) for line in whole), "a line is not readable")
        except Exception as error:
            raise FaultError(f"{path}: not readable after the kill: {error}") from error


def is_old(path: Path) -> bool:
    """Whether a recipe is of a bundle that is not converted yet."""
    manifest = path.parents[1] / MANIFEST
    return manifest.exists() and json.loads(manifest.read_bytes())["schema_version"] == 1


def require_nothing_left(place: Path) -> None:
    left = [name for name in names(place) if "/.clipspect-" in name or name.endswith((".partial", ".copying"))]
    require(not left, f"left behind after the next start: {left}")


# --- the commands, and what must hold of what they wrote --------------------------------------------------------------


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


def whole_run(out: Path, parts: int) -> None:
    require(audit([out / "results.jsonl"]).whole, "the chain of results.jsonl is broken")
    require(len(list(read_records(out / "results.jsonl"))) == parts, "results.jsonl: other than a line an image")
    require(len((out / "results.csv").read_text().splitlines()) == parts + 1, "results.csv: other than a row an image")
    require(len(list((out / "overlays").iterdir())) == parts, "overlays: other than one an image")


def one_answer(log: Path) -> None:
    require(len(answers_of(log)) == 1, "other than one answer")


def whole_eval(place: Path) -> None:
    found = [json.loads(line) for line in (place / "out-eval/images.jsonl").read_text().splitlines()]
    images = [row["image"] for row in found]
    expected = len(list((place / "dataset/screw/test").rglob("*.png")))
    require(len(images) == len(set(images)) == expected, f"eval: {len(images)} rows of {expected} images")


def opens(bundle: Path) -> None:
    Bundle.open(bundle)


def rows(out: Path) -> int:
    log = out / "results.jsonl"
    return sum(line.whole for line in lines_of(log)) if log.exists() else 0


def whole_watch(place: Path, out: Path, count: int) -> None:
    records = list(read_records(out / "results.jsonl"))
    require(audit([out / "results.jsonl"]).whole, "the chain is broken")
    seen = Counter(record.item.name for record in records)
    require(len(seen) == count and set(seen.values()) == {1}, f"lost or doubled: {seen}")
    for record in records:
        name = Path(record.item.name).name
        require((out / record.files["sorted"]).read_bytes() == grey_png(int(Path(name).stem)), f"{name}: not sorted")
        require((out / record.files["overlay"]).exists(), f"{name}: no overlay")
    kept = [path for path in out.rglob("*") if path.is_file() and path.suffix in {".png", ".jpg"}]
    require(len(kept) == 2 * count, f"{len(kept)} pictures of {count} images")
