"""Write a bundle whole or not at all: a hidden folder beside the target, renamed when it is complete."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from clipspect.base.errors import ExportError
from clipspect.base.folders import exchange_folders, sync, sync_folder
from clipspect.base.lock import only_writer_of
from clipspect.base.temporary import temporary_folder
from clipspect.bundle.bundle import require_known_weights
from clipspect.bundle.manifest import MANIFEST, Manifest, write_manifest


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
    with ExitStack() as stack:
        stack.enter_context(only_writer_of(target, ExportError))
        require_free(target, force)
        try:
            folder = stack.enter_context(temporary_folder(target.parent))
        except OSError as error:
            raise ExportError(
                f"{target.parent}: cannot be written to ({error.strerror}): choose another --out"
            ) from error
        try:
            yield folder
        except OSError as error:
            reason = error.strerror or error
            where = error.filename or target
            raise ExportError(
                f"{where}: {reason}: nothing was written; check the path, its rights and the space"
            ) from error


def finish_bundle(folder: Path, target: Path, manifest: Manifest, *, force: bool = False) -> Manifest:
    """Account for every file in the manifest, write it last, and give the folder its name. Returns what was written."""
    target = target.absolute()
    manifest = write_manifest(folder, manifest)
    require_known_weights(folder, manifest)  # what no runtime would open is not written
    sync_folder(folder)
    folder.chmod(0o755)  # it was private
    require_free(target, force)
    if os.path.lexists(target):
        exchange_folders(folder, target)  # the old bundle is removed with the hidden folder
    else:
        os.rename(folder, target)
    sync(target.parent)
    return manifest
