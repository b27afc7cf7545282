"""GigE Vision and USB3 Vision cameras, through the library Aravis where it is installed."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from functools import partial
from time import monotonic
from urllib.parse import parse_qsl

from clipspect.base.errors import ImageError
from clipspect.frame.decode import FrameLike
from clipspect.sources.aravis_library import AravisError, Camera, aravis, camera_ids
from clipspect.sources.capture_clock import CaptureClock
from clipspect.sources.live import CameraAwayError, CameraRefusedError, DamagedFrames, Live, Shot
from clipspect.sources.pixel_formats import PixelFormat, known_format, pixels_from
from clipspect.sources.policy import Policy
from clipspect.sources.problem import Problem

SCHEME = "aravis"
_LOOK_S = 0.2  # between two looks whether the camera is there still
_LAST_ID = 65535  # of GigE Vision's short frame numbers, after which comes 1


def camera(
    id: str = "",
    *,
    policy: str | Policy | None = None,
    problem: Problem | None = None,
    settings: Mapping[str, str] | None = None,
) -> Live:
    """Frames of an industrial camera: by the id that Aravis gives it, its address or serial number; "" is the first.

    `settings` are of the camera, by their names in GenICam, such as {"PixelFormat": "BayerRG8", "ExposureTime": "500"};
    `id?PixelFormat=Mono8` has them in the id. By the policy `latest` (the default), `block` or `queue:N`. Frames that
    came incomplete, or that the camera numbered and nobody got, are counted as dropped. A camera that was lost is
    connected to again, and `problem` is told, the log `clipspect` without one. One that waits for its trigger is no
    problem. Raises ClipspectError where Aravis is not installed.
    """
    aravis()
    name, _, query = id.partition("?")
    given = {**dict(parse_qsl(query)), **(settings or {})}
    connection = _Connection(name or None, f"{SCHEME}:{name}", " ".join(f"{key}={text}" for key, text in given.items()))
    return Live(connection.name, connection.shots, policy=policy, problem=problem, steady=False)


class _Connection:
    """Connects, each time it is asked to."""

    def __init__(self, id: str | None, name: str, settings: str) -> None:
        self.name = name
        self._id, self._settings = id, settings

    def shots(self) -> Generator[Shot, None, None]:
        """Frames from now on. Raises CameraAwayError, and ImageError for pixels that are not read."""
        try:
            with Camera(self._id, self._settings) as camera:
                yield from self._shots_of(camera)
        except AravisError as error:
            kind = CameraRefusedError if self._settings and self._there() else CameraAwayError
            raise kind(f"{self.name}: {error}") from error

    def _shots_of(self, camera: Camera) -> Generator[Shot, None, None]:
        clock, last, incomplete = CaptureClock(), None, DamagedFrames(self.name)
        form: tuple[int, PixelFormat] | None = None
        while not camera.lost:
            buffer = camera.pop(_LOOK_S)
            if buffer is None:
                continue
            arrival = monotonic()
            if not buffer.complete:
                camera.push(buffer)
                incomplete.add()
                continue
            data, size, code, padding = buffer.image()
            camera.push(buffer)
            if form is None or form[0] != code:
                form = code, known_format(code, camera.pixel_format(), self.name)
            lost = max(incomplete.taken(), _missing(last, buffer.frame_id))
            last = buffer.frame_id
            picture = partial(_picture, data, size, form[1], padding, self.name)
            time = buffer.seconds or None
            yield Shot(picture, clock.captured(time, arrival), time, lost)
        raise CameraAwayError(f"{self.name}: the camera was lost")

    def _there(self) -> bool:
        """Whether a camera answers, so that what it does not take are the settings."""
        return bool(camera_ids())


def _missing(last: int | None, number: int) -> int:
    """How many frames the camera numbered between two, whose numbers begin anew after 65535, or do not."""
    if last is None or number == last:
        return 0
    if number > last:
        return number - last - 1
    around = number + _LAST_ID - last - 1
    return around if last <= _LAST_ID and around < _LAST_ID // 2 else 0  # else the camera began anew


def _picture(data: FrameLike, size: tuple[int, int], form: PixelFormat, padding: int, name: str) -> FrameLike:
    try:
        return pixels_from(data, size, form, padding)  # type: ignore[arg-type]
    except ImageError as error:
        return ImageError(f"{name}: {error}")
