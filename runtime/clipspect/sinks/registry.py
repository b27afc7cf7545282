"""What --sink NAME[:ARGUMENT] can be: a built-in sink, or a plug-in's.

Another package adds one by an entry point of the group `clipspect.sinks`: its name is NAME, its value a callable that
takes ARGUMENT, "" where there is none, and returns a `clipspect.sinks.Sink`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from clipspect.base.errors import ClipspectError
from clipspect.base.plug_ins import described, load_plug_in, plug_in_names
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import Record
from clipspect.sinks.csv_file import CsvFile
from clipspect.sinks.json_lines import JsonLines
from clipspect.sinks.sink import Sink

SINK_PLUG_INS = "clipspect.sinks"  # the entry points of other packages' sinks

OpenSink: TypeAlias = Callable[[str], Sink]

BUILT_IN_SINKS: dict[str, OpenSink] = {
    "jsonl": lambda argument: JsonLines(_path(argument)),
    "csv": lambda argument: CsvFile(_path(argument)),
}


def open_sink(text: str) -> Sink:
    """The sink of NAME[:ARGUMENT]. Raises ClipspectError: there is none, or it cannot be opened."""
    name, _, argument = text.partition(":")
    opener: OpenSink | None = BUILT_IN_SINKS.get(name) or load_plug_in(SINK_PLUG_INS, name)
    if opener is None:
        there_are = ", ".join(sorted({*BUILT_IN_SINKS, *plug_in_names(SINK_PLUG_INS)}))
        raise ClipspectError(f"--sink {text}: there is no sink {name!r}; there are: {there_are}")
    try:
        sink = opener(argument)
        if not isinstance(sink, Sink):
            raise TypeError(f"expected a clipspect.sinks.Sink, found {type(sink).__name__}")
    except ClipspectError as error:
        raise ClipspectError(f"--sink {text}: {error}") from error
    except Exception as error:
        raise ClipspectError(f"--sink {text}: the sink cannot be opened ({described(error)})") from error
    return sink if name in BUILT_IN_SINKS else _PlugIn(name, sink)


def _path(argument: str) -> Path:
    if not argument:
        raise ClipspectError("expected a file after the colon")
    return Path(argument)


class _PlugIn(Sink):
    """Another package's sink: whatever it raises becomes one clear error. An OSError stays one: it may pass."""

    def __init__(self, name: str, sink: Sink) -> None:
        self._name, self._sink = name, sink
        self.keeps_pictures = sink.keeps_pictures

    def files(self, record: Record, outcome: Outcome) -> Mapping[str, str]:
        try:
            return dict(self._sink.files(record, outcome))
        except Exception as error:
            raise self._failed(error) from error

    def take(self, record: Record, outcome: Outcome) -> None:
        try:
            self._sink.take(record, outcome)
        except (ClipspectError, OSError):
            raise
        except Exception as error:
            raise self._failed(error) from error

    def __enter__(self) -> Sink:
        try:
            self._sink.__enter__()
        except Exception as error:
            raise self._failed(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._sink.__exit__(kind, error, trace)
        except Exception as failure:
            raise self._failed(failure) from failure

    def _failed(self, error: Exception) -> ClipspectError:
        return error if isinstance(error, ClipspectError) else ClipspectError(f"sink {self._name}: {described(error)}")
