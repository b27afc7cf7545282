"""What a file claims becomes typed, or the refusal names the place and what was found there."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipspect.base.document import MismatchError, build, from_json


@dataclass(frozen=True)
class Part:
    side: int
    weight: float | None = None


@dataclass(frozen=True)
class Document:
    name: str
    range: tuple[float, float] = (0, 1)
    shape: tuple[int | str, ...] = ()
    parts: dict[str, Part] = field(default_factory=dict)
    part: Part | None = None
    passed: bool | None = None
    free: dict[str, Any] = field(default_factory=dict)


LARGEST = 2**63 - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 3}, r"it: name: expected str, found int"),
        ({"name": None}, r"it: name: expected str, found null"),
        ({"range": [1]}, "it: range: expected array of length 2"),
        ({"range": [0, True]}, r"it: range\[1\]: expected float, found bool"),
        ({"shape": [1, "N", 2.0]}, r"it: shape\[2\]: expected int | str, found float"),
        ({"shape": [True]}, r"it: shape\[0\]: expected int | str, found bool"),
        ({"part": {"weight": 1}}, "it: part.side is missing"),
        ({"part": {"side": "2"}}, "it: part.side: expected int, found str"),
        ({"part": {"side": 2.0}}, "it: part.side: expected int, found float"),
        ({"part": {"side": LARGEST + 1}}, "it: 'part': 'side': expected a number of at most 64 bits"),
        ({"part": {"side": 10**400}}, "it: 'part': 'side': expected a number of at most 64 bits"),
        ({"parts": {"a": []}}, r"it: parts\[...\]: expected object, found array"),
        ({"passed": 1}, "it: passed: expected bool | null, found int"),
        ({"free": {"deep": [{"er": 10**30}]}}, r"it: 'free': 'deep'\[0\]: 'er': expected a number"),
        ({"later": 10**30}, "it: 'later': expected a number"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_place(change: dict[str, Any], message: str) -> None:
    document = {"name": "n", **change}
    with pytest.raises(MismatchError, match=f"^{message}[^\n]*$"):
        build(Document, document, "it")
    with pytest.raises(MismatchError, match=f"^{message}[^\n]*$"):
        from_json(Document, json.dumps(document), "it")


def test_a_document_is_nested_at_most_64_deep() -> None:
    def nested(depth: int) -> str:
        return '{"name": "n", "free": {"a": ' + "[" * (depth - 2) + "]" * (depth - 2) + "}}"

    from_json(Document, nested(64), "it")
    with pytest.raises(MismatchError, match="nested more than 64 deep"):
        from_json(Document, nested(65), "it")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_no_document_holds_what_is_no_finite_number(value: float) -> None:
    with pytest.raises(MismatchError, match=r"^it: 'range'\[0\]: expected a finite number, found "):
        build(Document, {"name": "n", "range": [value, 1.0]}, "it")
    with pytest.raises(MismatchError, match=r"^it: not readable as JSON"):
        from_json(Document, json.dumps({"name": "n", "range": [value, 1.0]}), "it")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'\xef\xbb\xbf{"name": "n"}',
        b'{"name": "n"} {}',
        b'{"name": "n", "later": 1e999}',
        b'{"name": "\\ud800"}',
        b'{"name": "\xff"}',
        b'{"name": "n", "later": ' + b"[" * 100_000,
        b'{"name": "n", "later": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"name": "n", "later": ' + b"9" * 10_000 + b"}",
        b'{"name": "n", /* a comment */ "later": 1}',
    ],
)
def test_what_is_no_json_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(MismatchError, match=r"^it: not readable as JSON[^\n]*$"):
        from_json(Document, data, "it")


@pytest.mark.parametrize("data", [b"[]", b"null", b'"n"', b"1", b"true"])
def test_a_document_is_an_object(data: bytes) -> None:
    with pytest.raises(MismatchError, match=r"^it: expected object, found "):
        from_json(Document, data, "it")


def test_unknown_keys_are_ignored_and_the_last_of_a_repeated_key_counts() -> None:
    assert from_json(Document, b'{"name": "a", "later": {"x": [1]}, "name": "b"}', "it") == Document("b")


def test_a_dataclass_that_is_no_document_fails_whatever_it_is() -> None:
    assert build(list[Part], [{"side": 1}, {"side": LARGEST, "weight": 2}], "it") == [Part(1), Part(LARGEST, 2.0)]


finite = st.floats(allow_nan=False, allow_infinity=False)
part = st.builds(Part, st.integers(-(2**63), LARGEST), st.none() | finite)
free = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), LARGEST) | finite | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.builds(
        Document,
        name=st.text(),
        range=st.tuples(finite, finite),
        shape=st.lists(st.integers(0, LARGEST) | st.text()).map(tuple),
        parts=st.dictionaries(st.text(), part, max_size=3),
        part=st.none() | part,
        passed=st.none() | st.booleans(),
        free=st.dictionaries(st.text(), free, max_size=3),
    )
)
def test_what_json_writes_is_read_as_it_was(document: Document) -> None:
    assert from_json(Document, json.dumps(dataclasses.asdict(document)), "it") == document
    assert from_json(Document, json.dumps(dataclasses.asdict(document), ensure_ascii=False), "it") == document
