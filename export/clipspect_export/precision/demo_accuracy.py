"""How well the demo model tells good parts from defects: what a precision costs, measured where masks are known."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from clipspect.base.errors import ExportError
from clipspect.bundle.bundle import DEMO, Bundle
from clipspect.engines import Backend
from clipspect.engines.graph import ANOMALY_MAP, IMAGE, SCORE, TEXT_FEATURES
from clipspect.frame.prepare import prepare
from clipspect.frame.spec import ImageSpec
from clipspect.recipes.shelf import open_recipe
from clipspect_export.graph.data_file import DataFile
from clipspect_export.graph.half_storage import read_halves
from clipspect_export.graph.write import DATA_SUFFIX
from clipspect_lab.demo.figures import picture_figures
from clipspect_lab.demo.pictures import read_demo_pictures, read_mask

POINTS = 100.0  # of an AUROC of 1

Rewrite = Callable[[Path], Path]  # of the demo model's fp32 graph, to that of a precision in the same folder
Open = Callable[[Path], AbstractContextManager[Backend]]  # in the engine that computes in the precision


@dataclass(frozen=True)
class Accuracy:
    """AUROC in points, over all pictures: of the scores, and of the maps' pixels."""

    image: float
    pixel: float

    def lost(self, other: Accuracy) -> Accuracy:
        """What the other has less."""
        return Accuracy(self.image - other.image, self.pixel - other.pixel)


@dataclass(frozen=True, eq=False)
class Picture:
    """Of a family that the demo model's training never saw."""

    image: npt.NDArray[np.uint8]  # (H, W, 3), in the model's size
    mask: npt.NDArray[np.bool_]  # (H, W), of the defect


def demo_pictures(spec: ImageSpec | None = None) -> list[Picture]:
    """The embedded pictures, good and damaged in turn; images in the size of `spec`, by default the demo model's."""
    spec = spec or Bundle.open(DEMO).manifest.image
    folder, listed = read_demo_pictures()
    frames = [prepare(folder / row.file, spec) for row in listed]
    return [Picture(frame.pixels[0], read_mask(folder, row, frame.size)) for frame, row in zip(frames, listed)]


def demo_accuracy(open_engine: Open, rewrite: Rewrite | None = None) -> Accuracy:
    """Of the demo model, its graph rewritten, in an engine, over the embedded pictures. Raises BackendError."""
    bundle = Bundle.open(DEMO)
    words = open_recipe(bundle).text_features
    pictures = demo_pictures(bundle.manifest.image)
    with tempfile.TemporaryDirectory() as folder:
        path = _in_fp32(bundle.graph_path, Path(folder))
        with open_engine(path if rewrite is None else rewrite(path)) as engine:
            answers = [engine.run({IMAGE: picture.image[None], TEXT_FEATURES: words}) for picture in pictures]
    scores = np.concatenate([answer[SCORE] for answer in answers])
    maps = np.concatenate([answer[ANOMALY_MAP] for answer in answers])
    if not (np.isfinite(scores).all() and np.isfinite(maps).all()):
        raise ExportError("the demo model answers NaN or infinity")
    found = picture_figures(scores, maps, [picture.mask for picture in pictures])
    if found.image_auroc is None or found.pixel_auroc is None:
        raise AssertionError("the embedded pictures are good and damaged ones")
    return Accuracy(found.image_auroc * POINTS, found.pixel_auroc * POINTS)


def _in_fp32(source: Path, folder: Path) -> Path:
    """The embedded graph with its weights as an export without `storage` has them."""
    model, path = ir.load(source), folder / source.name
    read_halves(model.graph)
    DataFile(path.with_name(f"{path.name}{DATA_SUFFIX}")).take_weights(model.graph)
    ir.save(model, path)
    return path
