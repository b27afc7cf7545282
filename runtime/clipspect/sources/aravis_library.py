"""The C library Aravis, which speaks with GigE Vision and USB3 Vision cameras, by ctypes.

Not by GObject introspection: PyGObject from PyPI is built from source, and Debian's is seen by Debian's Python alone,
not in a virtual environment. The library itself is one package of every distribution.
"""

from __future__ import annotations

import ctypes
import functools
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_uint32, c_uint64, c_void_p
from typing import Any

import numpy as np

from clipspect.base.errors import ClipspectError
from clipspect.frame.decode import Pixels

_FILE = "libaravis-0.8.so.0"
_SUCCESS, _CONTINUOUS = 0, 0
_HELD_BYTES, _FEWEST, _MOST = 256 << 20, 10, 64  # of frames that the library may hold, until the camera's next are lost
_RETENTION_US = 1_000_000  # that packets of a frame are waited for, and asked for again
_CALLBACK = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)


class AravisError(Exception):
    """What the library says of a camera."""


class _GError(ctypes.Structure):
    _fields_ = (("domain", c_uint32), ("code", c_int), ("message", c_char_p))


_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...] | None]] = {
    "arv_update_device_list": (None, ()),
    "arv_get_n_devices": (c_uint, ()),
    "arv_get_device_id": (c_char_p, (c_uint,)),
    "arv_camera_new": (c_void_p, (c_char_p, c_void_p)),
    "arv_camera_get_device": (c_void_p, (c_void_p,)),
    "arv_camera_create_stream": (c_void_p, (c_void_p, c_void_p, c_void_p, c_void_p)),
    "arv_camera_is_gv_device": (c_int, (c_void_p,)),
    "arv_camera_get_payload": (c_uint, (c_void_p, c_void_p)),
    "arv_camera_get_pixel_format_as_string": (c_char_p, (c_void_p, c_void_p)),
    "arv_camera_set_acquisition_mode": (None, (c_void_p, c_int, c_void_p)),
    "arv_camera_start_acquisition": (None, (c_void_p, c_void_p)),
    "arv_camera_stop_acquisition": (None, (c_void_p, c_void_p)),
    "arv_device_set_features_from_string": (c_int, (c_void_p, c_char_p, c_void_p)),
    "arv_stream_push_buffer": (None, (c_void_p, c_void_p)),
    "arv_stream_timeout_pop_buffer": (c_void_p, (c_void_p, c_uint64)),
    "arv_buffer_new_allocate": (c_void_p, (c_size_t,)),
    "arv_buffer_get_status": (c_int, (c_void_p,)),
    "arv_buffer_get_frame_id": (c_uint64, (c_void_p,)),
    "arv_buffer_get_timestamp": (c_uint64, (c_void_p,)),
    "arv_buffer_get_image_data": (c_void_p, (c_void_p, POINTER(c_size_t))),
    "arv_buffer_get_image_width": (c_int, (c_void_p,)),
    "arv_buffer_get_image_height": (c_int, (c_void_p,)),
    "arv_buffer_get_image_pixel_format": (c_uint32, (c_void_p,)),
    "arv_buffer_get_image_padding": (None, (c_void_p, POINTER(c_int), POINTER(c_int))),
    "g_object_set": (None, None),  # of any number of arguments
    "g_object_unref": (None, (c_void_p,)),
    "g_error_free": (None, (c_void_p,)),
    "g_signal_connect_data": (c_uint64, (c_void_p, c_char_p, _CALLBACK, c_void_p, c_void_p, c_int)),
}


@functools.cache
def aravis() -> ctypes.CDLL:
    """The library, its functions typed. Raises ClipspectError that says what to install."""
    try:
        library = ctypes.CDLL(_FILE)  # its own libraries, GLib's among them, are found through it
    except OSError as error:
        raise ClipspectError(
            f"industrial cameras need the library Aravis 0.8 ({error}): apt install libaravis-0.8-0"
        ) from error
    for name, (result, arguments) in _FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError as error:
            raise ClipspectError(f"{_FILE} has no {name}: expected Aravis 0.8.22 or newer") from error
        function.restype, function.argtypes = result, arguments
    return library


def camera_ids() -> list[str]:
    """The cameras that answer now."""
    library = aravis()
    library.arv_update_device_list()
    return [library.arv_get_device_id(index).decode(errors="replace") for index in range(library.arv_get_n_devices())]


def _checked(name: str, *arguments: Any) -> Any:
    """Call a function whose last argument is for its error. Raises AravisError."""
    library, error = aravis(), c_void_p()
    result = getattr(library, name)(*arguments, byref(error))
    if error.value is not None:
        found = ctypes.cast(error, POINTER(_GError)).contents
        text = (found.message or b"").decode(errors="replace")
        library.g_error_free(error)
        raise AravisError(text)
    return result


class Buffer:
    """One frame in the library's memory, until it is given back."""

    def __init__(self, pointer: int) -> None:
        library = aravis()
        self.pointer = pointer
        self.complete = library.arv_buffer_get_status(pointer) == _SUCCESS
        self.frame_id: int = library.arv_buffer_get_frame_id(pointer)
        self.seconds: float = library.arv_buffer_get_timestamp(pointer) * 1e-9  # on the camera's clock

    def image(self) -> tuple[Pixels, tuple[int, int], int, int]:
        """A copy of the bytes, width and height, the format's code, and the bytes after each row; of a complete one."""
        library, length, x, y = aravis(), c_size_t(), c_int(), c_int()
        address = library.arv_buffer_get_image_data(self.pointer, byref(length))
        size = library.arv_buffer_get_image_width(self.pointer), library.arv_buffer_get_image_height(self.pointer)
        library.arv_buffer_get_image_padding(self.pointer, byref(x), byref(y))
        data = np.empty(length.value if address else 0, np.uint8)
        ctypes.memmove(data.ctypes.data, address, len(data))
        return data, size, library.arv_buffer_get_image_pixel_format(self.pointer), x.value


class Camera:
    """A camera under control, that captures. A context manager. Raises AravisError."""

    def __init__(self, id: str | None, settings: str) -> None:
        self.lost = False  # the camera answers no more
        self._stream: int | None = None
        library = aravis()
        library.arv_update_device_list()  # else it may be opened by an interface of this machine that it does not reach
        self._pointer = _checked("arv_camera_new", None if id is None else id.encode())
        try:
            device = library.arv_camera_get_device(self._pointer)
            self._lose = _CALLBACK(self._is_lost)  # kept as long as the camera: it is called from the library's thread
            library.g_signal_connect_data(device, b"control-lost", self._lose, None, None, 0)
            if settings:
                _checked("arv_device_set_features_from_string", device, settings.encode())
            _checked("arv_camera_set_acquisition_mode", self._pointer, _CONTINUOUS)
            payload = _checked("arv_camera_get_payload", self._pointer)
            self._stream = _checked("arv_camera_create_stream", self._pointer, None, None)
            if library.arv_camera_is_gv_device(self._pointer):  # the default, 0.1 s, loses frames on a busy box
                library.g_object_set(c_void_p(self._stream), b"frame-retention", c_uint(_RETENTION_US), None)
            for _ in range(min(max(_HELD_BYTES // max(payload, 1), _FEWEST), _MOST)):
                library.arv_stream_push_buffer(self._stream, library.arv_buffer_new_allocate(payload))
            _checked("arv_camera_start_acquisition", self._pointer)
        except BaseException:
            self.close()
            raise

    def pop(self, seconds: float) -> Buffer | None:
        """The next frame, complete or not; None when none came. To be pushed back."""
        pointer = aravis().arv_stream_timeout_pop_buffer(self._stream, int(seconds * 1e6))
        return None if pointer is None else Buffer(pointer)

    def push(self, buffer: Buffer) -> None:
        aravis().arv_stream_push_buffer(self._stream, buffer.pointer)

    def pixel_format(self) -> str:
        """The name of the format that the camera is set to."""
        return str(_checked("arv_camera_get_pixel_format_as_string", self._pointer).decode(errors="replace"))

    def close(self) -> None:
        """End capturing, and let the camera go."""
        library = aravis()
        if self._stream is not None and not self.lost:
            error = c_void_p()
            library.arv_camera_stop_acquisition(self._pointer, byref(error))
            if error.value is not None:  # it has gone meanwhile
                library.g_error_free(error)
        for pointer in (self._stream, self._pointer):
            if pointer is not None:
                library.g_object_unref(pointer)
        self._stream = self._pointer = None

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_lost(self, device: int, data: int) -> None:
        self.lost = True
