"""The maps and masks of a class's images at the size where they are compared. Every mask file is decoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from clipspect.frame.spec import ImageSpec
from clipspect.inspection.maps import Map, to_source_size
from clipspect_lab.evaluation.datasets import Sample
from clipspect_lab.evaluation.pixels import Mask
from clipspect_lab.evaluation.rows import ImageRow
from clipspect_lab.evaluation.truth import Size, evaluation_size, truth_at

MOST_MASK_BYTES = 64 << 20  # of masks in memory, 8 pixels a byte: 500 of 1024 x 1024; those beyond are decoded again


class PixelPairs:
    """Call it for the pairs, as often as needed; good images have an empty mask."""

    def __init__(
        self,
        samples: Sequence[Sample],
        rows: Sequence[ImageRow],
        map_of: Callable[[ImageRow], Map],
        resolution: str,
        image: ImageSpec,
    ) -> None:
        """`rows` are those of the samples, in their order; `resolution` is one of RESOLUTIONS."""
        self._samples, self._rows, self._map_of = samples, rows, map_of
        self._resolution, self._image = resolution, image
        self._packed: dict[int, npt.NDArray[np.uint8]] = {}
        self._room = MOST_MASK_BYTES

    def __call__(self) -> Iterator[tuple[Map, Mask]]:
        """Raises ImageError or DatasetError for a mask that cannot be read or is not of its image's size."""
        for index, row in enumerate(self._rows):
            yield self._map(row), self._mask(index)

    def maps(self) -> Iterator[Map]:
        """The maps alone."""
        return (self._map(row) for row in self._rows)

    def masks(self) -> Iterator[Mask]:
        """Those of defective images."""
        return (self._mask(index) for index, sample in enumerate(self._samples) if sample.masks)

    def _size(self, row: ImageRow) -> Size:
        return evaluation_size(self._resolution, self._image, (row.width, row.height))

    def _map(self, row: ImageRow) -> Map:
        return to_source_size(self._map_of(row), *self._size(row))

    def _mask(self, index: int) -> Mask:
        row, sample = self._rows[index], self._samples[index]
        width, height = size = self._size(row)
        packed = self._packed.get(index)
        if packed is not None:
            return np.unpackbits(packed, count=width * height).view(np.bool_).reshape(height, width)
        mask = truth_at(sample, (row.width, row.height), size)
        if sample.masks and mask.size // 8 < self._room:
            packed = self._packed[index] = np.packbits(mask)
            self._room -= packed.nbytes
        return mask
