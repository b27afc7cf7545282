"""What a method says of itself before torch is loaded: its options, and what it fixes or needs.

A method's `options.py` defines a frozen dataclass, a field an option, made with `option`; and `METHOD`. From the fields
come the flags of the command line, the keywords of `export_bundle`, the `[options]` of presets, and their refusal.
"""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipspect.engines.graph import WORDS
from clipspect.recipes.prompts import MEAN
from clipspect_export.towers.config import Interpolation

DEFAULT_OBJECT = "object"
CLIP, DINO = "clip", "dino"  # towers

_FLAG = "flag"


@dataclass(frozen=True)
class Flag:
    """How the command line asks for an option, `--NAME` with dashes."""

    help: str
    metavar: str | None = None
    choices: tuple[str, ...] | None = None


def option(default: Any, help: str, *, metavar: str | None = None, choices: tuple[str, ...] | None = None) -> Any:
    """A field of an options dataclass: its default is the published setting, `help` says what it does."""
    return dataclasses.field(default=default, metadata={_FLAG: Flag(help, metavar, choices)})


@dataclass(frozen=True)
class WordOptions:
    """Of methods that read an object's name."""

    ensemble: str | Path | None = option(
        None, "prompts, by name or in a .toml file (default: the method's)", metavar="NAME|FILE"
    )
    prompt_fusion: str = option(
        MEAN, "average the prompts of a state, or keep all and take the closest", choices=("mean", "max")
    )
    with_text_encoder: bool = option(False, "add the text encoder: recipes from words without torch")


@dataclass(frozen=True)
class TrainedOptions:
    """Of methods whose official code trained a file."""

    checkpoint: str | Path | None = option(
        None, "the trained file of the official code, which the method needs", metavar="FILE"
    )


@dataclass(frozen=True)
class SizeOptions:
    """Of methods that run at any image size that patches fill."""

    image_size: str | None = option(
        None, "height and width in pixels, or one number for a square (default: as published)", metavar="HxW"
    )


@dataclass(frozen=True)
class Method:
    """One way to make a model of a backbone."""

    name: str
    options: type[Any]  # a frozen dataclass of `option` fields
    roles: tuple[str, ...] = (WORDS,)  # of the graphs that it has
    tower: str = CLIP
    object_agnostic: bool = False  # its prompts are learned: it reads no words and has one recipe
    checkpoint_section: str | None = None  # of the file that its official code trained, and that it needs
    activation: str | None = None  # None: the backbone's own
    image_size: int | None = None  # pixels, both sides, as published; None: the backbone's own
    positions: Interpolation | None = None  # how the position embedding comes to another size; None: it cannot


@dataclass(frozen=True)
class Option:
    """One option of a method."""

    name: str
    kind: Any  # its type: bool, int, float, str or tuple; a path is a str
    default: Any
    flag: Flag

    def fit(self, value: Any) -> Any:
        """The value as the dataclass holds it. Raises ValueError that says what was expected."""
        if self.kind is tuple:
            if not isinstance(value, (list, tuple)) or not all(_is(int, item) for item in value):
                raise ValueError(f"{self.name}: expected whole numbers, found {value!r:.80}")
            return tuple(value)
        if self.kind is float and _is(int, value):
            return float(value)
        if not _is(self.kind, value) and not (self.kind is str and isinstance(value, Path)):
            raise ValueError(f"{self.name}: expected a value of type {self.kind.__name__}, found {value!r:.80}")
        return value


def options_of(method: Method) -> dict[str, Option]:
    """The options of a method by name, in the order of their definition, inherited ones last."""
    hints = typing.get_type_hints(method.options)
    own = [item for item in dataclasses.fields(method.options) if item.name in method.options.__annotations__]
    inherited = [item for item in dataclasses.fields(method.options) if item not in own]
    return {
        item.name: Option(item.name, _kind(hints[item.name]), item.default, item.metadata[_FLAG])
        for item in (*own, *inherited)
    }


def _kind(hint: Any) -> Any:
    parts = typing.get_args(hint) if typing.get_origin(hint) is not tuple else ()
    known = [part for part in parts if part in (bool, int, float, str)] or [typing.get_origin(hint) or hint]
    return known[0]


def _is(kind: type, value: Any) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
