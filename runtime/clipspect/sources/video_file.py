"""A video file, frame by frame: each comes, in order, whether it is inspected fast or slowly."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from clipspect.base.errors import ImageError
from clipspect.frame.item import Item
from clipspect.sources.addresses import without_password
from clipspect.sources.decoder import decoded, opened, picture_of, pyav, reason, seconds_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_MICROSECONDS = 1_000_000
_SLACK_S = 0.5  # that a file's header may promise more than its frames take, before it counts as cut short
_CONTAINERS = (  # FFmpeg's readers that read one file: others follow what it says to other files and to the network
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg,mxf,nut,ivf,gif,apng,"
    "mjpeg,h264,hevc,obu,m4v,yuv4mpegpipe,dv"
)


class VideoFile:
    """Items of a file's frames. A frame that is damaged has its error; so has the end of a file that was cut short.

    `captured_at` is the time that the recorder wrote into the file (`creation_time`) and the frame's time in it; None
    where there is none: the file's own time changes when it is copied.
    """

    def __init__(self, address: str) -> None:
        """Of a path, or of a file on an HTTP server.

        Raises ImageError for what is no video; ClipspectError without PyAV.
        """
        self._address, self.name = address, without_password(address)
        pyav()
        if "://" not in address and not Path(address).is_file():
            raise ImageError(f"{address}: no such video file: check the path")
        with _opened(self._address) as (container, stream):
            self._about = stream.frames or _about(container, stream)

    def __length_hint__(self) -> int:
        """How many frames there are, by the file's own account; about, where it has only its duration."""
        return self._about if self._about else NotImplemented

    def __iter__(self) -> Iterator[Item]:
        av = pyav()
        number, end, promised, broken = 0, 0.0, 0.0, ""
        try:
            with _opened(self._address) as (container, stream):
                start, promised = _created(container), _promised(container, stream)
                first: float | None = None
                for frame in decoded(container, stream):
                    name = f"{self.name}#{number}"
                    if isinstance(frame, str):
                        yield Item(self.name, number, None, ImageError(f"{name}: {frame}"))
                        number += 1
                        continue
                    at = seconds_of(frame, stream)
                    first = at if first is None else first
                    seconds = None if at is None or first is None else at - first
                    captured = None if start is None or seconds is None else start + timedelta(seconds=seconds)
                    yield Item(self.name, number, captured, picture_of(frame, name), seconds=seconds)
                    number += 1
                    end = max(end, (seconds or 0.0) + 1 / float(stream.average_rate or 25))
        except av.FFmpegError as error:
            broken = f" ({reason(error)})"
        if broken or end < promised - _SLACK_S:
            found = f"ends after {end:.1f} of {promised:.1f} s{broken}"
            cut = ImageError(f"{self.name}: {found}: it was cut short or damaged: copy it again")
            yield Item(self.name, number, None, cut)

    def paced(self) -> Iterator[Item]:
        """The same at the file's own speed, as a camera would give them."""
        begin = time.monotonic()
        for item in self:
            time.sleep(max(0.0, begin + (item.seconds or 0.0) - time.monotonic()))
            yield item


@contextmanager
def _opened(address: str) -> Generator[tuple[InputContainer, VideoStream], None, None]:
    """Raises ImageError for what is no video; av.FFmpegError where one breaks off later."""
    remote = "://" in address
    options = {
        "format_whitelist": _CONTAINERS,
        "protocol_whitelist": "http,https,tcp,tls,httpproxy" if remote else "file",
    }
    name = without_password(address)
    with ExitStack() as stack:
        try:
            video = stack.enter_context(opened(address if remote else f"file:{address}", name, options, live=False))
        except (pyav().FFmpegError, UnicodeError) as error:
            raise ImageError(f"{name}: cannot be read as a video ({reason(error)}): check or convert it") from error
        yield video


def _about(container: InputContainer, stream: VideoStream) -> int:
    promised = _promised(container, stream)
    return round(promised * float(stream.average_rate or 0))


def _promised(container: InputContainer, stream: VideoStream) -> float:
    """Seconds of video that the header speaks of; 0 where it does not, or may mean the sound."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is None or len(container.streams) > 1:
        return 0.0
    return container.duration / _MICROSECONDS


def _created(container: InputContainer) -> datetime | None:
    try:
        moment = datetime.fromisoformat(container.metadata["creation_time"].replace("Z", "+00:00"))
    except (KeyError, ValueError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
