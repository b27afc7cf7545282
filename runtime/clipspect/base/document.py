"""Parsed JSON into frozen dataclasses, checked against their annotations: what a file claims, typed."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any, TypeVar


class MismatchError(Exception):
    """A JSON document does not fit its dataclass; the message says where and what was found."""


T = TypeVar("T")


def build(cls: type[T], document: Any, where: str, **ready: Any) -> T:
    """A dataclass from a parsed JSON object. Unknown keys are ignored; `ready` fields are taken as they are.

    Raises MismatchError at the first missing or wrongly typed value.
    """
    if not isinstance(document, dict):
        raise MismatchError(f"{where}: expected an object, found {type(document).__name__}")
    hints = typing.get_type_hints(cls)
    values = dict(ready)
    for item in dataclasses.fields(cls):  # type: ignore[arg-type]
        if item.name in values:
            continue
        if item.name in document:
            values[item.name] = _convert(hints[item.name], document[item.name], f"{where}: {item.name}")
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise MismatchError(f"{where}: {item.name} is missing")
    return cls(**values)


def _convert(hint: Any, value: Any, where: str) -> Any:  # noqa: PLR0911, one return a kind of annotation
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_union(args, value, where)
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where)  # type: ignore[arg-type]
    if origin is dict and isinstance(value, dict):
        return {key: _convert(args[1], item, f"{where}[{key!r}]") for key, item in value.items()}
    if origin is tuple and isinstance(value, list):
        return _convert_tuple(args, value, where)
    if hint is float:
        return _finite(value, where)
    if origin is None and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise MismatchError(f"{where}: unexpected value {value!r:.80}")


def _convert_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    """`X | None` as X would be, so that the message names the fault inside X; otherwise the first option that fits."""
    if value is None and type(None) in options:
        return None
    options = tuple(option for option in options if option is not type(None))
    for option in options[:-1]:
        try:
            return _convert(option, value, where)
        except MismatchError:
            continue
    return _convert(options[-1], value, where)


def _convert_tuple(args: tuple[Any, ...], value: list[Any], where: str) -> tuple[Any, ...]:
    variadic = len(args) == 2 and args[1] is Ellipsis
    if not variadic and len(value) != len(args):
        raise MismatchError(f"{where}: expected {len(args)} values, found {len(value)}")
    kinds = [args[0]] * len(value) if variadic else list(args)
    return tuple(_convert(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value)))


def _finite(value: Any, where: str) -> float:
    """JSON's numbers, without Python's NaN and Infinity extensions and without integers beyond a float."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise MismatchError(f"{where}: expected a finite number, found {value!r:.80}")
