"""The methods by name, one line each, and their options: read without torch.

A method is a package with `options.py`, which defines `METHOD`, and `model.py`, which defines `plan`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clipspect.base.errors import ExportError
from clipspect.engines.graph import BOTH, PHOTOS, WINDOWS, WORDS
from clipspect_export.methods.method import DEFAULT_OBJECT, Method, Option, WordOptions, options_of

if TYPE_CHECKING:
    from clipspect_export.methods.model import Model
    from clipspect_export.towers.config import ClipConfig
    from clipspect_export.towers.dino_config import DinoConfig

METHODS = {
    "winclip": "clipspect_export.methods.winclip",
    "anomalyclip": "clipspect_export.methods.anomalyclip",
    "aprilgan": "clipspect_export.methods.aprilgan",
    "crane": "clipspect_export.methods.crane",
    "memory": "clipspect_export.methods.memory",
}

_FORMS = {
    BOTH: ("few-shot form", "--few-shot"),
    PHOTOS: ("memory form", "--memory"),
    WINDOWS: ("windows on demand", "--windows"),
}


def read_method(name: str) -> Method:
    """What a method says of itself. Raises ExportError for a name that is not registered."""
    if name not in METHODS:
        raise ExportError(f"method {name!r} is not in this version; there are: {', '.join(METHODS)}")
    method: Method = importlib.import_module(f"{METHODS[name]}.options").METHOD
    return method


def all_options() -> dict[str, dict[str, Option]]:
    """Every option by its name, and then by that of each method that has it."""
    found: dict[str, dict[str, Option]] = {}
    for name in METHODS:
        for option in options_of(read_method(name)).values():
            found.setdefault(option.name, {})[name] = option
    return found


def read_options(method: Method, given: Mapping[str, Any], objects: Sequence[str] = (DEFAULT_OBJECT,)) -> Any:
    """The method's options from keywords; None is the default.

    Raises ExportError for an option that the method does not have, a value of another type, a missing checkpoint, and
    names of objects that the method does not read.
    """
    own, everywhere = options_of(method), all_options()
    values = {}
    for name, value in given.items():
        if name in own:
            if value is not None:
                values[name] = _fit(method, own[name], value)
        elif name not in everywhere:
            raise ExportError(f"no method has an option {name!r}; {method.name} has: {', '.join(own)}")
        elif value is not None:
            raise ExportError(f"{method.name} {_why_not(method, name)}: leave --{name.replace('_', '-')} out")
    options = method.options(**values)
    if method.checkpoint_section is not None and options.checkpoint is None:
        raise ExportError(f"{method.name} needs the trained file of its official code: add --checkpoint FILE")
    if WORDS not in method.roles and list(objects) != [DEFAULT_OBJECT]:
        raise ExportError(f"{method.name} reads no words, it goes by photos of good parts: leave --object out")
    if method.object_agnostic and list(objects) != [DEFAULT_OBJECT]:
        raise ExportError(
            f"{method.name}'s learned prompts are for any object, its one recipe is {DEFAULT_OBJECT!r}: "
            "leave --object out"
        )
    return options


def require_role(method: Method, role: str) -> None:
    """Refuse a graph that the method does not have. Raises ExportError."""
    if role not in method.roles:
        able = " and ".join(name for name in METHODS if role in read_method(name).roles)
        form, flag = _FORMS[role]
        raise ExportError(f"{method.name} has no {form} ({able} have): leave {flag} out")


def plan(method: Method, config: ClipConfig | DinoConfig, options: Any) -> Callable[[Any], Model]:
    """What makes the model once its backbone is loaded; what can be refused before is. Loads torch.

    Raises ExportError.
    """
    make: Callable[[Any], Model] = importlib.import_module(f"{METHODS[method.name]}.model").plan(config, options)
    return make


def _fit(method: Method, option: Option, value: Any) -> Any:
    try:
        return option.fit(value)
    except ValueError as error:
        raise ExportError(f"{method.name}: {error}") from None


def _why_not(method: Method, option: str) -> str:
    if option in WordOptions.__dataclass_fields__ and WORDS not in method.roles:
        return "goes by photos of good parts and reads no words"
    if method.object_agnostic and option in WordOptions.__dataclass_fields__:
        return "has learned prompts and reads no words"
    return f"has no {option}"
