"""What the HTML reports are built of: one self-contained page, its sections, tables and pictures."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from clipspect.base import clock
from clipspect.base.errors import ClipspectError
from clipspect.base.files import atomic_file
from clipspect.base.version import __version__
from clipspect.sinks.report_style import STYLE
from clipspect.sinks.verdict_style import VERDICT_STYLES

_JPEG_QUALITY = 80


class Html(str):
    """Text that is HTML already. All other text is escaped where it goes into a page."""


def escape(text: object) -> Html:
    """Any text as HTML. What no text file can hold (half a character of a file's name) is written as its number."""
    if isinstance(text, Html):
        return text
    writable = str(text).encode("utf-8", "backslashreplace").decode()
    return Html(html.escape(writable).replace(" %", "&nbsp;%"))


def write_page(path: Path, title: str, parts: Iterable[Html], *, style: str = "", script: str = "") -> None:
    """A page of its title and its parts, whole or not at all. Raises ClipspectError."""
    body = "\n".join(parts)
    moving = f"<script>{script}</script>" if script else ""
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}{style}</style></head><body><main>
<h1>{escape(title)}</h1>
{body}
<p><small>Written by clipspect {escape(__version__)} on {escape(clock.now()[:19].replace("T", " "))} UTC.</small></p>
</main>{moving}</body></html>
"""
    with atomic_file(path) as file:
        file.write(page.encode())


def require_place(path: Path) -> None:
    """Raises ClipspectError where a page could not be written, before the work that it would be lost with."""
    if path.is_dir():
        raise ClipspectError(f"{path}: is a folder: name the page's file, e.g. {path / 'report.html'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClipspectError(f"{path}: cannot be written ({error.strerror}): choose another place") from error
    if not os.access(path.parent, os.W_OK):
        raise ClipspectError(f"{path}: {path.parent} cannot be written to: choose another place")


def section(heading: str, *parts: str) -> Html:
    """A heading and what is below it; text that is no HTML becomes a paragraph."""
    return Html(f"<section><h2>{escape(heading)}</h2>\n{_joined(parts)}\n</section>")


def lead(verdict: str, *parts: str) -> Html:
    """What matters most, in a box of the verdict's colour; "" for none."""
    return Html(f'<div class="lead {escape(verdict)}">{_joined(parts)}</div>')


def tiles(counts: Iterable[tuple[str, str]]) -> Html:
    """Large figures in a row, each with what it counts below; that stays as it is where it is HTML."""
    boxes = (f"<div><b>{escape(figure)}</b>{escape(words)}</div>" for figure, words in counts)
    return Html(f'<div class="counts">{"".join(boxes)}</div>')


def panel(*parts: str) -> Html:
    """A box."""
    return Html(f'<div class="panel">{_joined(parts)}</div>')


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """A table with a header; the first cell of a row names it."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    return panel(Html(f"<table><thead><tr>{head}</tr></thead><tbody>\n{_rows(rows)}\n</tbody></table>"))


def facts(rows: Iterable[tuple[str, object]]) -> Html:
    """Names and what there is to say of each."""
    return panel(Html(f'<table class="facts"><tbody>\n{_rows(rows)}\n</tbody></table>'))


def code(text: str) -> Html:
    """A digest, a path, a pattern."""
    return Html(f"<code>{escape(text)}</code>")


def chip(verdict: str) -> Html:
    """A verdict: its sign, its word, its colour."""
    return Html(f'<span class="chip {verdict}">{escape(VERDICT_STYLES[verdict].sign)} {verdict}</span>')


def picture(image: Image.Image, words: str) -> Html:
    """An image in the page itself, and what it shows."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY)
    data = base64.b64encode(file.getvalue()).decode()
    return Html(
        f'<img src="data:image/jpeg;base64,{data}" width="{image.width}" height="{image.height}" alt="{escape(words)}">'
    )


def _joined(parts: Iterable[str]) -> str:
    return "\n".join(part if isinstance(part, Html) else f"<p>{escape(part)}</p>" for part in parts)


def _rows(rows: Iterable[Sequence[object]]) -> str:
    return "\n".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in others)}</tr>'
        for first, *others in rows
    )
