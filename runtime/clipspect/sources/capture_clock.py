"""When a frame of a live stream was captured: its time in the stream, brought to the clock of this machine."""

from __future__ import annotations

_DRIFT = 2e-4  # seconds a second by which a camera's clock may be slower than ours: crystals differ by less


class CaptureClock:
    """The frame that came fastest tells how the two clocks differ; what others took longer is the way, not the capture.

    So a frame that waited in the network, or for a busy box, has the time at which it was captured, later only by the
    delay that every frame has: the camera's own exposure and encoding.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._time = self._arrival = 0.0  # of the frame before

    def captured(self, time: float | None, arrival: float) -> float:
        """`time.monotonic()` of the capture, from the stream's time in seconds, None where it has none."""
        if time is None:
            return arrival
        if self._offset is None or time < self._time:  # the first frame, or the camera set its clock back
            self._offset = arrival - time
        else:
            self._offset = min(self._offset + _DRIFT * (arrival - self._arrival), arrival - time)
        self._time, self._arrival = time, arrival
        return time + self._offset
