"""Files at an address, `s3://bucket/key` and whatever else fsspec reads."""

from __future__ import annotations

import glob
from typing import Any

from clipspect.base.errors import ClipspectError, ImageError, ImageReadError
from clipspect.base.installation import pip_install
from clipspect.base.plug_ins import described
from clipspect.frame.input_limits import MAX_FILE_BYTES
from clipspect.frame.raster_file import EncodedImage


def is_remote(name: str) -> bool:
    """Whether it is an address, not a path of this machine."""
    return "://" in name


def file_system(address: str) -> tuple[Any, str]:
    """The system of an address, and its name there. Raises ClipspectError."""
    try:
        from fsspec.core import url_to_fs

        system, root = url_to_fs(address)
    except ImportError as error:
        raise ClipspectError(f"{address}: {error}: {pip_install('ray')}, or the package that it names") from error
    except Exception as error:
        raise ClipspectError(f"{address}: cannot be opened ({described(error)}): check the address") from error
    return system, root


def listed_remote(address: str) -> tuple[Any, dict[str, dict[str, Any]]]:
    """Its system, and what that says of the files by their names there: one, those of a prefix, or of a glob.

    Raises ClipspectError.
    """
    system, root = file_system(address)
    try:
        found = system.find(root, detail=True)
        if not found and glob.has_magic(root):  # a key can have such characters, too
            found = {name: entry for name, entry in system.glob(root, detail=True).items() if entry["type"] == "file"}
    except Exception as error:  # each system has errors of its own
        raise ClipspectError(
            f"{address}: cannot be listed ({described(error)}): check the address, the rights"
        ) from error
    return system, found


def is_there_remote(address: str) -> bool:
    """Of a glob: whether the place is that it begins with. Raises what the system raises, and ClipspectError."""
    system, root = file_system(address)
    if system.exists(root):
        return True
    fixed = root[: next((place for place, one in enumerate(root) if one in "*?["), 0)]
    return "/" in fixed and bool(system.exists(fixed.rpartition("/")[0]))


def opened_remote(address: str) -> Any:
    """A file to read from. Raises ClipspectError."""
    system, name = file_system(address)
    try:
        return system.open(name, "rb")
    except Exception as error:
        raise ClipspectError(
            f"{address}: cannot be read ({described(error)}): check the address, the rights"
        ) from error


def fetched(address: str, size: int | None) -> EncodedImage | ImageError:
    """A file's bytes, or why they cannot be had; `size` is known from a listing, or asked for."""
    try:
        system, name = file_system(address)
        known = system.info(name)["size"] if size is None else size
        if known is not None and known > MAX_FILE_BYTES:
            return ImageError(
                f"{address}: is a file of more than {MAX_FILE_BYTES / 1e6:.0f} MB: compress it, or cut it"
            )
        return EncodedImage(address, system.cat_file(name))
    except FileNotFoundError:
        return ImageError(f"{address}: no such file")
    except Exception as error:  # each system has errors of its own
        return ImageReadError(f"{address}: cannot be read now ({described(error)}): check the rights, the network")
