"""Videos by PyAV: files, RTSP and HTTP streams, and USB cameras."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping
from functools import partial
from glob import glob
from pathlib import Path
from time import monotonic
from urllib.parse import parse_qsl, urlsplit

from clipspect.base.errors import ImageError
from clipspect.sources.addresses import without_password
from clipspect.sources.capture_clock import CaptureClock
from clipspect.sources.decoder import decoded, opened, picture_of, pyav, reason, seconds_of
from clipspect.sources.files import VIDEO_SUFFIXES
from clipspect.sources.live import CameraAwayError, CameraRefusedError, DamagedFrames, Live, Shot
from clipspect.sources.policy import Policy
from clipspect.sources.problem import Problem
from clipspect.sources.video_file import VideoFile

NETWORK_SCHEMES = ("rtsp", "rtsps", "http", "https")
_NETWORK = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto"  # protocols: no stream may name a file here
_WITHOUT_CLOCK = ("mpjpeg", "mjpeg")  # pictures in a row: the times that FFmpeg gives them are made up
_REFUSED = ("HTTPBadRequestError", "HTTPUnauthorizedError", "HTTPForbiddenError", "HTTPNotFoundError")
_RECORDED_S = 10.0  # of length, at least; a shorter one can be FFmpeg's guess from the first seconds of a live stream
_END_S = 1.0  # before its length, a stream that has one is at its end
_NEXT = 0.75  # frames after the last one, at least, that the next is: servers' times are off by some ms after a seek
_MICROSECONDS = 1_000_000


def video(
    address: str | os.PathLike[str],
    *,
    policy: str | Policy | None = None,
    problem: Problem | None = None,
    options: Mapping[str, str] | None = None,
) -> VideoFile | Live:
    """A video file's frames, or those of a camera: `rtsp://...`, `http://...`, `camera:0` or `/dev/video0` for USB.

    A file gives every frame. A camera gives the newest one (`latest`), or by another policy: `block`, `queue:N`; it is
    connected to again when it is lost, for as long as nobody closes it, and `problem` is told why, the log `clipspect`
    without one. `options` are of FFmpeg's reader, such as {"rtsp_transport": "udp"}; `camera:0?video_size=1920x1080`
    has them in the address. Raises ImageError for a file that is no video or a camera that is not there, ClipspectError
    without PyAV.
    """
    address = os.fspath(address)
    scheme = address.partition(":")[0].lower() if "://" in address else ""
    if usb := re.fullmatch(r"(?:camera:|/dev/video)?(\d+)(?:\?(.*))?", address, re.DOTALL):
        return _usb(address, int(usb[1]), {**dict(parse_qsl(usb[2] or "")), **(options or {})}, policy, problem)
    if scheme in NETWORK_SCHEMES and not _is_file_on_server(address):
        known = {"protocol_whitelist": _NETWORK, "fpsprobesize": "0"}  # do not look on for a second to count frames
        if scheme.startswith("rtsp"):
            known["rtsp_transport"] = "tcp"  # over UDP a camera's own drops of packets look like damage
        connection = _Connection(address, without_password(address), {**known, **(options or {})})
        return Live(connection.name, connection.shots, policy=policy, problem=problem)
    return VideoFile(address)


def _is_file_on_server(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme.startswith("http") and Path(parts.path).suffix.lower() in VIDEO_SUFFIXES


def _usb(name: str, number: int, options: dict[str, str], policy: str | Policy | None, problem: Problem | None) -> Live:
    pyav()
    device = f"/dev/video{number}"
    if not os.path.exists(device):
        there_are = ", ".join(sorted(glob("/dev/video*"))) or "none"
        raise ImageError(f"{name}: there is no {device}: plug the camera in; there are: {there_are}")
    connection = _Connection(device, name.partition("?")[0], options, "v4l2")
    return Live(connection.name, connection.shots, policy=policy, problem=problem)


class _Connection:
    """Connects, each time it is asked to. A recorded stream with a length is gone on with where it was left."""

    def __init__(self, address: str, name: str, options: dict[str, str], format: str | None = None) -> None:
        self.name = name
        self._address, self._options, self._format = address, options, format
        self._position: float | None = None  # of the last frame in a recorded stream, seconds

    def shots(self) -> Generator[Shot, None, None]:
        """Frames from now on; ends where a recorded stream does. Raises CameraAwayError."""
        av = pyav()
        try:
            with opened(self._address, self.name, self._options, live=True, format=self._format) as (container, stream):
                told = (container.duration or 0) / _MICROSECONDS
                length = told if told >= _RECORDED_S else None
                resumed = length is not None and self._position is not None
                if resumed:
                    container.seek(int((self._position or 0.0) * _MICROSECONDS))
                clock, rate = CaptureClock(), float(stream.average_rate or 25)
                has_clock, damaged = container.format.name not in _WITHOUT_CLOCK, DamagedFrames(self.name)
                for frame in decoded(container, stream):
                    if isinstance(frame, str):
                        damaged.add()
                        continue
                    lost = damaged.taken()
                    time = seconds_of(frame, stream) if has_clock else None
                    if resumed:
                        ahead = -1.0 if time is None else (time - (self._position or 0.0)) * rate
                        if ahead < _NEXT:
                            continue  # it came before
                        lost = max(0, round(ahead) - 1)
                    if length is not None:
                        self._position = time
                    captured = clock.captured(time, monotonic())
                    yield Shot(partial(picture_of, frame, self.name), captured, time, lost, resumed)
                    resumed = False
                if length is not None and (self._position or 0.0) >= length - _END_S:
                    return
        except av.FFmpegError as error:
            kind = CameraRefusedError if type(error).__name__ in _REFUSED else CameraAwayError
            raise kind(f"{self.name}: {reason(error)}") from error
        raise CameraAwayError(f"{self.name}: the stream ended")
