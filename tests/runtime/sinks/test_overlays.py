"""Overlays as files: what they are named."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from clipspect.sinks.overlays import OverlayNames


@given(st.lists(st.text(st.sampled_from("aB_./"), min_size=1, max_size=6), min_size=1, max_size=12, unique=True))
def test_overlays_never_share_a_name(names: list[str]) -> None:
    paths = list(dict.fromkeys(Path("/d") / name.strip("/") / "x" for name in names))
    overlays = OverlayNames()
    found = [overlays.next(str(path)) for path in paths]
    assert len({name.casefold() for name in found}) == len(paths)
    assert all(name and "/" not in name for name in found)
