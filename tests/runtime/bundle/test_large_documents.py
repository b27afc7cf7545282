"""What a bundle's files take together is limited, and a command that has no memory says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from clipspect.base.errors import BundleError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import MANIFEST, write_document


def test_the_most_bytes_of_a_bundle_are_of_all_its_files(tiny_bundle: Path) -> None:
    document = json.loads((tiny_bundle / MANIFEST).read_text(encoding="utf-8"))
    document["files"] |= {f"{at}.bin": {"sha256": "0" * 64, "size": 1 << 31} for at in range(5)}
    write_document(tiny_bundle, document)
    with pytest.raises(BundleError, match=r"10\.7 GB, at most 8\.6 are read: set CLIPSPECT_MAX_BUNDLE_BYTES"):
        Bundle.open(tiny_bundle)


def test_a_command_that_has_no_memory_says_so_in_one_line(tmp_path: Path) -> None:
    with (tmp_path / "results.jsonl").open("wb") as file:
        file.truncate(1 << 30)  # one line
    code = (
        "import resource, sys; from clipspect.cli import main\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize() + (300 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size, size)); sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "audit", str(tmp_path / "results.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "clipspect: error: not enough memory for this: see docs/limits-of-input.md\n"
