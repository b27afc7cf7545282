"""The demo's pictures, inspected one by one, and their overlays as files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipspect.base.files import atomic_file
from clipspect.base.progress import Progress, quiet
from clipspect.frame.prepare import Frame
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.result import Result
from clipspect.sinks.overlay import render
from clipspect.sinks.overlay_colours import HeatScale
from clipspect_lab.demo.pictures import DemoPicture, read_mask


@dataclass(frozen=True, eq=False)
class InspectedPicture:
    """A picture with its truth and what was found."""

    picture: DemoPicture
    frame: Frame
    mask: npt.NDArray[np.bool_]  # (H, W) of the image; all False for a good one
    result: Result


def inspect_pictures(
    inspector: Inspector, folder: Path, pictures: Sequence[DemoPicture], progress: Progress = quiet
) -> list[InspectedPicture]:
    """Every picture, one at a time, so that their times are those of single frames. Raises BundleError."""
    inspected = []
    for number, picture in enumerate(pictures, 1):
        frame = inspector.prepare(folder / picture.file)
        (result,) = inspector.score([frame])
        inspected.append(InspectedPicture(picture, frame, read_mask(folder, picture, frame.size), result))
        progress(picture.family, number, len(pictures))
    return inspected


def write_overlays(folder: Path, inspected: Iterable[InspectedPicture], scale: HeatScale) -> None:
    """A JPEG file for each picture. Raises ClipspectError."""
    for item in inspected:
        with atomic_file(folder / f"{Path(item.picture.file).stem}.jpg") as file:
            render(item.frame.image, item.result, scale).save(file, "JPEG", quality=90)
