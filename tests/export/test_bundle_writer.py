from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clipspect.base.errors import ExportError, RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.recipes.shelf import recipe_names
from clipspect_export import STAGES, export_bundle
from clipspect_export.bundle import new_bundle, require_free

Files = tuple[Path, Path]


class Interrupted(BaseException):
    """As KeyboardInterrupt: no Exception."""


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupted_export_leaves_nothing(stage: str, files: Files, tmp_path: Path) -> None:
    def interrupt(begun: str, done: float, total: float) -> None:
        assert (STAGES[int(done)], total) == (begun, len(STAGES))
        if begun == stage:
            raise Interrupted

    with pytest.raises(Interrupted):
        export_bundle("winclip", tmp_path / "x", backbone=files[0], weights=files[1], scales=(15,), progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def start_export(files: Files, out: Path) -> subprocess.Popen[str]:
    """The command line in a process of its own, returned when it has begun to write."""
    command = [sys.executable, "-m", "clipspect", "export", "winclip", "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--backbone", str(files[0]), "--weights", str(files[1])],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(out.parent.glob(".*/recipes/*")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()[1]
    return process


def test_a_killed_export_leaves_no_bundle_and_the_next_one_clears_up(files: Files, tmp_path: Path) -> None:
    process = start_export(files, tmp_path / "nuts.bundle")
    process.kill()
    process.communicate()
    assert all(left.name.startswith(".clipspect-") for left in tmp_path.iterdir())
    with new_bundle(tmp_path / "nuts.bundle") as folder:
        assert sorted(tmp_path.iterdir()) == sorted([folder, tmp_path / ".clipspect-nuts.bundle.lock"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_terminated_export_leaves_nothing(number: signal.Signals, files: Files, tmp_path: Path) -> None:
    process = start_export(files, tmp_path / "nuts.bundle")
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    # Where an interrupt passes through an exec() of text (of a library), CPython ends the process by the signal itself,
    # however it was handled: a shell calls both 130.
    assert process.returncode in {128 + number, -signal.SIGINT}, error
    assert number != signal.SIGINT or error == "clipspect: interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_of_two_exports_to_one_target_the_second_is_refused_and_those_to_two_targets_are_not(tmp_path: Path) -> None:
    with new_bundle(tmp_path / "x") as one, new_bundle(tmp_path / "y") as other:
        with pytest.raises(ExportError, match=r"x: another clipspect .* writes there"), new_bundle(tmp_path / "x"):
            pass
        assert one.is_dir()
        assert other.is_dir()


def test_an_existing_target_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder"):
        with pytest.raises(ExportError, match=f"{re.escape(str(tmp_path / name))} exists: choose another"):
            require_free(tmp_path / name, force=False)
        with pytest.raises(ExportError, match="is no bundle, so --force does not replace it"):
            require_free(tmp_path / name, force=True)


def test_force_replaces_a_bundle(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "nuts.bundle"
    for name in ("hex nut", "wing nut"):
        export_bundle("winclip", out, backbone=files[0], weights=files[1], scales=(15,), objects=[name], force=True)
        assert recipe_names(Bundle.open(out)) == [name]
        assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(ExportError, match="exists"):
        export_bundle("winclip", out, backbone=files[0], weights=files[1])


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="x: cannot be written "), new_bundle(tmp_path / "file" / "x"):
        pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "patchcore"}, "there are: winclip, anomalyclip, aprilgan, crane"),
        ({"precision": "int4"}, "expected fp32 or fp16; --int8 adds a copy in int8"),
        ({"storage": "int8"}, "expected fp32 or fp16"),
        ({"storage": "fp16", "int8": True}, "made of weights stored in fp32"),
        ({"scales": (16,)}, "scale 16 does not fit"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_any_work(
    options: dict[str, object], message: str, files: Files, tmp_path: Path
) -> None:
    given = {"method": "winclip", "backbone": files[0], "weights": files[1], **options}
    with pytest.raises(ExportError, match=message):
        export_bundle(out=tmp_path / "x", **given)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_cannot_name_a_recipe_is_refused(files: Files, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="recipe's name"):
        export_bundle("winclip", tmp_path / "x", backbone=files[0], weights=files[1], objects=["../nut"])
    assert list(tmp_path.iterdir()) == []
