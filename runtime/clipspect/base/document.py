"""JSON and TOML into frozen dataclasses, checked against their annotations by msgspec: what a file claims, typed.

Unknown keys are ignored, and of a repeated key the last one counts. A bool is no number and 2.0 no integer; NaN,
infinity and integers beyond 64 bits are refused anywhere in a document, and so are more than a million values.
"""

from __future__ import annotations

import math
import re
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_AT = re.compile(r"(?P<fault>.*?)(?: - at `(?:key in )?\$\.?(?P<place>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_LARGEST = 1 << 63
_DEEPEST = 64  # objects and arrays inside each other
MOST_VALUES = 1 << 20  # each takes up to 300 bytes when it is read, and a microsecond


class MismatchError(Exception):
    """A document is not readable or does not fit its dataclass; the message says where, and what was found."""


def parse_json(data: bytes | str, where: str) -> Any:
    """A JSON document, untyped. Raises MismatchError."""
    signs: tuple[Any, ...] = (",", "[", "{") if isinstance(data, str) else (b",", b"[", b"{")
    if sum(map(data.count, signs)) > MOST_VALUES:  # those in texts among them
        raise MismatchError(f"{where}: more than {MOST_VALUES:,} values")
    try:
        document = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MismatchError(f"{where}: not readable as JSON ({error})") from error
    return document


def from_json(kind: type[T], data: bytes | str, where: str) -> T:
    """What `build` makes of a JSON document. Raises MismatchError."""
    return build(kind, parse_json(data, where), where)


def build(kind: type[T], document: Any, where: str) -> T:
    """A parsed document as the given type, a dataclass or a list of them.

    Raises MismatchError at the first value that is missing or of another type, and whatever a dataclass raises that
    checks itself.
    """
    try:
        _require_finite(document, where)
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise MismatchError(_in_our_words(str(error), where)) from error
    except RecursionError as error:
        raise MismatchError(f"{where}: nested too deeply") from error


def _require_finite(value: Any, where: str, depth: int = 1) -> None:
    if isinstance(value, (dict, list)) and depth > _DEEPEST:
        raise MismatchError(f"{where:.80}: nested more than {_DEEPEST} deep")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(item, str):
                _require_finite(item, f"{where}: {key!r:.80}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if not isinstance(item, str):
                _require_finite(item, f"{where}[{index}]", depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise MismatchError(f"{where}: expected a finite number, found {value}")
    elif isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        raise MismatchError(f"{where}: expected a number of at most 64 bits, found {value.bit_length()}")


def _in_our_words(message: str, where: str) -> str:
    """msgspec's "Expected `int`, got `str` - at `$.a.b`" as "WHERE: a.b: expected int, found str"."""
    found = _AT.fullmatch(message)
    assert found is not None  # both of its parts may be anything
    fault, place = found["fault"], found["place"] or ""
    if missing := _MISSING.fullmatch(fault):
        return f"{where}: {f'{place}.' if place else ''}{missing[1]} is missing"
    fault = fault.replace("`", "").replace(", got ", ", found ")
    fault = f"expected{fault.removeprefix('Expected')}" if fault.startswith("Expected") else fault
    return ": ".join(part for part in (where, place, fault) if part)
