"""requirements/*.txt, which `make lock` writes: what boxes install is pinned, hashed, and meets pyproject.toml."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from support.installed import ROOT, call

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = ROOT / "requirements"
BOX = ("text", "mqtt", "sign", "video")
LOCKS = {"box": BOX, "box-cpu": (*BOX, "cpu")}  # the extras that each is for
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
_PIN = re.compile(r"(?P<pin>[^\s#][^\\]*?) \\\n(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")


def pins_of(name: str) -> list[Requirement]:
    """Every line of a lock file but comments; each is a pin with hashes."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    assert _PIN.sub("", body) == ""
    pins = [Requirement(found["pin"]) for found in _PIN.finditer(body)]
    assert all(re.fullmatch(r"==[^*,]+", str(pin.specifier)) for pin in pins)
    return pins


def asked(extras: tuple[str, ...]) -> list[Requirement]:
    project = pyproject()["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines]


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def installed_on(requirements: list[Requirement], python: str, machine: str) -> list[Requirement]:
    box = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": machine}
    box |= {"python_version": python, "python_full_version": f"{python}.1", "implementation_name": "cpython"}
    box["platform_python_implementation"] = "CPython"
    return [item for item in requirements if item.marker is None or item.marker.evaluate(box)]


@pytest.mark.parametrize("name", LOCKS)
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("machine", MACHINES)
def test_each_requirement_of_a_box_has_one_pin_that_meets_it(name: str, python: str, machine: str) -> None:
    pins = installed_on(pins_of(name), python, machine)
    versions = {pin.name.lower().replace("_", "-"): next(iter(pin.specifier)).version for pin in pins}
    assert len(versions) == len(pins)
    for wanted in installed_on(asked(LOCKS[name]), python, machine):
        found = versions[wanted.name.lower().replace("_", "-")]
        assert wanted.specifier.contains(found), f"{wanted}, {name}.txt has {found}: run make lock"


def test_what_builds_the_wheel_is_what_pyproject_asks_for() -> None:
    wanted = pyproject()["build-system"]["requires"]
    assert (FOLDER / "build.in").read_text(encoding="utf-8").split() == wanted
    versions = {pin.name: next(iter(pin.specifier)).version for pin in pins_of("build")}
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(versions[requirement.name])


@pytest.mark.slow
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("python", ["3.10", "3.13"])
def test_a_lock_is_complete_and_a_wheel_is_there_for_every_pin(tmp_path: Path, python: str, machine: str) -> None:
    platform = ("--python-platform", f"{machine}-manylinux_2_28", "--python-version", python)
    for name in (*LOCKS, "build"):
        given = ("--require-hashes", "--only-binary", ":all:", "--target", tmp_path, "-r", FOLDER / f"{name}.txt")
        call("uv", "pip", "install", "--quiet", "--dry-run", *platform, *given)
