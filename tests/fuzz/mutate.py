"""Other bytes of given ones: any, and of an ONNX file field by field, with lengths that fit again."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any, TypeAlias

from clipspect.engines.onnx_file import read_file
from support.onnx_models import varint

_NUMBERS = [0, 1, 2, 3, 7, 8, 255, 256, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, (1 << 32) + 7]
_NUMBERS += [1 << 40, (1 << 62), (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 2, (1 << 64) - 8]
_TEXTS = [
    b"",
    b"\0",
    b"\xff",
    b"-1",
    b"0",
    b"1e9999",
    b'"',
    b"[]",
    b"{}",
    b"null",
    b"NaN",
    b"\\ud800",
    b"/",
    b"..",
    b"\x1b[",
]
_FIELDS = 30  # numbers of fields in ONNX, and some more

Tree: TypeAlias = "list[tuple[int, Any]]"


def any_bytes(data: bytes, random: Random) -> bytes:
    """A few bytes other ones, left out, repeated, pushed in, or moved."""
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randint(0, len(data))
        end = min(len(data), at + random.choice((0, 1, 1, 4, 16, 200)))
        part = data[at:end]
        elsewhere = random.randint(0, len(data))
        new = random.choice(
            (b"", random.randbytes(len(part)), part * 2, random.choice(_TEXTS), data[elsewhere : elsewhere + 16],
             str(random.choice(_NUMBERS)).encode(), bytes(byte ^ 1 << random.randrange(8) for byte in part))
        )  # fmt: skip
        data = data[:at] + new + data[end:]
    return data


def onnx_file(data: bytes, random: Random) -> bytes:
    """A few fields other ones, left out, repeated, moved, or with a longer key."""
    try:
        tree: Tree = read_file(data)
    except ValueError:
        return any_bytes(data, random)
    messages = list(_messages(tree))
    for _ in range(random.choice((1, 1, 2, 3))):
        _change(random.choice(messages), messages, random)
    return _written(tree, random if random.random() < 0.1 else None)


def _messages(tree: Tree) -> Any:
    yield tree
    for _, value in tree:
        if isinstance(value, list):
            yield from _messages(value)


def _change(message: Tree, messages: list[Tree], random: Random) -> None:
    if not message or random.random() < 0.1:
        message.append((random.randrange(_FIELDS), random.choice((random.choice(_NUMBERS), random.choice(_TEXTS)))))
        return
    at = random.randrange(len(message))
    number, value = message[at]
    other = deepcopy(random.choice(random.choice(messages) or message))
    alike = [field for one in messages for field in one if field[0] == number and type(field[1]) is type(value)]
    changes: list[Callable[[], Any]] = [
        lambda: message.insert(at, (number, deepcopy(value))),
        lambda: message.pop(at),
        lambda: message.__setitem__(at, deepcopy(random.choice(alike))),
        lambda: message.__setitem__(at, (number, _other(value, random))),
        lambda: message.__setitem__(at, (number, _other(value, random))),
        lambda: message.__setitem__(at, (random.randrange(_FIELDS), value)),
        lambda: message.insert(random.randint(0, len(message)), other),
    ]
    random.choice(changes)()


def _other(value: Any, random: Random) -> Any:
    if isinstance(value, int):
        return random.choice((random.choice(_NUMBERS), max(0, value + random.choice((-1, 1)))))
    if isinstance(value, list):
        return value[: random.randint(0, len(value))]
    return any_bytes(value, random)


def _written(tree: Tree, lengthen: Random | None) -> bytes:
    """The bytes; with `lengthen` a number here and there is longer than it need be."""
    parts = []
    for number, value in tree:
        more = 5 if lengthen is not None and lengthen.random() < 0.01 else 1
        if isinstance(value, int):
            parts.append(varint(number << 3, more) + varint(value % (1 << 64)))
            continue
        content = _written(value, lengthen) if isinstance(value, list) else value
        if number == 2 and len(content) == 4 and (20, 1) in tree:  # of an attribute that is a float
            parts.append(varint(number << 3 | 5) + content)
            continue
        parts.append(varint(number << 3 | 2, more) + varint(len(content), more) + content)
    return b"".join(parts)
