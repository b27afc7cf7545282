"""The demo model in the gate: what a precision costs, measured where masks are known.

Its graph and its text features are made of the demo's weights here, not read from the embedded bundle: the exporter
makes that bundle itself.
"""

from __future__ import annotations

import atexit
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import ExportError
from clipspect.base.temporary import temporary_folder
from clipspect.engines import Backend
from clipspect.engines.graph import ANOMALY_MAP, IMAGE, SCORE, TEXT_FEATURES, WORDS
from clipspect.frame.prepare import prepare
from clipspect.frame.spec import ImageSpec
from clipspect_export.methods.method import DEFAULT_OBJECT
from clipspect_export.methods.model import Features
from clipspect_export.methods.registry import plan, read_method, read_options
from clipspect_export.methods.write import write_graphs
from clipspect_export.towers.clip import build_clip
from clipspect_export.towers.config import read_backbone
from clipspect_export.towers.weights import load_weights
from clipspect_lab.demo.figures import picture_figures
from clipspect_lab.demo.pictures import read_demo_pictures, read_mask

POINTS = 100.0  # of an AUROC of 1

Rewrite = Callable[[Path], Path]  # of the demo model's fp32 graph, to that of a precision in the same folder
Open = Callable[[Path], AbstractContextManager[Backend]]  # in the engine that computes in the precision


@dataclass(frozen=True)
class AccuracyPoints:
    """AUROC in points, over all pictures: of the scores, and of the maps' pixels."""

    image: float
    pixel: float

    def lost(self, other: AccuracyPoints) -> AccuracyPoints:
        """What the other has less."""
        return AccuracyPoints(self.image - other.image, self.pixel - other.pixel)


@dataclass(frozen=True, eq=False)
class MaskedPicture:
    """Of a family that the demo model's training never saw."""

    image: npt.NDArray[np.uint8]  # (H, W, 3), in the model's size
    mask: npt.NDArray[np.bool_]  # (H, W), of the defect


@dataclass(frozen=True, eq=False)
class DemoModel:
    """The demo's WinCLIP as an fp32 graph on disk, which goes with the process."""

    graph: Path
    text_features: Features
    image: ImageSpec


@functools.cache
def demo_model() -> DemoModel:
    """Made of the demo's weights once a process. Raises ExportError."""
    from clipspect_models import DEMO_CONFIG, DEMO_WEIGHTS

    loaded, config = load_weights(DEMO_WEIGHTS, read_backbone(DEMO_CONFIG))
    method = read_method("winclip")
    model = plan(method, config, read_options(method, {}))(build_clip(config, loaded.tensors))
    if model.words is None:
        raise AssertionError("WinCLIP reads words")
    stack = ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(temporary_folder())
    graph = write_graphs({WORDS: model.forms[WORDS]}, config, folder)[WORDS]
    size = config.image
    return DemoModel(folder / graph.file, model.words(DEFAULT_OBJECT).features, size)


def demo_pictures(spec: ImageSpec) -> list[MaskedPicture]:
    """The embedded pictures, good and damaged in turn; images in the size of `spec`."""
    folder, listed = read_demo_pictures()
    frames = [prepare(folder / row.file, spec) for row in listed]
    return [MaskedPicture(frame.pixels[0], read_mask(folder, row, frame.size)) for frame, row in zip(frames, listed)]


def demo_accuracy(open_engine: Open, rewrite: Rewrite | None = None) -> AccuracyPoints:
    """Of the demo model, its graph rewritten, in an engine, over the embedded pictures.

    Raises BackendError; ExportError where it answers no number.
    """
    model = demo_model()
    pictures = demo_pictures(model.image)
    with open_engine(model.graph if rewrite is None else rewrite(model.graph)) as engine:
        given = {TEXT_FEATURES: model.text_features}
        answers = [engine.run({IMAGE: picture.image[None], **given}) for picture in pictures]
    scores = np.concatenate([answer[SCORE] for answer in answers])
    maps = np.concatenate([answer[ANOMALY_MAP] for answer in answers])
    if not (np.isfinite(scores).all() and np.isfinite(maps).all()):
        raise ExportError("the demo model answers NaN or infinity")
    found = picture_figures(scores, maps, [picture.mask for picture in pictures])
    if found.image_auroc is None or found.pixel_auroc is None:
        raise AssertionError("the embedded pictures are good and damaged ones")
    return AccuracyPoints(found.image_auroc * POINTS, found.pixel_auroc * POINTS)
