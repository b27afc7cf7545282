"""What mkdocs does not do by itself: pages of other folders, links between them, and every option of every command."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ELSEWHERE = {  # pages of the site that lie outside of docs/, where readers of the repository look for them
    "README.md": "index.md",
    "examples/README.md": "examples.md",
    "models/README.md": "models.md",
    "runtime/cpp/README.md": "cpp.md",
    "runtime/jetson/README.md": "jetson.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
COMMANDS = "command-line.md"
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_ROW_CODE = re.compile(r"`[^`\n]*`(?=.*\|$)", re.MULTILINE)  # in a row of a table
_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File  # the tests read this file without mkdocs

    for source, name in ELSEWHERE.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    name = page.file.src_uri
    source = next((ROOT / path for path, own in ELSEWHERE.items() if own == name), DOCS / name)
    text = linked(markdown, source, Path(name).parent)
    if name == COMMANDS:
        text += f"\n{command_reference()}"
    # GitHub wants the | in a table's code escaped, and Python-Markdown wants it as it is
    return _ROW_CODE.sub(lambda found: found[0].replace("\\|", "|"), text)


def linked(markdown: str, source: Path, folder: Path) -> str:
    """The page with its links as they are on the site; a link to a file that is no page becomes its text."""
    code = [(found.start(), found.end()) for found in _CODE.finditer(markdown)]

    def link(found: re.Match[str]) -> str:
        image, text, target = found.groups()
        path, _, anchor = target.partition("#")
        inside = any(start <= found.start() and found.end() <= end for start, end in code)
        if inside or not path or re.match(r"[a-z]+:", target):
            return found[0]
        there = (source.parent / path).resolve()
        own = ELSEWHERE.get(str(there.relative_to(ROOT)))
        if own is None and (DOCS not in there.parents or there.is_dir()):
            return text if there.exists() else found[0]  # what is not there is mkdocs' to warn of
        uri = own or str(there.relative_to(DOCS))
        return f"{image}[{text}]({os.path.relpath(uri, folder)}{'#' + anchor if anchor else ''})"

    return _LINK.sub(link, markdown)


def command_reference() -> str:
    from clipspect.cli import all_commands, build_parser

    (subparsers,) = (action for action in build_parser(all_commands())._actions if action.nargs == argparse.PARSER)
    parsers: dict[str, argparse.ArgumentParser] = dict(subparsers.choices or {})
    return "\n".join(line for name in sorted(parsers) for line in _command(name, parsers[name]))


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield from (f"## {name}", "", _plain(" ".join((parser.description or "").split())), "")
    for group in parser._action_groups:
        actions = [
            action for action in group._group_actions if action.help != argparse.SUPPRESS and action.dest != "help"
        ]
        if actions:
            title = group.title if group.title not in {"positional arguments", "options"} else ""
            yield from ([f"**{_plain(title)}**", ""] if title else [])
            yield from ([_plain(group.description), ""] if group.description else [])
            rows = (f"| {_name(action)} | {_help(action)} |" for action in actions)
            yield from ("| argument | meaning |", "| --- | --- |", *rows, "")
    if parser.epilog and parser.formatter_class is argparse.HelpFormatter:
        yield from (_plain(" ".join(parser.epilog.split())), "")
    elif parser.epilog:  # laid out by hand
        yield from ("```text", parser.epilog.strip(), "```", "")


def _name(action: argparse.Action) -> str:
    if not action.option_strings:
        shown = action.metavar or action.dest
        return f"`{shown if isinstance(shown, str) else ' '.join(shown)}`"
    formatter = argparse.HelpFormatter("")
    value = "" if action.nargs == 0 else f" {formatter._format_args(action, action.dest.upper())}"
    return f"`{', '.join(action.option_strings)}{value}`".replace("|", "\\|")


def _help(action: argparse.Action) -> str:
    values = {key: getattr(value, "__name__", value) for key, value in vars(action).items()}
    if action.choices is not None:
        values["choices"] = ", ".join(map(str, action.choices))
    return _plain(" ".join(((action.help or "") % values).split()))


def _plain(text: str) -> str:
    """Help as Markdown: what would be markup is escaped."""
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", text)
