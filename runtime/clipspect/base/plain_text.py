"""Names from outside as text that does nothing where it is shown: in a terminal, a spreadsheet, Markdown.

A file's name, a recipe's and a bundle's can hold any characters: those that move a terminal's cursor or turn its text
around, a formula, markup. HTML has `html.escape`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
_TURNING = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C]  # Unicode's bidirectional controls
_BREAKS = [0x2028, 0x2029]
_ESCAPED = {code: (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}") for code in _CONTROLS + _TURNING + _BREAKS}
_STREAM = {code: text for code, text in _ESCAPED.items() if chr(code) not in "\n\r\t"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARKUP = re.compile(r"([\\`*{}\[\]<>#|~!&]|(?<![^\W_])_|_(?![^\W_]))")  # an underline inside a word is none


def one_line(text: str) -> str:
    """With every character that controls a terminal, or breaks a line, as an escape: `\\x1b`."""
    return text.translate(_ESCAPED)


def for_terminal(text: str) -> str:
    """The same, but for line ends, tabs and the returns of progress bars."""
    return text.translate(_STREAM)


def spreadsheet_cell(text: str) -> str:
    """Text that a spreadsheet does not take for a formula: an apostrophe stands before one, as OWASP has it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def markdown_text(text: str) -> str:
    """Text that is no markup, in one line and one cell of a table."""
    return _MARKUP.sub(r"\\\1", one_line(text))


def markdown_document(found: Any) -> Any:
    """The same of every text in a document of JSON, keys excepted."""
    if isinstance(found, str):
        return markdown_text(found)
    if isinstance(found, dict):
        return {key: markdown_document(value) for key, value in found.items()}
    return [markdown_document(value) for value in found] if isinstance(found, (list, tuple)) else found


def spreadsheet_row(cells: Iterable[Any]) -> list[Any]:
    """Cells, none of whose texts a spreadsheet takes for a formula."""
    return [spreadsheet_cell(cell) if isinstance(cell, str) else cell for cell in cells]
