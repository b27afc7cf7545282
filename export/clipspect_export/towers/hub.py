"""The weights file behind an open_clip tag: from this machine's caches, else fetched once."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipspect.base.errors import ExportError

_FILE = "open_clip_model.safetensors"  # of a repository on the hub, where the record names none
_PATIENCE = 30.0  # seconds without an answer or a byte


def fetch_weights(record: Mapping[str, Any], backbone: str, tag: str) -> Path:
    """The file of a tag, by open_clip's record of it. Raises ExportError when it cannot be fetched."""
    import open_clip

    place = one_place(record, tag)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)  # open_clip opens releases without a timeout
    try:
        if "hf_hub" in place:
            _require_hub(place["hf_hub"])
        return Path(open_clip.download_pretrained(place))
    except Exception as error:  # the hub's client and urllib raise what they like
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise ExportError(
            f"the weights {tag!r} of {backbone} could not be fetched ({reason[:200]}): "
            f"fetch {_address(place)} where the network can be reached and give the file: --weights FILE"
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def one_place(record: Mapping[str, Any], tag: str) -> dict[str, Any]:
    """The record with one of its two places: the hub, except where the release alone is named after the tag.

    For ViT-B-16-plus-240 open_clip 3 has the hub's `laion400m_e31` under both tags, `laion400m_e31` and `_e32`.
    """
    hub, release = record.get("hf_hub", ""), record.get("url", "")
    other = "hf_hub" if not hub or (release and tag in release and tag not in hub) else "url"
    return {key: value for key, value in record.items() if key != other}


def _require_hub(place: str) -> None:
    """Ask the hub for the file once, unless it is in the cache: offline, the hub's client would try for a minute."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError

    repository, file = _split(place)
    if try_to_load_from_cache(repository, file) is None:
        try:
            get_hf_file_metadata(hf_hub_url(repository, file))
        except EntryNotFoundError:
            return  # the hub is there: open_clip knows other names to ask for


def _address(place: Mapping[str, Any]) -> str:
    """Where a person would fetch the file."""
    if "hf_hub" not in place:
        return str(place["url"])
    repository, file = _split(place["hf_hub"])
    return f"https://huggingface.co/{repository}/resolve/main/{file}"


def _split(place: str) -> tuple[str, str]:
    repository, _, file = place.rpartition("/")
    return repository, file or _FILE
