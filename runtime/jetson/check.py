#!/usr/bin/env python3
"""Runs doctor, compile, verify and bench of the clipspect beside this Python, and leaves one results file."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

SCHEMA_VERSION = 1
_DESCRIPTION = """Run the checks of an inspection box, one after the other, and write a JSON document of the machine's
facts and of everything that the checks said. A check that fails does not stop the next. Exit status: 0 when all passed,
else 1."""


def checks(bundle: str) -> dict[str, list[str]]:
    """The arguments of clipspect, by the check's name, in their order."""
    return {
        "doctor": ["doctor", "--json"],
        "compile": ["compile", bundle, "--backend", "tensorrt", "--json"],
        "verify-tensorrt": ["verify", bundle, "--backend", "tensorrt", "--json"],
        "verify-cuda": ["verify", bundle, "--backend", "onnxruntime", "--device", "cuda", "--json"],
        "bench": ["bench", bundle, "--json"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=_DESCRIPTION)
    parser.add_argument("--bundle", default="demo", help='bundle folder, or the word "demo" (default: demo)')
    parser.add_argument("--results", type=Path, default=Path("clipspect-results.json"), help="the file to write")
    parser.add_argument("--only", nargs="+", choices=tuple(checks("")), help="these checks (default: all)")
    args = parser.parse_args()
    try:
        with whole_file(args.results) as file:
            answers = [
                run(name, arguments) for name, arguments in checks(args.bundle).items() if name in (args.only or [name])
            ]
            failed = [answer["name"] for answer in answers if answer["status"] != 0]
            document = {
                "schema_version": SCHEMA_VERSION,
                "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "bundle": args.bundle,
                "passed": not failed,
                "checks": answers,
            }
            json.dump(document, file, indent=2, ensure_ascii=False)
            file.write("\n")
    except OSError as error:
        print(f"check.py: error: {args.results} cannot be written ({error.strerror})", file=sys.stderr)
        return 1
    print(f"{args.results}: {len(answers) - len(failed)} of {len(answers)} checks passed")
    if failed:
        print(f"check.py: failed: {', '.join(failed)}; what they said is above and in the results", file=sys.stderr)
    return 1 if failed else 0


def run(name: str, arguments: list[str]) -> dict[str, Any]:
    """One check: its command, exit status, seconds, the JSON document that it printed, and its other lines."""
    command = [sys.executable, "-m", "clipspect", *arguments]
    print(f"--- {shlex.join(['clipspect', *arguments])}", file=sys.stderr, flush=True)
    start = time.monotonic()
    lines = []
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        with subprocess.Popen(command, stdout=printed, stderr=subprocess.PIPE, text=True, errors="replace") as process:
            for line in process.stderr or ():  # shown as they come: a compilation takes minutes
                print(line, end="", file=sys.stderr, flush=True)
                lines.append(line.rstrip("\n"))
        printed.seek(0)
        text = printed.read()
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
        lines += text.splitlines()
    return {
        "name": name,
        "command": ["clipspect", *arguments],
        "status": process.returncode,
        "seconds": round(time.monotonic() - start, 3),
        "answer": answer,
        "lines": lines,
    }


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """A file that has its name only when the block ends well. Raises OSError, before the block if it can."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
