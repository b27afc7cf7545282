"""Write a bundle whole or not at all: a hidden folder beside the target, renamed when it is complete."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from clipspect.base.errors import ExportError
from clipspect.base.folders import exchange_folders, sync, sync_folder
from clipspect.bundle.bundle import require_known_weights
from clipspect.bundle.manifest import MANIFEST, Manifest, write_manifest

try:
    import fcntl
except ImportError:  # Windows: a killed export's hidden folder stays until somebody removes it
    fcntl = None  # type: ignore[assignment]


def require_free(target: Path, force: bool) -> None:
    """Refuse a target that exists; with `force`, all but a bundle. Raises ExportError."""
    if not os.path.lexists(target):
        return
    if not force:
        raise ExportError(f"{target} exists: choose another --out, or replace it with --force")
    if target.is_symlink() or not (target / MANIFEST).is_file():
        raise ExportError(f"{target} exists and is no bundle, so --force does not replace it: choose another --out")


@contextlib.contextmanager
def new_bundle(target: Path, *, force: bool = False) -> Iterator[Path]:
    """A hidden folder to fill; `finish_bundle` inside the block makes it the target.

    Whatever ends the block before that leaves the target as it was. The folder of an export that was killed is
    removed by the next one. Raises ExportError.
    """
    target = target.absolute()
    require_free(target, force)
    prefix = f".{target.name}.export-"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target.parent, prefix)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    except OSError as error:
        raise ExportError(f"{target.parent}: cannot be written to ({error.strerror}): choose another --out") from error
    lock = _lock(folder)
    try:
        yield folder
    except OSError as error:
        reason = error.strerror or error
        where = error.filename or target
        raise ExportError(
            f"{where}: {reason}: nothing was written; check the path, its rights and the space"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def finish_bundle(folder: Path, target: Path, manifest: Manifest, *, force: bool = False) -> Manifest:
    """Account for every file in the manifest, write it last, and give the folder its name. Returns what was written."""
    target = target.absolute()
    manifest = write_manifest(folder, manifest)
    require_known_weights(folder, manifest)  # what no runtime would open is not written
    sync_folder(folder)
    folder.chmod(0o755)  # mkdtemp makes it private
    require_free(target, force)
    if os.path.lexists(target):
        exchange_folders(folder, target)  # the old bundle is removed with the hidden folder
    else:
        os.rename(folder, target)
    sync(target.parent)
    return manifest


def _remove_stale(parent: Path, prefix: str) -> None:
    """Hidden folders that no living export holds a lock on."""
    for folder in parent.glob(f"{prefix}*"):
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """A file descriptor whose lock ends with the process, or None when another one has it."""
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
