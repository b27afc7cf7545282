"""How this installation gets an extra or another package: the one place that names what pip installs."""

from __future__ import annotations

import json
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

_NAME = "clipspect"
_SOURCES = Path(__file__).resolve().parents[3]  # the clone, where this is run from one that is not installed


def pip_install(extra: str = "", distribution: str = _NAME) -> str:
    """The command that adds an extra to `distribution` as it is installed here: from a clone, a wheel, git or an index.

    pip writes where it took a package from into direct_url.json (PEP 610); for one from an index there is none.
    """
    extras = f"[{extra}]" if extra else ""
    try:
        recorded = metadata.distribution(distribution).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        if distribution == _NAME and (_SOURCES / "pyproject.toml").is_file():
            return _command("-e", f"{_SOURCES}{extras}")
        return _command(f"{distribution}{extras}")
    if recorded is None:
        return _command(f"{distribution}{extras}")
    origin = json.loads(recorded)
    if _is_gone(origin["url"]):
        return f'pip install ".{extras}", in a clone of {distribution}'
    if "dir_info" not in origin:
        return _command(f"{distribution}{extras} @ {_address(origin)}")
    editable = ["-e"] if origin["dir_info"].get("editable") else []
    return _command(*editable, f"{_path(origin['url'])}{extras}")


def _command(*words: str) -> str:
    return f"{_pip()} install {' '.join(_quoted(word) for word in words)}"


def _pip() -> str:
    """pip of this environment, or where it has none, any other pip that is told of it."""
    try:
        metadata.distribution("pip")
    except metadata.PackageNotFoundError:
        return f"pip --python {_quoted(sys.executable)}"
    return "pip"


def _quoted(word: str) -> str:
    plain = not set(word) & set('"$`\\!')
    return f'"{word}"' if plain and shlex.quote(word) != word else shlex.quote(word)


def _address(origin: dict[str, Any]) -> str:
    """Of a wheel or an archive, or of a commit in a repository."""
    vcs = origin.get("vcs_info")
    return f"{vcs['vcs']}+{origin['url']}@{vcs['commit_id']}" if vcs else str(origin["url"])


def _is_gone(url: str) -> bool:
    return urlsplit(url).scheme == "file" and not Path(_path(url)).exists()


def _path(url: str) -> str:
    return url2pathname(urlsplit(url).path)
