"""Contenders in processes of their own, run in turns on the same image: fair on a machine with neighbours, too."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

import numpy as np

CONTENDERS = Path(__file__).parent / "contenders"
THREADS = 2
MAP_TOLERANCE = 1e-3  # between contenders that compute in fp32


@dataclass
class Contender:
    """One process. `row` is what a table says of it."""

    name: str
    python: Path
    script: str
    arguments: Sequence[str]
    exact: bool = True  # whether its answer must equal the first contender's
    milliseconds: list[float] = field(default_factory=list)
    cold_start: float = 0.0  # seconds from the process's start to its first answer
    peak_bytes: int = 0
    about: str = ""
    score: float = 0.0
    sample: Any = None

    def __enter__(self) -> Contender:
        start = perf_counter()
        environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "PYTHONPATH": str(CONTENDERS)}
        self.process = subprocess.Popen(
            [str(self.python), str(CONTENDERS / self.script), *map(str, self.arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        first = self._answer()
        self.cold_start = perf_counter() - start
        self.about, self.score, self.sample = first["about"], first["score"], np.array(first["map"])
        self._ask("memory")
        self.peak_bytes = self._answer()["bytes"]
        return self

    def run(self) -> None:
        self._ask("run")
        self.milliseconds.append(self._answer()["ms"])

    def row(self) -> dict[str, Any]:
        """Medians, never a single time."""
        ordered = sorted(self.milliseconds)
        return {
            "name": self.name,
            "about": self.about,
            "runs": len(ordered),
            "p50_ms": statistics.median(ordered),
            "min_ms": ordered[0],
            "max_ms": ordered[-1],
            "cold_start_s": self.cold_start,
            "peak_mb": self.peak_bytes / 1e6,
        }

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()

    def _ask(self, word: str) -> None:
        assert self.process.stdin is not None
        print(word, file=self.process.stdin, flush=True)

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with status {self.process.wait()}; its last words are above")
        document: dict[str, Any] = json.loads(line)
        return document


def one_round(contenders: Sequence[Contender]) -> None:
    """Each once, in turn."""
    for contender in contenders:
        contender.run()


def require_agreement(contenders: Sequence[Contender]) -> None:
    """All exact contenders answered the first one's score and map: what is timed is the same work."""
    first = contenders[0]
    for other in contenders[1:]:
        difference = max(abs(other.score - first.score), float(np.abs(other.sample - first.sample).max()))
        if other.exact and not difference <= MAP_TOLERANCE:
            raise AssertionError(f"{other.name} differs from {first.name} by {difference:.2g}")


def here() -> Path:
    return Path(sys.executable)
