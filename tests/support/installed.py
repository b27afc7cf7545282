"""Environments of their own into which the built wheel is installed, as users have it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from support import handmade

ROOT = Path(__file__).resolve().parents[2]
BOX = ROOT / "tests" / "install" / "box"
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))


class CommandError(Exception):
    """A command ended with another status than expected; the message is what it said."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment; nothing of the caller's Python settings reaches its programs."""

    root: Path

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    def install(self, *requirements: object) -> None:
        call("uv", "pip", "install", "--quiet", "--python", self.python, *requirements)

    def run(self, *arguments: object, cwd: Path) -> str:
        """What `python ARGUMENTS` writes to stdout and stderr."""
        return call(self.python, *arguments, cwd=cwd)

    def command(self, name: str, *arguments: object, cwd: Path, status: int = 0) -> str:
        """What an installed program writes; raises `CommandError` where its status is another one."""
        return call(self.root / "bin" / name, *arguments, cwd=cwd, status=status)

    def test(self, bundle: Path, *options: object) -> str:
        """Run the tests of tests/install/box in it, and answer with what pytest says."""
        own = ["--config-file", BOX / "pytest.ini", "--rootdir", BOX, "--confcutdir", BOX]
        return self.run("-m", "pytest", "-rs", *own, BOX, "--bundle", bundle, *options, cwd=self.root)


def create(root: Path, python: object) -> Environment:
    """A new environment; one that is there is replaced."""
    call("uv", "venv", "--quiet", "--clear", "--python", python, root)
    return Environment(root)


def build_wheel(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    call("uv", "build", "--quiet", "--wheel", "--out-dir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def make_bundle(folder: Path) -> Path:
    """What the tests of box/ ask for."""
    shutil.rmtree(folder, ignore_errors=True)
    return handmade.write_full_bundle(folder)


@cache
def interpreter(version: str) -> Path | None:
    """A Python of that minor version, from the PATH, pyenv or uv, that starts; None where there is none."""
    on_path = shutil.which(f"python{version}")
    managed = sorted((PYENV / "versions").glob(f"{version}.*/bin/python{version}"))
    for candidate in [*([Path(on_path)] if on_path else []), *reversed(managed)]:
        if _version_of(candidate) == version:
            return candidate
    try:
        found = Path(call("uv", "python", "find", "--no-python-downloads", version).strip().splitlines()[-1])
    except CommandError:
        return None
    return found if _version_of(found) == version else None


def call(*command: object, cwd: Path | None = None, status: int = 0) -> str:
    """What a command writes; raises `CommandError` with it where the status is another one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where uv is
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != status:
        raise CommandError(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}")
    return done.stdout


def _version_of(python: Path) -> str | None:
    try:
        return call(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    except (CommandError, OSError):
        return None
