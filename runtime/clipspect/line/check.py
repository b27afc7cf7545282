"""Whether a line can begin: all that it needs is opened, once each; nothing is inspected, and nothing written."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from clipspect.base.errors import ClipspectError
from clipspect.base.plug_ins import described
from clipspect.bundle.bundle import Bundle
from clipspect.frame.item import Item
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.load import load
from clipspect.line.plan import Plan, SourcePlan
from clipspect.line.recipes_in_use import chosen_recipes
from clipspect.line.source_run import check_folder
from clipspect.recipes.guard import guard_words
from clipspect.sinks.broker import Broker
from clipspect.sinks.mqtt import Connection
from clipspect.sinks.registry import open_sink
from clipspect.sinks.sorting import check_device
from clipspect.sources.files import find_images
from clipspect.sources.registry import open_source

_FIRST_FRAME_S = 10.0  # that a camera has for it


@dataclass(frozen=True)
class Finding:
    """What was found of one part of a line."""

    what: str
    text: str
    wrong: bool = False


def check_line(plan: Plan) -> Iterator[Finding]:
    """Each part as it is found. What is wrong with one keeps no other from being looked at."""
    with ExitStack() as stack:
        try:
            bundle = Bundle.open(plan.bundle, require_signature=plan.require_signature)
        except ClipspectError as error:
            yield Finding("bundle", str(error), wrong=True)
        else:
            yield Finding("bundle", f"{bundle.manifest.method}, {bundle.digest[:12]}")
            yield from _recipes(plan, bundle, stack)
        yield _of("out", lambda: _writable(Path(plan.out)))
        for source in plan.sources:
            yield _of(source.name or "source", lambda source=source: _source(source, plan))  # type: ignore[misc]
        if plan.mqtt is not None:
            mqtt = plan.mqtt
            yield _of("mqtt", lambda: _broker(mqtt.broker))


def _of(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, look())
    except ClipspectError as error:
        return Finding(what, str(error), wrong=True)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return Finding(what, f"{where}{error.strerror or error}", wrong=True)


def _recipes(plan: Plan, bundle: Bundle, stack: ExitStack) -> Iterator[Finding]:
    """Each is opened in the engine, since its graph and its limits have to fit."""
    first: Inspector | None = None
    for source in plan.sources:
        try:
            for folder, chosen in chosen_recipes(bundle, source, plan.place(source)).items():
                if first is None:
                    start = monotonic()
                    inspector = first = stack.enter_context(
                        load(bundle, chosen.recipe, plan.backend, map_limit=plan.map_limit, **plan.engine_options)
                    )
                    words = f"{first.backend} on {first.device} in {first.precision}"
                    yield Finding("engine", f"{words}, open after {monotonic() - start:.1f} s")
                else:
                    inspector = stack.enter_context(first.with_recipe(chosen.recipe))
                where = " ".join(part for part in (source.name, folder) if part)
                limits = "no limits: no verdicts" if inspector.limits is None else inspector.limits.words
                said = guard_words(chosen.recipe, inspector.limits)
                yield Finding(
                    f"{where}: recipe" if where else "recipe",
                    f"{chosen.recipe.name!r} {chosen.recipe.digest[:12]}, {limits}{f'; {said}' if said else ''}",
                )
        except ClipspectError as error:
            yield Finding(f"{source.name}: recipe" if source.name else "recipe", str(error), wrong=True)


def _writable(place: Path) -> str:
    there = _nearest_folder(place)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ClipspectError(f"{place}: cannot be written: check the rights of {there}, or choose another out")
    return f"{place}" if there == place else f"{place}, which will be made"


def _source(source: SourcePlan, plan: Plan) -> str:
    for text in source.sinks:
        open_sink(text)
    folder = source.folder
    if folder is None:
        return f"{source.shown}: {_first_frame(source)}"
    for place in map(plan.place, plan.sources):
        check_folder(folder, place)
    check_device(source.sort or "copy", folder, _nearest_folder(plan.place(source)))
    if not os.access(folder, os.W_OK | os.X_OK) and source.sort == "move":
        raise ClipspectError(f"{folder}: images cannot be moved out of it: check its rights, or sort = copy")
    for subfolder in source.recipes:
        if not (folder / subfolder).is_dir():
            raise ClipspectError(f"{folder / subfolder}: recipes names it, and there is no such folder")
    try:
        count = len(find_images([str(folder)], Path(plan.out)))
    except ClipspectError:  # none
        count = 0
    return f"{source.shown}: {count} images there"


def _first_frame(source: SourcePlan) -> str:
    """In a thread, since a camera can be waited for in vain."""
    came: list[Item | ClipspectError | None] = []
    start = monotonic()

    def look() -> None:
        try:
            opened = open_source(source.source, source.policy)
            came.append(next(iter(opened), None))
            opened.close()
        except ClipspectError as error:
            came.append(error)
        except Exception as error:
            came.append(ClipspectError(f"{source.shown}: {described(error)}"))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(_FIRST_FRAME_S)
    if not came:
        return f"open; no frame came within {_FIRST_FRAME_S:g} s"
    first = came[0]
    if isinstance(first, ClipspectError):
        raise first
    if first is None:
        raise ClipspectError(f"{source.shown}: it ends without a frame")
    return f"a frame{_size(first.frame)} after {monotonic() - start:.1f} s"


def _size(frame: Any) -> str:
    shape = getattr(frame, "shape", None)
    return "" if shape is None else f" of {shape[1]} x {shape[0]}"


def _broker(broker: Broker) -> str:
    news = threading.Event()

    def wait(seconds: float) -> None:
        news.wait(max(seconds, 0))
        news.clear()

    connection = Connection(broker, news)
    try:
        connection.open(wait)
    except OSError as error:
        raise ClipspectError(f"{broker}: {error}") from error
    except ClipspectError as error:
        raise ClipspectError(f"{broker}: {error}") from error
    finally:
        connection.close()
    return f"{broker}: takes us in, topic {broker.topic}"


def _nearest_folder(place: Path) -> Path:
    """The place, or what of its folders is there."""
    return next(folder for folder in (place, *place.absolute().parents) if folder.exists())
