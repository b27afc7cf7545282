"""`watch` and `line` over an engine that raises, hangs and answers NaN at random, started again as systemd would:

    PYTHONPATH=tests python -m support.unsteady watch|line SECONDS

Files come for so long. In the end each has exactly one record with its right score, or the error that the engine
answered NaN, and each end of the process said why in its health document.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from clipspect.line.audit import audit
from support import handmade
from support.lined import quick, write_plan
from support.watched import PATIENCE_S, grey_png, rows_of

FAULTY = Path(__file__).with_name("faulty.py")
WAITING = 30  # files, at most, in each folder
ANSWER_WITHIN_S = 2


@dataclass
class Found:
    """What came of it."""

    files: int = 0
    nan_rows: int = 0
    faults: Counter[str] = field(default_factory=Counter)  # what the engine did, as it wrote down
    ends: Counter[str] = field(default_factory=Counter)  # why the process ended, as its health document says
    wrong: list[str] = field(default_factory=list)  # whatever is not as it must be


class Unsteady:
    """A line, or the command watch, whose engine cannot be trusted."""

    def __init__(self, command: str, place: Path) -> None:
        self.found = Found()
        self._faults = place / "faults"
        self._faults.touch()
        bundle, out = handmade.write_bundle(place / "tiny.bundle"), place / "out"
        names = ("top", "side") if command == "line" else ("",)
        self._folders = {place / "in" / name: out / name for name in names}
        self._health = out / "health.json"
        for folder in self._folders:
            folder.mkdir(parents=True)
        options = {"backend": "onnxruntime", "threads": 1, "health": 0.2}
        if command == "line":
            sources = {folder.name: quick(folder) for folder in self._folders}
            plan = write_plan(
                place / "line.toml", sources, bundle=bundle, out=out, answer_within=ANSWER_WITHIN_S, **options
            )
            self._arguments = ["line", str(plan)]
        else:
            options |= {"bundle": bundle, "out": out, "settle": 0.1, "give-up": 0.5, "answer-within": ANSWER_WITHIN_S}
            given = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
            self._arguments = ["watch", str(place / "in"), *given]
        self._dropped = dict.fromkeys(self._folders, 0)
        self._over = threading.Event()

    def run(self, seconds: float) -> Found:
        dropping = threading.Thread(target=self._drop, args=(time.monotonic() + seconds,))
        dropping.start()
        end = time.monotonic() + seconds + PATIENCE_S
        while dropping.is_alive() or not self._all_there():
            self._one_process(dropping, end)
            if time.monotonic() > end:
                self._wrong("not all files have a record, long after the last one came")
                break
        self._over.set()
        dropping.join()
        self._check()
        return self.found

    def _one_process(self, dropping: threading.Thread, end: float) -> None:
        """Until it ends by itself, or all is done."""
        environment = {**os.environ, "CLIPSPECT_FAULTS": str(self._faults)}
        command = [sys.executable, str(FAULTY), "engine at random", *self._arguments]
        said = self._faults.with_name("stderr")
        with said.open("wb") as errors:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=environment)
        while process.poll() is None and (dropping.is_alive() or not self._all_there()) and time.monotonic() < end:
            time.sleep(0.2)
        if process.poll() is None:
            process.terminate()
            status = process.wait(PATIENCE_S)
            if status == 0:
                return
        if process.returncode != 1:
            self._wrong(f"exit status {process.returncode}: {said.read_text()[-500:]}")
            return
        health = json.loads(self._health.read_text())
        causes = [
            cause
            for cause in ("the engine fell over", "the engine has not answered for")
            if any(cause in problem for problem in health["problems"])
        ]
        if health["status"] != "offline" or not causes:
            self._wrong(f"health says {health['status']}, {health['problems']}")
        if "Traceback" in said.read_text():
            self._wrong(said.read_text()[-500:])
        self.found.ends.update(causes)

    def _drop(self, until: float) -> None:
        while time.monotonic() < until and not self._over.is_set():
            for folder in self._folders:
                if self._dropped[folder] - self._recorded(folder) < WAITING:
                    number = self._dropped[folder]
                    hidden = folder / f".{number}"
                    hidden.write_bytes(grey_png(_value(number)))
                    hidden.rename(folder / f"{number}.png")
                    self._dropped[folder] += 1
            time.sleep(0.01)

    def _recorded(self, folder: Path) -> int:
        return sum(path.read_bytes().count(b"\n") for path in self._folders[folder].glob("results*.jsonl"))

    def _all_there(self) -> bool:
        return all(self._recorded(folder) >= count for folder, count in self._dropped.items())

    def _check(self) -> None:
        self.found.faults.update(self._faults.read_text().splitlines())
        for folder, out in self._folders.items():
            rows = rows_of(out)
            names = Counter(row["item"]["file"]["name"] for row in rows)
            expected = Counter(f"{number}.png" for number in range(self._dropped[folder]))
            if names != expected:
                self._wrong(f"{folder.name}: missing {expected - names}, too many {names - expected}")
            self.found.files += len(rows)
            for row in rows:
                name = row["item"]["file"]["name"]
                if row["error"] is not None:
                    self.found.nan_rows += 1
                    if "answered NaN" not in row["error"]:
                        self._wrong(f"{name}: {row['error']}")
                elif round(row["score"] * 255) != _value(int(Path(name).stem)):
                    self._wrong(f"{name}: score {row['score']}")
            if not audit([out / "results.jsonl"]).whole:
                self._wrong(f"{folder.name}: the chain of its log is broken")
        faults, ends = self.found.faults, self.found.ends
        if self.found.nan_rows > faults["answers NaN"]:
            self._wrong(f"{self.found.nan_rows} records of NaN, and {faults['answers NaN']} answers")
        if abs(ends.total() - faults["raises"] - faults["hangs"]) > len(self._folders) * max(1, ends.total() // 10):
            self._wrong(f"the engine did {dict(faults)}, health told {dict(ends)}")

    def _wrong(self, text: str) -> None:
        self.found.wrong.append(text)


def _value(number: int) -> int:
    """The grey value of a file."""
    return 10 + number % 200


def main() -> int:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="clipspect-", dir=memory) as place:
        found = Unsteady(sys.argv[1], Path(place)).run(float(sys.argv[2]))
    print(found)
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
