"""Verification on the box: the bundle's check images through this engine, against what the torch reference answered."""

from __future__ import annotations

import math
import os
import statistics
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import BackendError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.local_records import write_local_record
from clipspect.bundle.manifest import ROLES
from clipspect.bundle.precision import allowed_difference, open_graph
from clipspect.bundle.precision_record import LIMITS, PrecisionRecord, judge_precision
from clipspect.bundle.windows_graph import WindowsGraph
from clipspect.engines import CPU, Backend, engine_named
from clipspect.engines.graph import (
    ANOMALY_MAP,
    BOTH,
    IMAGE,
    IMAGE_EMBEDDING,
    PHOTOS,
    SCORE,
    TEXT_FEATURES,
    WINDOWS,
    WORDS,
    Graph,
)
from clipspect.inspection.check_images import IMAGES, PREFIXES, REFERENCES, Tensors, read_check
from clipspect.inspection.windows import WindowsEngine, every_window
from clipspect.recipes.galleries import GalleryMaker, blank_references

# of the graphs, as a person calls them
NAMES = {WORDS: "zero-shot", BOTH: "few-shot", PHOTOS: "memory", WINDOWS: "on demand"}


@dataclass(frozen=True)
class Comparison:
    """A graph on the check images, one by one and in the largest batches it takes, against the torch reference.

    `score`, `anomaly_map` and `embedding` are the largest differences, infinite where the engine answered no number;
    `rank_correlation` is Spearman's over the pixels of a map, the lowest of the images, None where a map is constant.
    """

    graph: str  # "zero-shot", "few-shot" or "memory"
    images: int
    score: float
    anomaly_map: float
    rank_correlation: float | None
    tolerance: float
    milliseconds: float  # of a run with one image, the median
    embedding: float  # the largest distance of an image's embedding; 0 in old bundles, which have none
    scale: float  # the graph's `parity.scale`: what the tolerance of embeddings, which have length 1, is not in

    @property
    def faults(self) -> list[str]:
        """What differs by more than the tolerance."""
        scaled = self.embedding * self.scale
        differences = {"score": self.score, "map": self.anomaly_map, "image's embedding": scaled}
        return [
            f"the {self.graph} {name} by {value:.2g}"
            for name, value in differences.items()
            if not value <= self.tolerance
        ]


@dataclass(frozen=True)
class Verification:
    """What an engine on a device makes of a bundle."""

    backend: str
    device: str
    precision: str  # that the engine computes in
    comparisons: tuple[Comparison, ...]

    @property
    def passed(self) -> bool:
        return not any(comparison.faults for comparison in self.comparisons)

    @property
    def verdict(self) -> str:
        """One line: whether this engine computes what was exported, and if not, what differs."""
        where = f"{self.backend} on {self.device}"
        if self.passed:
            return f"{where} computes what was exported"
        faults = [
            f"{', '.join(comparison.faults)} (tolerance {comparison.tolerance:.2g})"
            for comparison in self.comparisons
            if comparison.faults
        ]
        return f"{where} does not compute what was exported: differs in {'; '.join(faults)}"


def verify(
    bundle: Bundle | str | os.PathLike[str],
    backend: str | None = None,
    *,
    tolerance: float | None = None,
    **options: Any,
) -> Verification:
    """Replay the check images through every graph of the bundle.

    Galleries are made of the check's reference by this engine, as recipes on this box are. `tolerance` is of all
    differences; the default is what `allowed_difference` says. `backend` and `options` are those of `clipspect.load`;
    a precision is opened whatever its record says, for it is measured here. Raises BundleError for a bundle without
    check images, BackendError.
    """
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    check = read_check(opened)
    if options.get("device") == "tensorrt":  # built for the shapes that will come: let all images come at once
        options = {"batch": len(check[IMAGES]), **options}
    comparisons, ran = [], (backend or "", "", "")
    for role in (role for role in ROLES if role in opened.manifest.graphs):
        graph = opened.manifest.graphs[role]
        references = check.get(PREFIXES[role] + REFERENCES)
        given = {name: check[name] for name in graph.inputs if name in check}
        blank = {} if references is None else blank_references(graph, len(references))
        with _engine(opened, graph, {**blank, **given}, backend, options) as engine:
            allowed = tolerance
            if allowed is None:
                allowed = allowed_difference(opened, graph, engine.name, engine.device, engine.precision)
            if references is not None:
                maker = GalleryMaker(references, graph, engine, {**blank, **given})
                given |= {name: gallery.kept for name, gallery in maker.galleries().items()}
            answers = [name for name in (SCORE, ANOMALY_MAP, IMAGE_EMBEDDING) if name in graph.outputs]
            expected = {name: check[PREFIXES[role] + name] for name in answers}
            scale = graph.parity.scale
            comparisons.append(_compare(NAMES[role], engine, given, check[IMAGES], expected, allowed, scale))
            ran = engine.name, engine.device, engine.precision
        backend, options = ran[0], {**options, "device": ran[1]}  # the engine that was chosen, if there was a choice
    if opened.manifest.windows is not None and ran[1] == CPU and not engine_named(ran[0]).compiled:
        comparisons.append(_compare_windows(opened, opened.manifest.windows, check, ran[0], tolerance, options))
    return Verification(*ran, tuple(comparisons))


def record_precision(bundle: Bundle, found: Verification) -> PrecisionRecord:
    """Judge what was found of a precision as the exporter's gate does, and keep the record beside the bundle.

    From then on this box takes the precision, or refuses it. Raises BackendError for a precision that needs no record,
    ClipspectError where the record cannot be written.
    """
    if found.precision not in LIMITS or found.precision == bundle.manifest.precision:
        raise BackendError(
            f"precision {found.precision} in {found.backend} needs no record: leave --record out, or add --precision"
        )
    ranks = [comparison.rank_correlation for comparison in found.comparisons]
    record = judge_precision(
        found.precision,
        found.backend,
        score=max(comparison.score / comparison.scale for comparison in found.comparisons),
        anomaly_map=max(comparison.anomaly_map / comparison.scale for comparison in found.comparisons),
        embedding=max(comparison.embedding for comparison in found.comparisons),
        rank_correlation=min((value for value in ranks if value is not None), default=None),
    )
    write_local_record(bundle, found.device, record)
    return record


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> float | None:
    """Spearman's, of two arrays of one shape: Pearson's of the ranks, ties ranked by their average.

    None where one of them is constant or holds what is no finite number.
    """
    values = [np.asarray(array, np.float64).ravel() for array in (first, second)]
    if not all(np.isfinite(array).all() for array in values):
        return None
    centred = [rank - rank.mean() for rank in map(_ranks, values)]
    spread = math.prod(float(np.linalg.norm(rank)) for rank in centred)
    return float(np.clip(centred[0] @ centred[1] / spread, -1, 1)) if spread > 0 else None


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: npt.NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def _engine(bundle: Bundle, graph: Graph, given: Tensors, backend: str | None, options: dict[str, Any]) -> Backend:
    image = bundle.manifest.image
    probe = {IMAGE: np.zeros((1, image.height, image.width, 3), np.uint8), **given}
    return open_graph(bundle, graph, backend, probe=probe, **{**options, "force_precision": True})


def embedding_difference(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """The largest distance between embeddings (N, D) of the same images; NaN stays NaN."""
    return float(np.linalg.norm(found.astype(np.float64) - expected, axis=-1).max())


def _compare(
    graph: str,
    engine: Backend | WindowsEngine,
    given: Tensors,
    images: npt.NDArray[np.uint8],
    expected: Tensors,
    tolerance: float,
    scale: float,
) -> Comparison:
    singles, milliseconds = [], []
    for index in range(len(images)):
        start = perf_counter()
        singles.append(engine.run({IMAGE: images[index : index + 1], **given}))
        milliseconds.append((perf_counter() - start) * 1e3)
    batch = min(len(images), engine.most_images or len(images))
    batches = [engine.run({IMAGE: images[first : first + batch], **given}) for first in range(0, len(images), batch)]
    answers = [
        {name: np.concatenate([one[name] for one in found]) for name in expected} for found in (singles, batches)
    ]
    pairs = [pair for answer in answers for pair in zip(answer[ANOMALY_MAP], expected[ANOMALY_MAP])]
    correlations = [rank_correlation(found, wanted) for found, wanted in pairs]
    known = [value for value in correlations if value is not None]
    differences = {
        name: max(_difference(name, answer[name], value) for answer in answers) for name, value in expected.items()
    }
    return Comparison(
        graph=graph,
        images=len(images),
        score=differences[SCORE],
        anomaly_map=differences[ANOMALY_MAP],
        rank_correlation=min(known) if len(known) == len(correlations) else None,
        tolerance=tolerance,
        milliseconds=statistics.median(milliseconds),
        embedding=differences.get(IMAGE_EMBEDDING, 0.0),
        scale=scale,
    )


def _compare_windows(
    bundle: Bundle, graph: WindowsGraph, check: Tensors, backend: str, tolerance: float | None, options: dict[str, Any]
) -> Comparison:
    """The graph of windows on demand, of all windows, against the reference of the graph that it stands in for."""
    image, role = bundle.manifest.image, BOTH if graph.compares and BOTH in bundle.manifest.graphs else WORDS
    stands_for = bundle.manifest.graphs[role]
    with _engine(bundle, graph, dict(every_window(graph, image)), backend, options) as engine:
        windows = WindowsEngine(engine, graph, image)
        given = {TEXT_FEATURES: check[TEXT_FEATURES]}
        references = check.get(PREFIXES[role] + REFERENCES)
        if references is not None:
            maker = GalleryMaker(references, stands_for, windows, {**blank_references(stands_for), **given})
            given |= {name: gallery.kept for name, gallery in maker.galleries().items()}
        names = [name for name in (SCORE, ANOMALY_MAP, IMAGE_EMBEDDING) if name in stands_for.outputs]
        expected = {name: check[PREFIXES[role] + name] for name in names}
        allowed = tolerance
        if allowed is None:
            allowed = allowed_difference(bundle, graph, engine.name, engine.device, engine.precision)
        return _compare(NAMES[WINDOWS], windows, given, check[IMAGES], expected, allowed, graph.parity.scale)


def _difference(name: str, found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    if found.shape != expected.shape:
        raise BackendError(f"the engine answered the shape {found.shape}, the check has {expected.shape}")
    if name == IMAGE_EMBEDDING:
        difference = embedding_difference(found, expected)
    else:
        difference = float(np.abs(found.astype(np.float64) - expected).max())
    return math.inf if math.isnan(difference) else difference
