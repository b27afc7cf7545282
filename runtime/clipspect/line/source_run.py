"""The loop of one source of a line: its frames in, one line of its log each, a file into its verdict's folder.

The line in the log is the moment that counts. Before it, a file is as if never seen; after it, the file is done, and
what is left (the index, the sorting, MQTT) is caught up with after a restart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

from clipspect.base.errors import ClipspectError
from clipspect.base.lock import only_writer_in
from clipspect.frame.item import Item
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record, record_of
from clipspect.inspection.stream import outcomes_of
from clipspect.line.drift_kept import KeptDrift
from clipspect.line.feed import Feed, FolderFeed, StreamFeed
from clipspect.line.followed_recipe import FollowedRecipe
from clipspect.line.health import Health
from clipspect.line.plan import OWN, Plan, SourcePlan
from clipspect.line.recipes_in_use import RecipesInUse
from clipspect.line.stop import Stop
from clipspect.sinks.kept_link import RESULTS
from clipspect.sinks.log import Log
from clipspect.sinks.overlays import Overlays, parse_verdicts
from clipspect.sinks.registry import open_sink
from clipspect.sinks.sink import Sink, with_files
from clipspect.sinks.sorting import VERDICT_FOLDERS, Sorter, verdict_folder

_RETRY_S = 1.0  # between attempts at what a full disk or a lost share keeps from working
_LOOK_FOR_STOP_S = 0.1  # between two looks whether to stop
_REMEDY = {
    "sink": "mend what it writes to",
    "log": "make room",
    "index": "make room",
    "sorting": "make room and check the rights, or start again with another --sort",
}


class SourceRun:
    """A context manager that holds the source's folder of results; `run` it with the recipes in use.

    Raises ClipspectError at once for a folder that is not there, a folder of results that cannot be written or that
    another process has, and a log that was damaged by other than an interruption.
    """

    def __init__(self, source: SourcePlan, plan: Plan, stop: Stop, logged: Callable[[Record, Outcome], None]) -> None:
        """`logged` is called with each record once it is in the log."""
        self.source, self.place, self.health = source, plan.place(source), Health(source.name)
        self.state = "starting"  # running, ended, failed
        self._plan, self._stop, self._logged = plan, stop, logged
        self._sorter: Sorter | None = None
        self._overlays: Overlays | None = None
        if source.overlays:
            verdicts = parse_verdicts(",".join(source.overlays))
            self._overlays = Overlays(self.place, verdicts=verdicts, by_id=True)
        drawn = [] if self._overlays is None else [self._overlays]
        self._sinks: list[Sink] = [*drawn, *(open_sink(text) for text in source.sinks)]
        self._handed_out = self._came_back = 0  # items, and those that are done with
        self._moved = monotonic()  # when the last outcome came, or an item when there was none under way
        self._last_item = monotonic()

    def __enter__(self) -> SourceRun:
        with ExitStack() as stack:
            stack.enter_context(only_writer_in(self.place))
            self.log = stack.enter_context(closing(Log(self.place / RESULTS, self._plan.rotation)))
            if self.log.repaired:
                self.health.say(
                    f"{self.log.path}: the last line was cut short and is removed; its image is inspected again"
                )
            self.health.problem("chain", self.log.broken)
            self._feed = stack.enter_context(self._made_feed())
            for sink in self._sinks:
                stack.enter_context(sink)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def use(self, recipes: RecipesInUse) -> None:
        """What judges. Raises ClipspectError where the log cannot be read."""
        self.recipes = recipes
        self.drift = KeptDrift(self.place / OWN / "drift.json", self.log, recipes.first.recipe, self.health)
        if self._overlays is not None:
            self._overlays.map_range = lambda: recipes.first.map_range

    def run(self) -> None:
        """Inspect what comes until the source ends or stop is asked for. A disk that is full is waited for; any error
        but the source's own is raised, BackendError for one.
        """
        self.state = "running"
        if self._sorter is not None and (last := self.log.last()) is not None:
            self._retry("sorting", self._sorted(last))  # the last run can have ended before its image was sorted
        keep_pictures = any(sink.keeps_pictures for sink in self._sinks)
        items = self._counted(self._feed.items())
        outcomes = outcomes_of(self.recipes, items, keep_pictures=keep_pictures)
        try:
            with closing(outcomes), closing(self._feed):  # the feed first: who waits for a file is let go
                for outcome in outcomes:
                    self._moved = monotonic()
                    self._finish(outcome)  # writes to disks and sinks, which can hang
                    self._came_back += 1
                    if self._stop:
                        break
        finally:
            with suppress(ValueError):  # a thread waits in the source still, and is left behind
                items.close()
        self.state = "ended" if self._feed.failed is None else "failed"

    def let_go(self) -> None:
        """End who waits for the source: stop was asked for. Any thread may call, again and again."""
        self._feed.close()

    @property
    def failed(self) -> str | None:
        """What the source, which is not opened again, ended with."""
        return self._feed.failed

    def stalled(self, answer_within: float, turns: int) -> str | None:
        """What does not answer; None where all does. `turns` sources take turns at the engine."""
        now = monotonic()
        if self.state != "running":
            return None
        looking = self._feed.looking_since
        if looking is not None and now - looking > answer_within:
            return f"{self.source.shown} has not answered for over {answer_within:g} s: check the share it is on"
        quiet = now - max(self._moved, looking or 0.0)  # outcomes wait while a large folder is read
        if self._handed_out > self._came_back and quiet > answer_within * turns:
            return f"an image of {self.source.shown} has been under way for over {answer_within * turns:g} s"
        return None

    def silence(self) -> str | None:
        """What is to be told of a source that gives nothing for longer than its plan says."""
        longest = self.source.silent_after
        if longest is None or monotonic() - self._last_item <= longest:
            return None
        return f"no image for over {longest:g} s"

    @property
    def background(self) -> list[FollowedRecipe]:
        """The threads beside it that nobody waits for."""
        return self.recipes.followed if self.state == "running" else []

    def document(self) -> dict[str, Any]:
        """For the health document."""
        link = self.log.link
        log = None if link is None else {"log": link.log, "line": link.line, "digest": link.digest}
        return {
            **self.health.counts(),
            "backlog": self._feed.backlog,
            "left_alone": self._feed.left_alone,
            "problems": self.health.problems,
            **self.recipes.report(),
            "drift": self.drift.report(),
            "log": log,
        }

    def _made_feed(self) -> Feed:
        folder = self.source.folder
        if folder is None:
            return StreamFeed(self.source, Path(self._plan.out), self.health)
        self._sorter = Sorter(self.source.sort or "copy", folder, self.place, self.health.unsorted)
        return FolderFeed(self.source, folder, self.place, Path(self._plan.out), self.log, self.health)

    def _counted(self, items: Iterator[Item]) -> Generator[Item, None, None]:
        """An item is under way from here on, also while a recipe's file, which can lie on a share, is looked at."""
        for item in items:
            self._last_item = monotonic()
            if self._handed_out == self._came_back:
                self._moved = self._last_item
            self._handed_out += 1
            self.recipes.look()
            yield item

    def _finish(self, outcome: Outcome) -> None:
        """The outcome of an item under way: into the log, unless it is not yet to be told."""
        told = self._feed.told(outcome)
        if told is None:
            return
        own = () if self._sorter is None else (self._sorter,)
        inspector = self.recipes.of(outcome.item.name if told.file is not None else None)
        record = record_of(outcome, inspector, id=told.id, file=told.file)
        record = self.log.linked(with_files(record, outcome, (*self._sinks, *own)))
        if not (
            all(self._give(sink, "sink", record, outcome) for sink in self._sinks)
            and self._give(self.log, "log", record, outcome)
        ):
            return
        self.health.problem("chain", self.log.broken)
        self.drift.take(record, inspector.recipe if outcome.result is None else outcome.result.recipe)
        if not self._retry("index", lambda: self._feed.enter(told)):
            return
        self._feed.release(told)
        self.health.inspected(verdict_folder(record), (monotonic() - told.since) * 1e3, outcome.item.dropped)
        self._logged(record, outcome)
        for sink in own:
            self._give(sink, "sorting", record, outcome)

    def _sorted(self, record: Record) -> Callable[[], None]:
        assert self._sorter is not None
        sorter = self._sorter
        return lambda: sorter.sort(record)

    def _give(self, sink: Sink, what: str, record: Record, outcome: Outcome) -> bool:
        return self._retry(what, lambda: sink.take(record, outcome))

    def _retry(self, what: str, action: Callable[[], None]) -> bool:
        """Until it works; False when stop is asked for before."""
        while True:
            try:
                action()
            except OSError as error:
                where = f"{error.filename}: " if error.filename else ""
                self.health.problem(
                    what, f"{what}: {where}{error.strerror or error}: inspection waits; {_REMEDY[what]}"
                )
            else:
                self.health.problem(what, None)
                return True
            until = monotonic() + _RETRY_S
            while monotonic() < until:
                self._moved = monotonic()
                if self._stop:
                    return False
                time.sleep(_LOOK_FOR_STOP_S)


def check_folder(folder: Path, place: Path) -> None:
    """Whether a folder can be watched, whose results go to a place. Raises ClipspectError."""
    if not folder.is_dir():
        raise ClipspectError(f"{folder}: no such folder to watch: create it, or mount it first")
    inside, results = folder.resolve(), place.resolve()
    if inside == results or any(inside.is_relative_to(results / name) for name in VERDICT_FOLDERS):
        raise ClipspectError(f"{folder}: is where results go: choose an --out that does not hold it")
