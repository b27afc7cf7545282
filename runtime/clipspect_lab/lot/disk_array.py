"""An array of float32 in a file that goes with it, written and read part by part: only the parts are in memory."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from types import TracebackType

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import ClipspectError

_BYTES = 4


class DiskArray:
    """Of a given shape; a part is named by its first indices. A context manager."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self._file = tempfile.TemporaryFile(prefix="clipspect-")  # noqa: SIM115  it closes with the array

    def write(self, index: tuple[int, ...], values: npt.NDArray[np.float32]) -> None:
        """Raises ClipspectError where the disk is full."""
        offset, shape = self._place(index)
        if values.shape != shape:
            raise ValueError(f"part {index} has the shape {shape}, found {values.shape}")
        try:
            self._file.seek(offset)
            self._file.write(np.ascontiguousarray(values, np.float32).tobytes())
        except OSError as error:
            raise ClipspectError(
                f"{tempfile.gettempdir()}: {error.strerror}; a lot of {self.shape[0]} images needs "
                f"{math.prod(self.shape) * _BYTES / 1e9:.1f} GB more there: make room, or set TMPDIR"
            ) from error

    def read(self, index: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """A part that was written before."""
        offset, shape = self._place(index)
        self._file.seek(offset)
        data = self._file.read(math.prod(shape) * _BYTES)
        if len(data) < math.prod(shape) * _BYTES:
            raise ValueError(f"part {index} was not written")
        return np.frombuffer(data, np.float32).reshape(shape)

    def _place(self, index: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        shape = self.shape[len(index) :]
        return int(np.ravel_multi_index(index, self.shape[: len(index)])) * math.prod(shape) * _BYTES, shape

    def __enter__(self) -> DiskArray:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
