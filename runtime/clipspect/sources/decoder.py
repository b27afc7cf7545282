"""Video through PyAV: opened, decoded frame by frame, and each frame as pixels."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from clipspect.base.errors import ClipspectError, ImageError
from clipspect.base.installation import pip_install
from clipspect.frame.decode import Pixels
from clipspect.frame.input_limits import MAX_PIXELS

if TYPE_CHECKING:
    from types import ModuleType

    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

TIMEOUT_S = 10.0  # without an answer, or a frame, until a camera counts as lost
_UNTIL_WHOLE = 250  # frames after a damaged one that rest on it, unless a key frame comes: encoders' longest distance
_GREY = frozenset({"gray", "gray9le", "gray10le", "gray12le", "gray14le", "gray16le", "gray16be"})


def pyav() -> ModuleType:
    """The library. Raises ClipspectError that says what to install."""
    try:
        import av
    except ImportError as error:
        raise ClipspectError(f"videos and cameras need PyAV ({error}): {pip_install('video')}") from error
    return av


@contextmanager
def opened(
    address: str, name: str, options: dict[str, str], *, live: bool, format: str | None = None
) -> Generator[tuple[InputContainer, VideoStream], None, None]:
    """A container and its video stream. Raises av.FFmpegError, and ImageError where there is no picture in it.

    A live stream that gives nothing for TIMEOUT_S raises.
    """
    timeout = (TIMEOUT_S, TIMEOUT_S) if live else None
    with pyav().open(address, format=format, options=options, timeout=timeout) as container:
        stream = container.streams.best("video")
        if stream is None:
            raise ImageError(f"{name}: there is no video in it: expected at least one video stream")
        if stream.codec_context is None:
            raise ImageError(f"{name}: its video is of a codec that FFmpeg has no decoder for: convert it")
        # A thread a frame for files. FFmpeg's threads a slice, PyAV's default, decode slices of live streams into wrong
        # pictures, and threads a frame hold each frame back: a live stream has one thread.
        stream.thread_type = "NONE" if live else "FRAME"
        stream.codec_context.thread_count = 1 if live else 0
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        yield container, stream


def decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame | str]:
    """Each frame in the order of its display, or why there is none: damaged, or resting on a damaged one.

    A decoder conceals damage with what it has of other frames, which is no picture of a part. Raises av.FFmpegError
    where the stream breaks off.
    """
    av = pyav()
    suspect, corrupt = 0, set()
    for packet in container.demux(stream):
        if packet.is_corrupt and packet.pts is not None:
            corrupt.add(packet.pts)
        try:
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.FFmpegError as error:
            suspect = _UNTIL_WHOLE
            yield f"cannot be decoded ({reason(error)})"
            continue
        for frame in frames:
            if frame.is_corrupt or frame.pts in corrupt:
                corrupt.discard(frame.pts)
                suspect = _UNTIL_WHOLE
                yield "damaged"
            elif suspect and not frame.key_frame:
                suspect -= 1
                yield "rests on a damaged frame before it"
            else:
                suspect = 0
                yield frame


def seconds_of(frame: VideoFrame, stream: VideoStream) -> float | None:
    """The frame's time on the stream's clock."""
    base: Fraction | None = frame.time_base or stream.time_base
    return None if frame.pts is None or base is None else float(frame.pts * base)


def picture_of(frame: VideoFrame, name: str) -> Pixels | ImageError:
    """The same as `pixels_of`, which see; the error instead of pixels where it raises one."""
    try:
        return pixels_of(frame, name)
    except ImageError as error:
        return error


def pixels_of(frame: VideoFrame, name: str) -> Pixels:
    """RGB (height, width, 3), or grey (height, width), uint8, turned as the camera was held.

    FFmpeg converts by the frame's own matrix and range (BT.601 where it names none, as FFmpeg's tools do), and deeper
    pixels to eight bits. Raises ImageError, which names the frame.
    """
    turns, rest = divmod(frame.rotation, 90)
    if rest:
        raise ImageError(f"{name}: is to be turned by {frame.rotation} degrees: expected a multiple of 90")
    try:
        pixels: Any = frame.to_ndarray(format="gray" if frame.format.name in _GREY else "rgb24")
    except (pyav().FFmpegError, ValueError) as error:
        raise ImageError(f"{name}: pixels of the format {frame.format.name} cannot be converted ({error})") from error
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def reason(error: BaseException) -> str:
    """An error of FFmpeg in a few words, without the address, which can hold a password."""
    if type(error).__name__ == "ExitError":
        return "no answer in time"
    text = getattr(error, "strerror", None) or type(error).__name__
    return str(text)
