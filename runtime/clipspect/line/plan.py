"""What a line is: sources with their recipes and sinks over one engine. The typed content of LINE.toml."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from clipspect.base.document import MismatchError, build
from clipspect.base.errors import ClipspectError
from clipspect.sinks.broker import Broker, parse_broker
from clipspect.sinks.overlays import parse_verdicts
from clipspect.sinks.rotation import Rotation, parse_rotation
from clipspect.sinks.sorting import VERDICT_FOLDERS
from clipspect.sources.addresses import without_password
from clipspect.sources.gate import Gate, parse_gate
from clipspect.sources.policy import parse_policy

FOLDER = "folder:"  # what a source begins with whose new files are inspected exactly once
OWN = ".watch"  # the folder beside a log that holds what is remembered besides
_NAME = re.compile(r"[^\W_][\w .-]{0,63}")  # a folder's name, and a part of a topic
HEALTH = "health.json"  # the document of the whole line, in its `out`
_RESERVED = (*VERDICT_FOLDERS, "overlays", HEALTH)


@dataclass(frozen=True)
class SourcePlan:
    """Where frames come from, what judges them, and what becomes of them. Seconds where it is a time."""

    source: str  # as `clipspect run` takes it, or folder:PATH
    name: str = ""  # of its folder below the line's `out`; the only source of a line needs none
    recipe: str | None = None  # a name or a path; None: the bundle's only one
    recipes: dict[str, str] = field(default_factory=dict)  # of a folder: the recipes of its subfolders
    sort: Literal["copy", "move", "none"] | None = None  # of a folder; None: copy
    settle: float = 1.0  # without a change until a file is read
    give_up: float = 30.0  # without a change until a file that cannot be decoded is an error
    gate: str | None = None  # of a video or camera: X,Y,WIDTH,HEIGHT that parts pass, one record a part
    gate_empty: str | None = None  # a picture of the gate without a part; None: the first frame shows none
    policy: str | None = None  # of frames that come too fast: latest, block, queue:N; None: the source's own
    silent_after: float | None = None  # without a frame until health tells of it
    overlays: tuple[str, ...] = ()  # verdicts whose frames are drawn
    sinks: tuple[str, ...] = ()  # as --sink takes them; they take a record before it is in the log

    @property
    def shown(self) -> str:
        """The source as messages and records may show it, without a password."""
        return without_password(self.source)

    @property
    def title(self) -> str:
        """Its name; where it has none, the source."""
        return self.name or self.shown

    @property
    def passing(self) -> Gate | None:
        """The gate that parts pass; None: each frame is judged. Raises ClipspectError."""
        return None if self.gate is None else parse_gate(self.gate, self.gate_empty)

    @property
    def folder(self) -> Path | None:
        """The folder that is watched; None for a source of another kind."""
        return Path(self.source.removeprefix(FOLDER)) if self.source.startswith(FOLDER) else None


@dataclass(frozen=True)
class MqttPlan:
    """Where records and the health document go besides."""

    url: str  # mqtt://[USER@]HOST[:PORT]/TOPIC
    password: str | None = None  # a file whose first line is the password
    ca: str | None = None  # a file: the certificate of the plant's own authority, PEM
    certificate: str | None = None  # a file: the client's certificate with its private key, PEM
    commands: bool = False  # whether a message to TOPIC/command switches recipes

    @property
    def broker(self) -> Broker:
        """Raises ClipspectError."""
        files = (None if file is None else Path(file) for file in (self.password, self.ca, self.certificate))
        return parse_broker(self.url, *files)


@dataclass(frozen=True)
class Plan:
    """A line. Paths are relative to the folder that the process runs in."""

    bundle: str
    out: str
    sources: tuple[SourcePlan, ...]
    mqtt: MqttPlan | None = None
    backend: str | None = None
    device: str | None = None
    precision: str | None = None
    force_precision: bool = False
    threads: int | None = None
    url: str | None = None  # of the server, where the backend is on one
    map_limit: float | None = None
    rotate: str = "100MB"  # when a log's file ends: a size, "day" or "never"
    require_signature: str | None = None  # the file of the public key that must have signed bundle and recipes
    health: float = 60.0  # seconds between two health documents
    answer_within: float = 60.0  # seconds that the engine, or a source, has for one step, until it counts as hung

    @property
    def rotation(self) -> Rotation:
        """Raises ValueError."""
        return parse_rotation(self.rotate)

    @property
    def engine_options(self) -> dict[str, Any]:
        """What `clipspect.load` takes besides the backend."""
        names = ("device", "precision", "threads", "url")
        given = {name: getattr(self, name) for name in names} | {"force_precision": self.force_precision or None}
        return {name: value for name, value in given.items() if value is not None}

    def place(self, source: SourcePlan) -> Path:
        """Where the results of a source go."""
        return Path(self.out, source.name)


def read_plan(file: str | os.PathLike[str]) -> Plan:
    """The line that a TOML file describes. Raises ClipspectError with the one thing that is wrong."""
    path = Path(file)
    tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ClipspectError(f"{path}: cannot be read ({error.strerror}): give the line's TOML file") from error
    except (ValueError, RecursionError) as error:  # bytes that are no text, or no TOML
        raise ClipspectError(f"{path}: not readable as TOML ({error})") from error
    try:
        _refuse_unknown(Plan, document, "")
        plan = build(Plan, document, "line")
        for source in plan.sources:
            if len(plan.sources) > 1 and not source.name:
                raise MismatchError(f"{source.shown}: name is missing: give each of several sources its own")
        check(plan)
    except MismatchError as error:
        raise ClipspectError(f"{path}: {error}") from error
    return plan


def check(plan: Plan) -> None:
    """What the types do not say. Raises MismatchError."""
    if not plan.sources:
        raise MismatchError("sources: expected one at least, each under [[sources]]")
    for name in ("health", "answer_within"):
        _require(getattr(plan, name) > 0, name, "more than 0 seconds", getattr(plan, name))
    _require(plan.threads is None or plan.threads > 0, "threads", "a number from 1", plan.threads)
    try:
        _ = plan.rotation
    except ValueError as error:
        raise MismatchError(f"rotate: {error}") from error
    for source in plan.sources:
        try:
            _check_source(source)
        except MismatchError as error:
            raise MismatchError(f"source {source.title}: {error}") from error
    names = [source.name.casefold() for source in plan.sources]
    for source in plan.sources:
        _require(names.count(source.name.casefold()) == 1, "name", "another for each source", source.name)
    _check_folders([source for source in plan.sources if source.folder is not None])


def nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    """ ", did you mean X?", where a known name is like it; else which there are."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(sorted(known))}"


def _check_source(source: SourcePlan) -> None:
    if source.name:
        usable = (
            _NAME.fullmatch(source.name) and source.name.casefold() not in _RESERVED and source.name[-1] not in " ."
        )
        _require(usable, "name", "letters, digits, blanks, dots and hyphens, and nothing of OUT's own", source.name)
    for name in ("settle", "give_up"):
        _require(getattr(source, name) >= 0, name, "seconds from 0", getattr(source, name))
    _require(source.silent_after is None or source.silent_after > 0, "silent_after", "seconds", source.silent_after)
    if source.overlays:
        try:
            parse_verdicts(",".join(source.overlays))
        except ValueError as error:
            raise MismatchError(f"overlays: {error}") from error
    if source.gate is not None:
        _require(source.folder is None, "gate", "none for a folder, whose files are parts", source.gate)
        try:
            _ = source.passing
        except ClipspectError as error:
            raise MismatchError(str(error)) from error
    _require(source.gate_empty is None or source.gate, "gate_empty", "a gate", source.gate_empty)
    if source.policy is not None:
        _require(source.folder is None, "policy", "none for a folder, whose files wait", source.policy)
        try:
            parse_policy(source.policy)
        except ClipspectError as error:
            raise MismatchError(str(error)) from error
    if source.folder is None:
        for name in ("recipes", "sort"):
            if getattr(source, name):
                raise MismatchError(
                    f"{name}: only a folder has it, whose new files are inspected: source = folder:PATH"
                )
    for subfolder in source.recipes:
        parts = Path(subfolder).parts
        inside = parts and not Path(subfolder).is_absolute() and ".." not in parts
        _require(inside, "recipes", "the name of a subfolder", subfolder)


def _check_folders(sources: list[SourcePlan]) -> None:
    """No file belongs to two sources."""
    for first in sources:
        for second in sources:
            if first is second or first.folder is None or second.folder is None:
                continue
            if Path(os.path.realpath(second.folder)).is_relative_to(os.path.realpath(first.folder)):
                raise MismatchError(
                    f"source {second.name}: {second.folder} lies in {first.folder}, which {first.name} watches: give "
                    f"{first.name} recipes for its subfolders instead"
                )


def _require(good: object, name: str, expected: str, found: object) -> None:
    if not good:
        raise MismatchError(f"{name}: expected {expected}, found {found!r}")


def _refuse_unknown(kind: type, document: object, where: str) -> None:
    """Raises MismatchError for a key that the dataclass has not, and names the nearest that it has."""
    if not isinstance(document, dict):
        return  # `build` says what was expected
    known = {item.name: item for item in dataclasses.fields(kind)}
    for key in document:
        if key not in known:
            raise MismatchError(f"{where}{key}: nothing has that name; {nearest(key, known)}")
    if kind is Plan:
        _refuse_unknown(MqttPlan, document.get("mqtt"), "mqtt.")
        sources = document.get("sources")
        for number, source in enumerate(sources if isinstance(sources, list) else [], 1):
            _refuse_unknown(SourcePlan, source, f"source {number}: ")
