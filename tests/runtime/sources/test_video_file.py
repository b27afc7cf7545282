"""Video files: every frame once, in order, in the right colours; and what is said of those that are not whole."""

from __future__ import annotations

import re
import struct
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import clipspect
from clipspect.base.errors import ClipspectError, ImageError
from clipspect.base.installation import pip_install
from clipspect.sources.registry import open_source
from clipspect.sources.video_file import VideoFile
from support.drawn_video import FPS, number_in, numbered, write_video

BOTTLES = Path(__file__).parents[2] / "photos" / "bottles.mp4"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "drawn.mp4", 300)


def test_every_frame_of_a_drawn_video_comes_once_and_in_order_with_its_time(drawn: Path) -> None:
    video = open_source(str(drawn))
    assert video.total == 300
    items = list(video)
    assert [number_in(item.frame) for item in items] == list(range(300))
    assert [(item.source, item.number, item.dropped) for item in items] == [(str(drawn), n, 0) for n in range(300)]
    assert [item.seconds for item in items] == pytest.approx([n / FPS for n in range(300)], abs=1e-3)
    assert items[7].name == f"{drawn}#7"
    assert {(item.captured_at, item.captured_monotonic) for item in items} == {(None, None)}


def test_every_frame_of_a_photographed_line_comes_once_and_in_order() -> None:
    seconds = [item.seconds or 0.0 for item in clipspect.sources.video(BOTTLES)]
    assert len(seconds) == 1189
    np.testing.assert_allclose(np.diff(seconds), 6 / 179, atol=1e-3)


def test_a_video_goes_into_the_stream(drawn: Path, tiny_bundle: Path) -> None:
    with clipspect.load(tiny_bundle, backend="onnxruntime") as inspector:
        outcomes = list(inspector.stream(clipspect.sources.video(drawn)))
    assert [outcome.item.number for outcome in outcomes] == list(range(300))
    assert all(outcome.require().size == (128, 48) for outcome in outcomes)


def test_the_time_that_the_recorder_wrote_is_the_capture_time(tmp_path: Path) -> None:
    import av

    path = tmp_path / "dated.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["creation_time"] = "2026-11-27T09:30:00.000000Z"
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    times = [str(item.captured_at) for item in clipspect.sources.video(path)]
    assert times == [f"2026-11-27 09:30:00{part}+00:00" for part in ("", ".100000", ".200000")]


@pytest.mark.parametrize(
    ("suffix", "codec", "pix_fmt", "tolerance"),
    [
        (".mkv", "ffv1", "yuv420p", 6), (".mkv", "ffv1", "yuv444p10le", 4), (".mkv", "ffv1", "gray", 1),
        (".mkv", "ffv1", "gray16le", 1), (".mkv", "ffv1", "bgr0", 1), (".mkv", "ffv1", "yuva420p", 6),
        (".mkv", "ffv1", "gbrp12le", 1), (".avi", "mjpeg", "yuvj420p", 8), (".mkv", "libx264", "yuv420p10le", 8),
        (".mkv", "libx264", "nv12", 8),
    ],
)  # fmt: skip
def test_pixels_of_every_format_are_those_that_were_drawn(
    suffix: str, codec: str, pix_fmt: str, tolerance: int, tmp_path: Path
) -> None:
    options = {"crf": "1"} if codec == "libx264" else {"qmin": "1", "qmax": "1"} if codec == "mjpeg" else {}
    path = write_video(tmp_path / f"a{suffix}", 3, codec=codec, pix_fmt=pix_fmt, **options)
    (_, item, _) = clipspect.sources.video(path)
    pixels = np.asarray(item.frame).astype(int)
    expected = numbered(1) if pixels.ndim == 3 else numbered(1)[..., 0]
    assert np.abs(pixels - expected).mean() < tolerance / 2
    assert np.abs(pixels - expected)[2:10].max() <= tolerance  # away from edges, which colours are coarser at


@pytest.mark.parametrize(("matrix", "value"), [("bt709", 1), ("smpte170m", 6)])
@pytest.mark.parametrize("full", [False, True])
def test_colours_are_converted_by_the_matrix_and_the_range_that_the_video_names(
    matrix: str, value: int, full: bool, tmp_path: Path
) -> None:
    import av

    rgb = np.array([200.0, 50.0, 20.0])
    kr, kb = (0.2126, 0.0722) if matrix == "bt709" else (0.299, 0.114)
    luma = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]
    chroma = (rgb[2] - luma) / (2 - 2 * kb), (rgb[0] - luma) / (2 - 2 * kr)
    scale_y, scale_c, black = (1, 1, 0) if full else (219 / 255, 224 / 255, 16)
    planes = black + luma * scale_y, *(128 + part * scale_c for part in chroma)
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        stream.codec_context.colorspace, stream.codec_context.color_range = value, 2 if full else 1
        frame = av.VideoFrame(64, 48, "yuv444p")
        frame.colorspace, frame.color_range = value, 2 if full else 1
        for plane, level in zip(frame.planes, planes):
            plane.update(bytes([round(level)]) * plane.buffer_size)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (item,) = clipspect.sources.video(path)
    np.testing.assert_allclose(np.asarray(item.frame)[20, 30], rgb, atol=3)


@pytest.mark.parametrize(("turned", "matrix"), [(1, (0, -1, 1, 0)), (2, (-1, 0, 0, -1)), (3, (0, 1, -1, 0))])
def test_a_video_of_a_turned_camera_stands_upright(
    turned: int, matrix: tuple[int, int, int, int], drawn: Path, tmp_path: Path
) -> None:
    content = bytearray(drawn.read_bytes())
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    at = content.rindex(upright)  # the track's; the movie's comes before it
    a, b, c, d = (value << 16 for value in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "turned.mp4").write_bytes(content)
    item = next(iter(clipspect.sources.video(tmp_path / "turned.mp4")))
    np.testing.assert_array_equal(item.frame, np.rot90(next(iter(clipspect.sources.video(drawn))).frame, turned))


def test_a_file_cut_short_gives_what_is_there_and_an_error_at_its_end(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", 100, bf="0").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    *items, last = clipspect.sources.video(tmp_path / "cut.mkv")
    read = [item for item in items if not isinstance(item.frame, ImageError)]
    assert [number_in(item.frame) for item in read] == list(range(len(read)))
    assert 30 < len(read) < 70
    assert isinstance(last.frame, ImageError)
    assert "of 4.0 s: it was cut short or damaged: copy it again" in str(last.frame)


def test_a_damaged_frame_and_those_that_rest_on_it_are_errors_and_no_concealed_pictures(
    drawn: Path, tmp_path: Path
) -> None:
    content = bytearray(drawn.read_bytes())
    middle = content.index(b"mdat") + (content.index(b"moov") - content.index(b"mdat")) // 2
    for at in range(middle, middle + 200):
        content[at] ^= 0x5A
    (tmp_path / "damaged.mp4").write_bytes(content)
    items = list(clipspect.sources.video(tmp_path / "damaged.mp4"))
    errors = [item for item in items if isinstance(item.frame, ImageError)]
    assert 0 < len(errors) < 60
    assert len(items) == 300
    for item in items:
        assert isinstance(item.frame, ImageError) or number_in(item.frame) == item.number


def test_a_damaged_frame_is_an_outcome_and_the_run_goes_on(tmp_path: Path, tiny_bundle: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", 60).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    other = write_video(tmp_path / "other.mp4", 5)
    sources = clipspect.sources.open_sources([str(tmp_path / "cut.mkv"), str(other)])
    with clipspect.load(tiny_bundle, backend="onnxruntime") as inspector:
        outcomes = list(inspector.stream(sources))
    assert [outcome.item.number for outcome in outcomes[-5:]] == list(range(5))
    assert any("cut short" in str(outcome.error) for outcome in outcomes)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot be read as a video"),
        (b"hello\n" * 100, "cannot be read as a video"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nfile:///etc/passwd\n", "cannot be read as a video"),
        (b"ffconcat version 1.0\nfile other.mp4\n", "cannot be read as a video"),
    ],
)
def test_what_is_no_video_is_one_clear_error(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(ImageError, match=reason):
        open_source(str(tmp_path / "a.mp4"))
    with pytest.raises(ImageError, match="no such video file"):
        open_source(str(tmp_path / "none.mp4"))


def test_a_file_without_pictures_is_one_clear_error(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "sound.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(ImageError, match="there is no video in it"):
        VideoFile(str(tmp_path / "sound.mkv"))


def test_a_codec_that_nobody_knows_is_one_clear_error(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", 3, codec="mpeg4")
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"Q?Q?"))
    with pytest.raises(ImageError, match=r"a\.avi: its video is of a codec that FFmpeg has no decoder for"):
        VideoFile(str(path))


@pytest.mark.parametrize("name", ["line: 1%20.mp4", "-a.mp4", "caf\udce9.mp4"])
def test_a_file_of_any_name_is_read(name: str, drawn: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(drawn.read_bytes())
    assert number_in(next(iter(clipspect.sources.video(path))).frame) == 0


def test_without_pyav_it_is_said_what_to_install(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ClipspectError, match=re.escape(pip_install("video"))):
        clipspect.sources.video(drawn)


def test_a_file_that_may_drop_frames_is_played_at_its_own_speed_and_counts_them(
    tmp_path: Path,
) -> None:
    path = write_video(tmp_path / "a.mp4", 20)
    items = []
    for item in open_source(str(path), policy="latest"):
        items.append(item)
        time.sleep(0.1)
    assert len(items) < 15
    assert sum(item.dropped + 1 for item in items) == 20
    assert [number_in(item.frame) for item in items] == [item.number for item in items]
