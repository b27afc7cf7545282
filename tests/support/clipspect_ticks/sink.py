"""The sink `tally`: how many frames had which verdict, in a text file, and a picture of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from clipspect import Outcome, Record
from clipspect.sinks import Sink


class Tally(Sink):
    keeps_pictures = True

    def __init__(self, argument: str) -> None:
        self._folder = Path(argument)
        self._counts: Counter[str] = Counter()

    def files(self, record: Record, outcome: Outcome) -> Mapping[str, str]:
        return {} if outcome.frame is None else {"tally": f"{record.id}.png"}

    def take(self, record: Record, outcome: Outcome) -> None:
        self._counts[record.verdict or "none"] += 1
        if outcome.frame is not None:
            outcome.frame.image.save(self._folder / record.files["tally"])

    def __enter__(self) -> Tally:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lines = [f"{verdict} {count}\n" for verdict, count in sorted(self._counts.items())]
        (self._folder / "tally.txt").write_text("".join(lines))


class Jammed(Sink):
    def __init__(self, argument: str) -> None:
        pass

    def take(self, record: Record, outcome: Outcome) -> None:
        raise ZeroDivisionError("no paper")
