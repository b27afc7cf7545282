"""HTML pages as the tests read them: well-formed, self-contained, and their words."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

_VOID = {"meta", "img", "br", "link", "input", "hr"}
_LOADS = {"src", "href", "srcset", "data", "poster", "action", "background"}  # attributes that load what they name


class Page(HTMLParser):
    """A page, read: its words, its pictures, its charts. Raises AssertionError where it is not well-formed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.words, self.loads, self.headings = text, "", list[str](), list[str]()
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], f"not closed: {self._open}"

    @property
    def charts(self) -> list[ElementTree.Element]:
        """The SVG elements, parsed as XML."""
        return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", self.text, re.DOTALL)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"<{tag}> has an attribute twice: {names}"
        assert tag != "script" or not attrs  # nothing that is loaded
        self.loads += [value or "" for name, value in attrs if name in _LOADS]
        if tag not in _VOID:
            self._open.append(tag)
        if tag in {"h1", "h2", "td", "th", "p", "div", "span"}:
            self.words += " "
        if tag in {"h1", "h2"}:
            self.headings.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self._open, f"<{tag}/> outside a drawing"

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            assert not re.search(r"fetch|XMLHttpRequest|import\b|WebSocket|eval", data)
            return
        if "style" in self._open:
            assert "url(" not in data
            assert "@import" not in data
            return
        self.words += data.replace("\N{NO-BREAK SPACE}", " ")
        if self._open and self._open[-1] in {"h1", "h2"}:
            self.headings[-1] += data

    def require_self_contained(self) -> None:
        assert all(value.startswith("data:image/") for value in self.loads), self.loads
        assert not re.search(r"https?://", self.text)


def require_numbers(chart: ElementTree.Element) -> None:
    """Every coordinate of a chart is a finite number inside its view box, to a hair."""
    width, height = (float(part) for part in chart.attrib["viewBox"].split()[2:])
    for element in chart.iter():
        for name, bound in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height), ("y2", height)):
            if name in element.attrib:
                assert -0.01 <= float(element.attrib[name]) <= bound + 0.01, element.attrib
        for name in ("width", "height"):
            if name in element.attrib and element is not chart:
                assert 0 <= float(element.attrib[name]) <= max(width, height)
        assert re.fullmatch(r"[MHLVZ0-9 .-]*", element.attrib.get("d", "")), element.attrib
