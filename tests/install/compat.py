"""`make compat`: the built wheel with the lowest and the newest versions of what it needs, on every supported Python.

An interpreter that is not on this machine is skipped, and said; with --strict that is a failure.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

from support.installed import ROOT, CommandError, Environment, build_wheel, call, create, interpreter, make_bundle

BUILD = ROOT / "build" / "compat"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
RESOLUTIONS = ("lowest-direct", "highest")
EXTRAS = ("cpu", "openvino", "text", "mqtt")  # what runs on a CPU without torch
# Of the tests themselves: old enough for every Python here, and no requirement of ours.
TESTS = "pytest>=8,<10"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", nargs="+", default=PYTHONS, metavar="X.Y")
    parser.add_argument("--resolution", nargs="+", default=RESOLUTIONS, choices=RESOLUTIONS)
    parser.add_argument("--strict", action="store_true", help="fail where an interpreter is missing")
    args = parser.parse_args()
    wheel, bundle = build_wheel(BUILD / "wheel"), make_bundle(BUILD / "tiny.bundle")
    print(f"{wheel.name}, extras {', '.join(EXTRAS)}\n", flush=True)
    passed, failed, skipped = 0, 0, 0
    for version in args.python:
        python = interpreter(version)
        if python is None:
            print(f"Python {version}: skipped, for neither the PATH, pyenv nor uv has it", flush=True)
            skipped += 1
            continue
        for resolution in args.resolution:
            start = time.monotonic()
            try:
                said = test(wheel, bundle, version, python, resolution)
                passed += 1
            except CommandError as error:
                said = f"FAILED\n{error}"
                failed += 1
            print(f"Python {version}, {resolution} ({time.monotonic() - start:.0f} s): {said}\n", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed or (args.strict and skipped) else 0


def test(wheel: Path, bundle: Path, version: str, python: Path, resolution: str) -> str:
    """Pytest's closing line, and the versions that were tested of what the wheel asks for."""
    folder = BUILD / f"{version}-{resolution}"
    pins = folder.with_name(f"{folder.name}.pins.txt")
    _resolve(version, resolution, pins)
    environment = create(folder, python)
    environment.install(f"clipspect[{','.join(EXTRAS)}] @ {wheel.as_uri()}", TESTS, "--constraint", pins)
    said = environment.test(bundle)
    return f"{said.strip().splitlines()[-1]}\n  {_tested(environment, folder)}"


def _resolve(version: str, resolution: str, pins: Path) -> None:
    """Pin what an installation takes; built packages only, as a box has no compiler."""
    extras = [part for extra in EXTRAS for part in ("--extra", extra)]
    options = ["--quiet", "--no-header", "--only-binary", ":all:", "--resolution", resolution, "--upgrade"]
    call("uv", "pip", "compile", *options, *extras, "--python-version", version, "-o", pins, ROOT / "pyproject.toml")


def _tested(environment: Environment, folder: Path) -> str:
    code = "from importlib.metadata import requires; print(*requires('clipspect'), sep='\\n')"
    asked = {_name(line) for line in environment.run("-c", code, cwd=folder).splitlines()}
    installed = call("uv", "pip", "freeze", "--quiet", "--python", environment.python).splitlines()
    return " ".join(line for line in installed if _name(line) in asked)


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


if __name__ == "__main__":
    sys.exit(main())
