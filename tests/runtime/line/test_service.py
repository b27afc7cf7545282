"""The systemd units: systemd accepts them, and what they start are commands that clipspect accepts."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from clipspect.cli import build_parser

SYSTEMD = Path(__file__).parents[3] / "runtime/systemd"


def test_the_unit_starts_a_command_that_there_is() -> None:
    (command,) = re.findall(r"^ExecStart=/opt/clipspect/bin/clipspect (.*)$", unit(), re.MULTILINE)
    lines = (SYSTEMD / "line1.env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    for name, quoted in settings.items():
        (value,) = shlex.split(quoted)  # as systemd reads a line of an EnvironmentFile
        command = command.replace(f"${{{name}}}", shlex.quote(value)).replace(f"${name}", value)
    args = build_parser().parse_args(shlex.split(command))
    assert (str(args.folder), args.recipe, args.sort) == ("/srv/line1/camera", "metal nut", "move")


def test_engines_are_looked_for_where_the_comments_compile_them() -> None:
    (cache,) = re.findall(r"^CacheDirectory=(.*)$", unit(), re.MULTILINE)
    assert f"Environment=CLIPSPECT_CACHE=%C/{cache}\n" in unit()
    (command,) = re.findall(
        rf"CLIPSPECT_CACHE=/var/cache/{cache} /opt/clipspect/bin/clipspect (.*)$", unit(), re.MULTILINE
    )
    assert build_parser().parse_args(shlex.split(command)).command == "compile"


def test_the_line_s_unit_starts_a_command_that_there_is_and_waits_for_its_word() -> None:
    (command,) = re.findall(r"^ExecStart=/opt/clipspect/bin/clipspect (.*)$", unit("line"), re.MULTILINE)
    args = build_parser().parse_args(shlex.split(command.replace("%i", "line1")))
    assert (args.command, str(args.plan)) == ("line", "/etc/clipspect/line1.toml")
    for name in ("watch", "line"):
        assert "\nType=notify\n" in unit(name)
        assert re.search(r"^WatchdogSec=\d+$", unit(name), re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt-get install systemd")
@pytest.mark.parametrize("name", ["watch", "line"])
def test_systemd_accepts_the_unit(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"clipspect-{name}@line1.service"
    path.write_text(unit(name).replace("/opt/clipspect/bin/clipspect", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def unit(name: str = "watch") -> str:
    return (SYSTEMD / f"clipspect-{name}@.service").read_text()
