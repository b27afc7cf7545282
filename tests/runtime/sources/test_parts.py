"""Parts of a continuous video: each once, in order, by its best frame; at a gate, or when a trigger says so."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import clipspect
from clipspect.base.errors import ClipspectError, ImageError
from clipspect.cli import main
from clipspect.frame.item import Item
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from clipspect.sources import Gate, Trigger, fired_at, parts
from clipspect.sources.gate import parse_gate
from demo.belt import GATE, WIDTH, Belt, video, write_video_of

BOTTLES = Path(__file__).parents[2] / "photos" / "bottles.mp4"
EMPTY, PART = 0, 200  # grey levels of plain frames
DAMAGED = [False] * 4 + [True, False, True, True, False]


def plain(*levels: int) -> list[npt.NDArray[np.uint8]]:
    """Frames with a square of that grey level in the middle of the gate."""
    frames = []
    for level in levels:
        frame = np.zeros((40, 60, 3), np.uint8)
        frame[15:25, 25:35] = level
        frames.append(frame)
    return frames


def spans(items: Sequence[Item]) -> list[tuple[int, int, int]]:
    return [(item.span.frames, item.span.first.number, item.span.last.number) for item in items if item.span]


GATE_OF_PLAIN = Gate(20, 10, 20, 20, pause=1)


def test_every_part_of_a_drawn_belt_comes_once_in_order_by_the_frame_that_has_it_in_the_middle() -> None:
    belt = Belt(DAMAGED)
    assert belt.frames == 282
    found = list(parts(video(belt), Gate(*GATE)))
    assert [item.span.part for item in found if item.span] == list(range(len(DAMAGED)))
    assert [item.number for item in found] == sorted(item.number for item in found)
    for number, item in enumerate(found):
        assert abs(belt.middle(item.number, number) - WIDTH / 2) <= belt.speed
        assert item.span is not None
        assert item.span.first.number < item.number < item.span.last.number


def test_every_damaged_part_of_a_drawn_video_fails_and_no_other_one_by_its_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = list(video(Belt(DAMAGED)))
    good = [item.frame for item in parts(frames, Gate(*GATE))][:3]
    recipe = clipspect.make_recipe("demo", "disc", references=good, judge="photos", backend="onnxruntime")
    write_recipe(tmp_path / "disc.safetensors", dataclasses.replace(recipe, limits=Limits(15, 30)))
    path = write_video_of(tmp_path / "belt.mkv", frames)
    gate = ",".join(map(str, GATE))
    command = ["run", "demo", str(path), "--recipe", str(tmp_path / "disc.safetensors"), "--gate", gate, "--json"]
    assert main([*command, "--backend", "onnxruntime"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["verdict"] for record in records] == ["fail" if damaged else "pass" for damaged in DAMAGED]
    assert [record["item"]["span"]["part"] for record in records] == list(range(len(DAMAGED)))
    first = records[0]["item"]
    assert first["span"]["first"]["number"] < first["number"] < first["span"]["last"]["number"]
    assert first["span"]["first"]["seconds"] < first["seconds"]


def test_each_bottle_that_stands_at_the_gate_is_one_part_whose_best_frame_shows_no_hand() -> None:
    """Bottles are put down and taken away by hand; the hand's frames are looked at by eye, and listed here."""
    (empty,) = itertools.islice(clipspect.sources.video(BOTTLES), 290, 291)
    found = list(parts(clipspect.sources.video(BOTTLES), Gate(20, 90, 150, 230, empty=empty.frame)))
    hands = [range(196, 215), range(335, 405), range(455, 540), range(810, 870)]
    assert len(found) == 3
    for item, (first, last) in zip(found, [(0, 215), (330, 545), (810, 1189)]):
        assert item.span is not None
        assert first <= item.span.first.number <= item.number <= item.span.last.number < last
        assert not any(item.number in hand for hand in hands)


# --- rules -------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(2, 6), st.integers(2, 5)), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_parts_are_counted_whatever_their_length_and_the_gaps_between_them(runs: list[tuple[int, int]]) -> None:
    levels, expected = [EMPTY], []
    for frames, gap in runs:
        expected.append((frames, len(levels), len(levels) + frames - 1))
        levels += [PART] * frames + [EMPTY] * gap
    assert spans(list(parts(plain(*levels), GATE_OF_PLAIN))) == expected


def test_a_flicker_is_no_part_and_a_short_pause_does_not_make_two_of_one() -> None:
    levels = [EMPTY, PART, EMPTY, EMPTY, PART, PART, EMPTY, PART, PART, EMPTY, EMPTY]
    assert spans(list(parts(plain(*levels), GATE_OF_PLAIN))) == [(4, 4, 8)]


def test_a_part_that_is_there_when_the_source_ends_comes_too() -> None:
    assert spans(list(parts(plain(EMPTY, PART, PART), GATE_OF_PLAIN))) == [(2, 1, 2)]


def test_the_sharpest_frame_judges_where_the_part_lies_alike() -> None:
    frames = plain(EMPTY, PART, PART, PART, EMPTY, EMPTY, EMPTY)
    for number in (1, 3):
        frames[number][14:26, 24:36] = np.asarray(
            Image.fromarray(frames[number][14:26, 24:36]).reduce(4).resize((12, 12))
        )
    (found,) = parts(frames, GATE_OF_PLAIN)
    assert found.number == 2


def test_a_slow_change_of_light_is_no_part() -> None:
    frames = [np.full((40, 60, 3), 60 + number, np.uint8) for number in range(150)]
    slow = [frame for frame in frames for _ in range(10)]
    assert list(parts(slow, GATE_OF_PLAIN)) == []


def test_what_stays_is_given_once_and_is_no_part_until_it_has_gone() -> None:
    gate = Gate(20, 10, 20, 20, longest=5, pause=0)
    levels = [EMPTY] + [PART] * 20 + [EMPTY, EMPTY, PART, PART]
    assert spans(list(parts(plain(*levels), gate))) == [(5, 1, 5), (2, 23, 24)]
    known = Gate(20, 10, 20, 20, longest=5, pause=0, empty=plain(EMPTY)[0])
    assert spans(list(parts(plain(*levels), known))) == [(5, 1, 5), (2, 23, 24)]
    levels = [EMPTY] + [PART] * 20 + [EMPTY + 60] * 9 + [PART, PART]  # another light, which stays, too
    assert spans(list(parts(plain(*levels), gate))) == [(5, 1, 5), (5, 21, 25), (2, 30, 31)]


def test_every_part_comes_when_the_belt_has_stood_with_one_in_the_gate() -> None:
    def belt(moved: int) -> np.ndarray:
        frame = np.full((60, 200), 50, np.uint8)
        for front in range(moved, moved - 8 * 80, -80):
            frame[20:40, max(front - 20, 0) : max(front, 0)] = 200
        return frame

    moves = [*range(0, 110, 4), *[108] * 40, *range(112, 720, 4)]
    found = list(parts(map(belt, moves), Gate(80, 10, 40, 40, longest=30)))
    fronts = [moves[item.number] % 80 for item in found]  # 30 in the middle of the gate
    assert len(found) == 8 + 1  # that which stood there comes once more when it goes on
    assert all(abs(front - 30) <= 4 for front in fronts[2:])


def test_the_picture_of_the_empty_gate_counts_whether_it_is_grey_or_not() -> None:
    grey = Gate(20, 10, 20, 20, empty=np.full((40, 60), EMPTY, np.uint8))
    frames = [np.repeat(frame.reshape(40, 60, -1)[..., :1], 3, axis=2) for frame in plain(PART, PART, EMPTY, EMPTY)]
    assert spans(list(parts(frames, grey))) == [(2, 0, 1)]


def test_frames_that_the_source_dropped_are_counted_with_the_part_that_they_belong_to() -> None:
    frames = plain(EMPTY, PART, PART, EMPTY, EMPTY, PART, PART, EMPTY, EMPTY)
    items = [Item("camera", number, None, frame, dropped=1) for number, frame in enumerate(frames)]
    assert [item.dropped for item in parts(items, GATE_OF_PLAIN)] == [5, 4]


def test_a_frame_that_could_not_be_read_comes_by_itself_and_breaks_no_part() -> None:
    frames = plain(EMPTY, PART, PART, PART, EMPTY, EMPTY)
    items = [Item("camera", number, None, frame) for number, frame in enumerate(frames)]
    items[2] = Item("camera", 2, None, ImageError("camera#2: damaged"))
    error, part = parts(items, GATE_OF_PLAIN)
    assert isinstance(error.frame, ImageError)
    assert (error.number, error.span) == (2, None)
    assert spans([part]) == [(2, 1, 3)]
    small = [*frames[:2], np.zeros((4, 4, 3), np.uint8)]
    assert "give frames of one size" in str(next(iter(parts(small, GATE_OF_PLAIN))).frame)


def test_sources_one_after_the_other_have_parts_and_empty_gates_of_their_own() -> None:
    levels = [EMPTY, PART, PART, EMPTY, EMPTY]
    items = [Item(name, n, None, frame) for name in "ab" for n, frame in enumerate(plain(*levels))]
    found = list(parts(items, GATE_OF_PLAIN))
    assert [(item.source, item.span.part if item.span else None) for item in found] == [("a", 0), ("b", 0)]


def test_a_trigger_begins_parts_of_so_many_frames_and_the_sharpest_judges() -> None:
    frames = plain(*[PART] * 10)
    frames[3] = np.random.default_rng(0).integers(0, 256, frames[3].shape, np.uint8)
    items = [Item("belt", number, None, frame, seconds=number / 10) for number, frame in enumerate(frames)]
    found = list(parts(items, trigger=Trigger(fired_at([0.15, 0.75]), frames=4)))
    assert [item.number for item in found] == [3, 8]
    assert spans(found) == [(4, 2, 5), (2, 8, 9)]
    with pytest.raises(ClipspectError, match="its source has no clock"):
        list(parts(frames, trigger=Trigger(fired_at([1]))))


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "-1,0,5,5", "0,0,0,5", "1.5,0,5,5", ""])
def test_a_gate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ClipspectError, match="expected"):
        parse_gate(text)


def test_a_gate_beyond_the_frame_and_options_that_do_not_go_together_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(plain(EMPTY)[0]).save(tmp_path / "a.png")
    run = ["run", "demo", str(tmp_path), "--backend", "onnxruntime"]
    for options, message in (
        (["--gate", "50,0,20,20"], "gate 50,0,20,20 lies beyond a frame of 60 x 40: give one inside"),
        (["--gate", "0,0,20,20", "--steady", "2"], "--gate judges each part by itself"),
        (["--gate-empty", "x.png"], "there is no gate: add --gate"),
        (["--smooth", "2"], "weight 2.0: expected above 0 and up to 1"),
    ):
        assert main([*run, *options]) == 1
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert message in error
    with pytest.raises(ClipspectError, match="one of both"):
        parts([], Gate(0, 0, 1, 1), Trigger(lambda item: True))
