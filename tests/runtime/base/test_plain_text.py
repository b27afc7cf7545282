"""Names from outside do nothing where they are shown."""

from __future__ import annotations

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from clipspect.base.plain_text import for_terminal, markdown_text, one_line, spreadsheet_row

HOSTILE = ["\x1b[31mred", "\x9b31m", "a\u202eb", "\x07", "\x1b]0;title\x07", "a\nb", "a\u2028b", "\x7f"]


@given(st.text() | st.sampled_from(HOSTILE))
def test_a_line_holds_nothing_that_controls_a_terminal(text: str) -> None:
    shown = one_line(text)
    assert len(shown.splitlines()) <= 1
    assert not [sign for sign in shown if unicodedata.category(sign) == "Cc"]
    assert not [sign for sign in shown if unicodedata.bidirectional(sign) in {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI"}]


@given(st.text())
def test_what_a_terminal_needs_stays(text: str) -> None:
    assert for_terminal("\n\r\t" + text)[:3] == "\n\r\t"
    assert {sign for sign in for_terminal(text) if unicodedata.category(sign) == "Cc"} <= set("\n\r\t")


@pytest.mark.parametrize("name", ["螺丝.png", "écrou №1 (2).png", "part-7_b.png"])
def test_names_of_any_script_stay_as_they_are(name: str) -> None:
    assert one_line(name) == name == spreadsheet_row([name])[0]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://evil")'])
def test_a_spreadsheet_is_given_no_formula(name: str) -> None:
    text = io.StringIO()
    csv.writer(text).writerow(spreadsheet_row([name, -1.5, None]))
    (row,) = csv.reader(io.StringIO(text.getvalue()))
    assert row == [f"'{name}", "-1.5", ""]  # a number stays one


@given(st.text(st.characters(blacklist_categories=["Cs", "Zs", "Zl", "Zp", "Cc"]), min_size=1))
def test_markdown_shows_a_name_as_it_is(name: str) -> None:
    (paragraph, inline, _) = MarkdownIt().parse(f"x{markdown_text(name)}x")
    assert paragraph.type == "paragraph_open"
    assert {token.type for token in inline.children or []} <= {"text", "text_special"}
    assert "".join(token.content for token in inline.children or []) == f"x{one_line(name)}x"


def test_a_name_adds_no_column_to_a_table() -> None:
    rendered = MarkdownIt().enable("table").render(f"| a | b |\n| - | - |\n| {markdown_text('x | y')} | z |")
    assert rendered.count("<td>") == 2
