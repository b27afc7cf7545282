"""Overlays as files: which there are, and what they are named."""

from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipspect.frame.item import Item
from clipspect.frame.prepare import prepare
from clipspect.frame.spec import ImageSpec
from clipspect.inspection.outcome import Outcome
from clipspect.inspection.record import BundleRecord, EngineRecord, FileRecord, ItemRecord, RecipeRecord, Record
from clipspect.inspection.result import Result, Timings
from clipspect.recipes.limits import Limits
from clipspect.sinks.overlay_colours import colours
from clipspect.sinks.overlays import OverlayNames, Overlays, parse_verdicts
from clipspect.sinks.sink import with_files
from support import handmade


@given(st.lists(st.text(st.sampled_from("aB_./"), min_size=1, max_size=6), min_size=1, max_size=12, unique=True))
def test_overlays_never_share_a_name(names: list[str]) -> None:
    paths = list(dict.fromkeys(Path("/d") / name.strip("/") / "x" for name in names))
    overlays = OverlayNames()
    found = [overlays.next(str(path)) for path in paths]
    assert len({name.casefold() for name in found}) == len(paths)
    assert all(name and "/" not in name for name in found)


@pytest.mark.parametrize("letter", ["x", "\N{HIRAGANA LETTER A}", "\udce9"])
def test_the_longest_legal_names_have_overlays_too(letter: str, tmp_path: Path) -> None:
    longest = letter * (251 // len(os.fsencode(letter)))
    files = ["a.png", f"{longest}/a.png", f"{longest}.png", f"b/{longest}.png", f"{longest}/{longest}.png"]
    record, outcome = outcome_of("fail")
    with Overlays(tmp_path) as overlays:
        for name in files:
            written(overlays, dataclasses.replace(record, item=dataclasses.replace(record.item, name=name)), outcome)
        written(overlays, *outcome_of("fail", f"{longest}.png"))  # of clipspect watch
    found = {os.fsencode(path.stem) for path in (tmp_path / "overlays").iterdir()}
    assert len(found) == len(files) + 1
    assert all(letter in os.fsdecode(name) or name in {b"a", b"a-2"} for name in found)
    assert letter == "\udce9" or all(name.decode() for name in found), "a character is cut in two"


def outcome_of(verdict: str | None, file: str | None = None) -> tuple[Record, Outcome]:
    """A frame with that verdict and its record, as `clipspect watch` makes it where there is a file."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    model_map = np.full((8, 8), 0.9, np.float32)
    recipe, timings = handmade.make_recipe(limits=Limits(0.3, 0.6)), Timings(1, 1, 1, 1)
    result = Result("frame.png", 0.9, model_map, (64, 48), recipe, verdict, (), 0.5, timings, handmade.QUALITY)  # type: ignore[arg-type]
    frame = prepare(pixels, ImageSpec(48, 64))
    item = ItemRecord("folder", 0, file or "frame.png", None, 64, 48, None if file is None else FileRecord(file, 1, 2))
    record = Record(
        1, "f" * 64, "now", item, BundleRecord("b", "winclip", "d"), RecipeRecord("r", "d"),
        EngineRecord("onnxruntime", "cpu", "fp32"), "0", score=0.9, verdict=result.verdict,
    )  # fmt: skip
    return record, Outcome(Item("folder", 0, None, "frame.png"), result, frame=frame)


def written(overlays: Overlays, record: Record, outcome: Outcome) -> str | None:
    """The name of the overlay that was written, if one was."""
    complete = with_files(record, outcome, [overlays])
    overlays.take(complete, outcome)
    return complete.files.get("overlay")


@pytest.mark.parametrize("verdict", ["pass", "uncertain", "fail", "invalid", None])
def test_only_the_verdicts_that_were_asked_for_have_overlays(verdict: str | None, tmp_path: Path) -> None:
    with Overlays(tmp_path, verdicts=parse_verdicts("fail, invalid")) as overlays:
        name = written(overlays, *outcome_of(verdict, "a/part.png"))
    asked = verdict in {"fail", "invalid"}
    assert name == ("overlays/a/part~ffffffffffffffff.jpg" if asked else None)
    assert [path.is_file() for path in tmp_path.rglob("*.jpg")] == [True] * asked


def test_a_watched_file_finds_its_overlay_again_after_a_restart(tmp_path: Path) -> None:
    names = set()
    for _ in range(2):
        with Overlays(tmp_path, verdicts=frozenset({"unjudged"})) as overlays:
            names.add(written(overlays, *outcome_of(None, "part.png")))
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.jpg")] == list(names)


def test_an_overlay_is_small_and_has_the_map_limit_in_the_middle_of_its_heat(tmp_path: Path) -> None:
    with Overlays(tmp_path) as overlays:
        overlays.map_range = lambda: (0.0, 2.0)  # so that the limit, 0.5, is a quarter
        name = written(overlays, *outcome_of("fail"))
    assert name is not None
    path = tmp_path / name
    assert path.stat().st_size < 300_000
    with Image.open(path) as drawn:
        pixels = np.asarray(drawn).astype(int)
    expected = 0.8 * 0.9 * colours(np.array([0.9], np.float32))[0]  # on black, at 0.9 of 0 to 1
    assert np.abs(pixels[100:200, 400:600] - expected).max() < 12


def test_a_full_disk_is_an_os_error_that_can_be_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, outcome = outcome_of("fail", "part.png")
    with Overlays(tmp_path) as overlays:
        complete = with_files(record, outcome, [overlays])

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space left"):
                overlays.take(complete, outcome)
        assert list(tmp_path.rglob("*.jpg")) == []
        overlays.take(complete, outcome)
    assert [path.name for path in tmp_path.rglob("*.*")] == ["part~ffffffffffffffff.jpg"]


@pytest.mark.parametrize("text", ["", "fail,", "failed", "fail;pass"])
def test_words_that_are_no_verdicts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="of pass, uncertain, fail, invalid, unjudged; found"):
        parse_verdicts(text)
