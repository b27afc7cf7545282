"""Every page is in the navigation, links lead somewhere, and commands stand where the tests run them."""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from clipspect.cli import BUILT_IN
from support.documented import blocks_of, fences_of, pages, prose_of
from support.installed import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGES = pages()
PROGRAMS = re.compile(r"^(?:\$ )?(?:clipspect|pip|make|python3?|cmake|docker|uv) \S")


WORDS_OF_OTHERS = {  # that a user meets: pip's, Amazon's
    "could not find a version that satisfies the requirement clipspect",
    "Unable to locate credentials",
}


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors_of(page: Path) -> set[str]:
    """What a heading can be linked by: its words in lower case, joined by hyphens."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    words = (re.sub(r"[^\w\s-]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).lower() for heading in headings)
    return {re.sub(r"\s+", "-", heading.strip()) for heading in words}


def links_of(page: Path) -> list[str]:
    names = {"link_open": "href", "image": "src"}
    tokens = [child for token in MarkdownIt().parse(page.read_text(encoding="utf-8")) for child in token.children or ()]
    return [str(token.attrs[names[token.type]]) for token in tokens if token.type in names]


def test_every_page_of_the_docs_is_in_the_navigation_once() -> None:
    assert len(set(PAGES)) == len(PAGES)
    assert {page for page in PAGES if not page.is_file()} == set()
    assert set((ROOT / "docs").glob("*.md")) - set(PAGES) == set()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    for target in links_of(page):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{target}: no such file"
        assert ROOT in there.parents
        if anchor:
            assert anchor in anchors_of(there), f"{target}: {there.name} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_command_stands_in_a_block_that_the_tests_run(page: Path) -> None:
    runnable = blocks_of(page)
    for block in fences_of(page):
        if block not in runnable:
            commands = [line for line in block.text.splitlines() if PROGRAMS.match(line)]
            assert commands == [], f"{block}: mark the block as sh"
    indented = re.findall(r"^ {4,}(\S.*)$", prose_of(page), re.MULTILINE)
    assert [line for line in indented if PROGRAMS.match(line)] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_lists_and_tables_begin_after_an_empty_line_as_the_site_needs_it(page: Path) -> None:
    lines = prose_of(page).splitlines()
    inside = re.compile(r"^\s*(?:[-*]|\d+\.) |^\s+\S|^$|^#|^\|")
    for number, (before, line) in enumerate(itertools.pairwise(lines), 2):
        if re.match(r"^(?:[-*]|\d+\.) |^\|", line) and not inside.match(before):
            pytest.fail(f"{page.name}, line {number}: an empty line is missing before {line[:40]!r}")


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < 1000


def test_the_table_of_commands_has_every_command() -> None:
    table = re.findall(r"^\| `([\w-]+)", (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8"), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert table == sorted([*BUILT_IN, *project["entry-points"]["clipspect.commands"]])


def test_the_page_of_extras_has_every_extra_that_a_user_installs() -> None:
    table = re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs" / "install.md").read_text(encoding="utf-8"), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert sorted(table) == sorted({*project["optional-dependencies"]} - {"docs", "dev"})


def test_troubleshooting_quotes_the_words_of_the_program() -> None:
    sources = [path for root in ("runtime", "export") for path in sorted((ROOT / root).rglob("*.py"))]
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    text = re.sub(r'"\s*\n\s*r?f?"', "", text)  # a message that goes on in the next line
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    quotes = [quote for cell in cells for quote in re.findall(r"`([^`]+)`", cell) if " " in quote]
    assert len(quotes) > 30
    for quote in {*quotes} - WORDS_OF_OTHERS:
        for words in re.split(r"\.\.\.|\d+ ?%?|'[^']*'|\bN\b", quote):  # what differs from case to case
            assert words.strip() in text, f"{quote}: no message has {words.strip()!r}"


def test_no_page_names_the_package_as_if_an_index_had_it() -> None:
    for page in PAGES:
        assert "clipspect[" not in page.read_text(encoding="utf-8"), page
        assert not re.search(r"pip install clipspect\b", page.read_text(encoding="utf-8")), page
