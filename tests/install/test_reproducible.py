"""The wheel of a commit is the same file wherever and whenever it is built."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from clipspect.base.files import sha256_of
from support.installed import ROOT, call

pytestmark = pytest.mark.slow


def build(folder: Path, *, umask: int, changed: int, epoch: str | None) -> Path:
    """The wheel of a copy of the sources whose files were changed at that time, by someone with that umask."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    before = os.umask(umask)
    try:
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file() and not name.startswith("tests/"):
                copy = folder / "clone" / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, copy)
                os.utime(copy, (changed, changed))
        given = ("env", "--unset=SOURCE_DATE_EPOCH") if epoch is None else ("env", f"SOURCE_DATE_EPOCH={epoch}")
        call(*given, "uv", "build", "--quiet", "--wheel", "--out-dir", folder, folder / "clone")
    finally:
        os.umask(before)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.parametrize("epoch", ["1790000000", None])
def test_two_builds_in_two_folders_at_two_times_are_the_same_bytes(tmp_path: Path, epoch: str | None) -> None:
    first = build(tmp_path / "a", umask=0o022, changed=1_600_000_000, epoch=epoch)
    second = build(tmp_path / "much" / "deeper", umask=0o077, changed=1_700_000_000, epoch=epoch)
    assert first.name == second.name
    assert sha256_of(first) == sha256_of(second)
