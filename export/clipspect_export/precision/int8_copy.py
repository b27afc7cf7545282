"""The int8 copies of a bundle's graphs on disk, over one data file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from clipspect.base.errors import ExportError, ImageError
from clipspect.bundle.precision_record import Int8Copy
from clipspect.engines.graph import CHOSEN_WINDOWS
from clipspect.frame.image_files import images_in
from clipspect.frame.prepare import prepare
from clipspect.frame.spec import ImageSpec
from clipspect_export.graph.data_file import DataFile
from clipspect_export.graph.write import DATA_SUFFIX
from clipspect_export.precision.calibration import measure_ranges
from clipspect_export.precision.demo_model import demo_pictures
from clipspect_export.precision.quantize import INT8_SCHEME, Array, Scheme, quantize

SUFFIX = ".int8.onnx"
_EVERY = 3  # of the embedded pictures: 12, of all families, good and damaged


@dataclass(frozen=True, eq=False)
class Calibration:
    """Images that fix the ranges of the activations."""

    images: list[npt.NDArray[np.uint8]]  # (H, W, 3), in the model's size
    source: str  # in words


def read_calibration(photos: Sequence[str | Path], spec: ImageSpec) -> Calibration:
    """Given photos and folders of them; without any, some of the embedded pictures. Raises ExportError."""
    if not photos:
        return Calibration([picture.image for picture in demo_pictures(spec)[::_EVERY]], "the embedded demo pictures")
    files: list[Path] = []
    for photo in map(Path, photos):
        found = images_in(photo) if photo.is_dir() else [photo]
        if not found:
            raise ExportError(f"--calibration {photo}: no images here: give photos of parts, or a folder of them")
        files += found
    try:
        return Calibration([prepare(file, spec).pixels[0] for file in files], "given photos")
    except ImageError as error:
        raise ExportError(f"--calibration: {error}") from error


def described(copies: dict[str, str], calibration: Calibration, scheme: Scheme = INT8_SCHEME) -> Int8Copy:
    """For the manifest."""
    return Int8Copy(copies, scheme.words, calibration.source, len(calibration.images))


def write_int8(
    graphs: Sequence[Path], images: Sequence[npt.NDArray[np.uint8]], scheme: Scheme = INT8_SCHEME
) -> dict[str, str]:
    """Write the copies beside the fp32 graphs of one model, and return their files' names by those of the graphs.

    A layer that several graphs have gets the ranges of all of them; those of windows on demand are the packed graph's.
    What is not in int8 stays in the graphs' own data file. Raises BackendError.
    """
    ranges: dict[str, tuple[Array, Array]] = {}
    for graph in filter(_reads_image_alone, graphs):
        for weight, (low, high) in measure_ranges(graph, images).items():
            known = ranges.get(weight, (low, high))
            ranges[weight] = np.minimum(low, known[0]), np.maximum(high, known[1])
    data = DataFile(graphs[0].with_name(f"{graphs[0].stem}{SUFFIX}{DATA_SUFFIX}"))
    copies = {}
    for graph in graphs:
        model, copy = ir.load(graph), graph.with_name(f"{graph.stem}{SUFFIX}")
        quantize(model, ranges, scheme)
        data.take_weights(model.graph)
        ir.save(model, copy)
        copies[graph.name] = copy.name
    return copies


def _reads_image_alone(graph: Path) -> bool:
    return not any(str(value.name).startswith(CHOSEN_WINDOWS) for value in ir.load(graph).graph.inputs)
