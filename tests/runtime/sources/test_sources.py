"""`clipspect.sources`: what each source gives, and how the command line's SOURCE is understood."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import clipspect
from clipspect.base.errors import ClipspectError, ImageError
from clipspect.sources.registry import Sources
from support.watched import grey_png


def test_files_gives_each_image_once_numbered_in_the_first_source_that_has_it(image_folder: Path) -> None:
    one = image_folder / "part10.png"
    items = list(clipspect.sources.files(one, image_folder, one))
    assert [(item.source, item.number, item.name) for item in items] == [
        (str(one), 0, str(one)),
        (str(image_folder), 0, str(image_folder / "more/part9.png")),
        (str(image_folder), 1, str(image_folder / "part9.png")),
    ]
    assert items[0].captured_at is not None
    assert items[0].captured_at.timestamp() == pytest.approx(one.stat().st_mtime)


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a file system that holds any time")
def test_a_file_that_was_changed_in_no_year_that_there_is_comes_as_any_other() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder, "far.png")
        path.write_bytes(grey_png(1))
        os.utime(path, (300_000_000_000, 300_000_000_000))  # the year 11476
        (item,) = clipspect.sources.files(folder)
        assert (item.name, item.captured_at) == (str(path), None)
        watched = next(clipspect.sources.folder(folder, settle=0.0))
        assert (watched.name, watched.captured_at) == (str(path), None)


def test_files_leaves_out_what_lies_in_skip(image_folder: Path) -> None:
    sources = clipspect.sources.files(image_folder, skip=image_folder / "more")
    assert sources.total == 2
    assert [Path(item.name).name for item in sources] == ["part9.png", "part10.png"]
    with pytest.raises(ImageError, match="no images here"):
        clipspect.sources.files(image_folder / "more", skip=image_folder / "more")


def test_a_source_goes_into_the_stream(tiny_bundle: Path, image_folder: Path) -> None:
    with clipspect.load(tiny_bundle, backend="onnxruntime") as inspector:
        outcomes = list(inspector.stream(clipspect.sources.files(image_folder)))
    assert [outcome.require().score for outcome in outcomes] == [1.0] * 3


def test_a_file_that_is_there_is_meant_whatever_its_name_looks_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("rtsp:1.png", "7", "files:a.png"):
        Path(name).write_bytes(grey_png(1))
        assert [item.name for item in clipspect.sources.open_source(name)] == [name]
    assert [item.name for item in clipspect.sources.open_source("rtsp:*.png")] == ["rtsp:1.png"]
    assert [item.name for item in clipspect.sources.open_source("files:rtsp:1.png")] == ["rtsp:1.png"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("camera:97", "camera:97: there is no /dev/video97: plug the camera in; there are: "),
        ("/dev/video97", "there is no /dev/video97"),
        ("97", "there is no /dev/video97"),
        ("video:line.mp4", "line.mp4: no such video file"),
        ("line.MP4", "line.MP4: no such video file"),
        ("gige://1", "there is no source 'gige'; there are: .*camera, files, folder, http"),
        ("none.png", "none.png: no such file or folder"),
        ("folder:none", "none: no such folder"),
    ],
)
def test_a_source_that_cannot_be_had_is_one_clear_error(source: str, reason: str) -> None:
    with pytest.raises(ClipspectError, match=reason):
        clipspect.sources.open_source(source)


def test_a_source_that_would_never_have_its_turn_is_refused(image_folder: Path) -> None:
    with pytest.raises(ClipspectError, match="rtsp://a does not end, and rtsp://b would never come"):
        clipspect.sources.open_sources(["rtsp://a", "rtsp://b"])
    assert clipspect.sources.open_sources([str(image_folder), "rtsp://b"]).total is None


def test_plain_frames_of_a_source_become_its_items_and_its_length_counts() -> None:
    frames = [np.zeros((2, 2), np.uint8)] * 3
    known, endless = Sources((("ticks:3", frames),)), Sources((("ticks", frames), ("rtsp://1", map(np.copy, frames))))
    assert [(item.source, item.number) for item in known] == [("ticks:3", number) for number in range(3)]
    assert (known.total, endless.total) == (3, None)


def test_what_has_no_end_of_its_own_ends_with_its_next_item_when_it_is_closed() -> None:
    sources = Sources((("ticks", itertools.repeat(np.zeros((2, 2), np.uint8))), ("more", [np.zeros((2, 2), np.uint8)])))
    came = []
    for item in itertools.islice(sources, 100):
        came.append(item.source)
        if len(came) == 3:
            sources.close()
    assert came == ["ticks"] * 3


class Stop:
    """True once it is set."""

    def __init__(self) -> None:
        self.set = False

    def __bool__(self) -> bool:
        return self.set


def test_a_folder_that_grows_gives_each_file_once_and_again_when_it_is_overwritten(tmp_path: Path) -> None:
    stop = Stop()
    (tmp_path / "a.png").write_bytes(grey_png(1))
    items = clipspect.sources.folder(tmp_path, settle=0.05, skip=tmp_path / "out", stop=stop)
    first = next(items)
    assert (first.source, first.number, first.name) == (str(tmp_path), 0, str(tmp_path / "a.png"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/x.png").write_bytes(grey_png(1))
    (tmp_path / "b.png").write_bytes(grey_png(2))
    assert next(items).name == str(tmp_path / "b.png")
    os.utime(tmp_path / "a.png", (5, 5))
    assert next(items).name == str(tmp_path / "a.png")
    threading.Timer(0.5, lambda: setattr(stop, "set", True)).start()
    assert list(items) == []


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux")
def test_a_folder_that_is_no_longer_waited_for_holds_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(grey_png(1))
    gc.collect()  # what other tests left must not close in between
    before = len(os.listdir("/proc/self/fd"))
    left, ended = (clipspect.sources.folder(tmp_path, settle=0.0) for _ in range(2))
    for items in (left, ended):
        next(items)
    assert len(os.listdir("/proc/self/fd")) > before
    ended.close()
    assert list(ended) == []
    del left, items
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_a_run_writes_into_a_folder_that_grows_is_not_inspected(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/overlay.png").write_bytes(grey_png(1))
    (tmp_path / "part.png").write_bytes(grey_png(2))
    os.utime(tmp_path / "out/overlay.png", (5, 5))  # the older of the two: it would come first
    assert _name(iter(clipspect.sources.open_sources([f"folder:{tmp_path}"], skip=tmp_path / "out"))) == "part.png"


def test_a_folder_that_has_gone_is_waited_for_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    items = clipspect.sources.folder(folder, settle=0.05)
    shutil.rmtree(folder)

    def come_back() -> None:
        time.sleep(1)
        folder.mkdir()
        (folder / "a.png").write_bytes(grey_png(1))

    threading.Thread(target=come_back).start()
    assert _name(items) == "a.png"
    assert [record.message for record in caplog.records] == [
        f"{folder}: cannot be read (No such file or directory): waiting for it",
        f"{folder}: works again",
    ]


def _name(items: Iterator[clipspect.Item]) -> str:
    return Path(next(items).name).name
