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

from clipspect.base.errors import BackendError, BundleError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.local_records import write_local_record
from clipspect.bundle.manifest import Parity
from clipspect.bundle.precision import ALLOWANCE, open_graph, record_of
from clipspect.bundle.precision_record import LIMITS, PrecisionRecord, judge_precision
from clipspect.engines import Backend
from clipspect.engines.graph import ANOMALY_MAP, BOTH, IMAGE, SCORE, TEXT_FEATURES, WORDS, Graph
from clipspect.recipes.galleries import MAP_LIMITS, GalleryMaker, blank_references

ZERO_SHOT, FEW_SHOT = "zero-shot", "few-shot"
IMAGES, REFERENCES, FEW_SHOT_PREFIX = "images", "fewshot_references", "fewshot_"  # tensors of the check, and a prefix

Tensors = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Comparison:
    """A graph on the check images, one by one and in the largest batches it takes, against the torch reference.

    `score` and `anomaly_map` are the largest absolute differences, infinite where the engine answered no number;
    `rank_correlation` is Spearman's over the pixels of a map, the lowest of the images, None where a map is constant.
    """

    graph: str  # "zero-shot" or "few-shot"
    images: int
    score: float
    anomaly_map: float
    rank_correlation: float | None
    tolerance: float
    milliseconds: float  # of a run with one image, the median

    @property
    def faults(self) -> list[str]:
        """What differs by more than the tolerance."""
        differences = {"score": self.score, "map": self.anomaly_map}
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
    """Replay the check images through the zero-shot graph, and through the few-shot graph where there is one.

    The few-shot graph's galleries are made of the check's reference by this engine, as recipes on this box are.
    `tolerance` is of all differences; the default is ALLOWANCE times that of each graph's export, and in a precision
    for which the bundle has a record that of the record. `backend` and
    `options` are those of `clipspect.load`; a precision is opened whatever its record says, for it is measured here.
    Raises BundleError for a bundle without check images, BackendError.
    """
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    manifest, check = opened.manifest, _read_check(opened)
    words = {TEXT_FEATURES: check[TEXT_FEATURES]}
    if options.get("device") == "tensorrt":  # built for the shapes that will come: let all images come at once
        options = {"batch": len(check[IMAGES]), **options}
    with _engine(opened, manifest.graphs[WORDS], words, backend, options) as engine:
        allowed = _allowed(opened, engine, manifest.graphs[WORDS].parity) if tolerance is None else tolerance
        comparisons = [_compare(ZERO_SHOT, engine, words, check, allowed)]
        ran = engine.name, engine.device, engine.precision
    if (few_shot := manifest.graphs.get(BOTH)) is not None:
        blank = blank_references(few_shot, len(check[REFERENCES]))
        same = {**options, "device": ran[1]}  # the engine that was chosen, if there was a choice
        with _engine(opened, few_shot, {**words, **blank}, ran[0], same) as engine:
            allowed = _allowed(opened, engine, few_shot.parity) if tolerance is None else tolerance
            maker = GalleryMaker(check[REFERENCES], few_shot, engine, words[TEXT_FEATURES], blank)
            given = {**words, **{name: gallery.kept for name, gallery in maker.galleries().items()}}
            given |= {MAP_LIMITS: check[MAP_LIMITS]} if MAP_LIMITS in blank else {}
            expected = {**check, **{name: check[FEW_SHOT_PREFIX + name] for name in (SCORE, ANOMALY_MAP)}}
            comparisons.append(_compare(FEW_SHOT, engine, given, expected, allowed))
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
        score=max(comparison.score for comparison in found.comparisons),
        anomaly_map=max(comparison.anomaly_map for comparison in found.comparisons),
        rank_correlation=min((value for value in ranks if value is not None), default=None),
    )
    write_local_record(bundle, found.device, record)
    return record


def _allowed(bundle: Bundle, engine: Backend, parity: Parity) -> float:
    record = record_of(bundle, engine)
    return ALLOWANCE * parity.tolerance if record is None or record.tolerance is None else record.tolerance


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


def _read_check(bundle: Bundle) -> Tensors:
    """The check's tensors, complete and of the right shapes. Raises BundleError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    manifest = bundle.manifest
    if manifest.check is None:
        raise BundleError(f"{bundle.path}: the bundle has no check images, it is an old one: export it again")
    path = bundle.path / manifest.check
    try:
        check: Tensors = {name: value.copy() for name, value in load_file(path).items()}  # its own are read-only
        sides = manifest.image.height, manifest.image.width
        count = len(check[IMAGES])
        dim = manifest.text.dim
        shapes = {IMAGES: (count, *sides, 3), SCORE: (count,), ANOMALY_MAP: (count, *sides)}
        shapes[TEXT_FEATURES] = (2, check[TEXT_FEATURES].size // (2 * dim), dim)  # of as many prompts as there are
        if BOTH in manifest.graphs:
            shapes |= {FEW_SHOT_PREFIX + name: shapes[name] for name in (SCORE, ANOMALY_MAP)}
            shapes[REFERENCES] = (len(check[REFERENCES]), *sides, 3)
            shapes |= {MAP_LIMITS: (2,)} if MAP_LIMITS in manifest.graphs[BOTH].inputs else {}
        wrong = [name for name, shape in shapes.items() if check[name].shape != shape or 0 in shape]
    except (SafetensorError, KeyError) as error:
        raise BundleError(f"{path}: not readable check images ({error}): export the bundle again") from error
    if wrong:
        raise BundleError(f"{path}: {wrong[0]} has the shape {check[wrong[0]].shape}: export the bundle again")
    return check


def _engine(bundle: Bundle, graph: Graph, given: Tensors, backend: str | None, options: dict[str, Any]) -> Backend:
    image = bundle.manifest.image
    probe = {IMAGE: np.zeros((1, image.height, image.width, 3), np.uint8), **given}
    return open_graph(bundle, graph, backend, probe=probe, **{**options, "force_precision": True})


def _compare(graph: str, engine: Backend, given: Tensors, check: Tensors, tolerance: float) -> Comparison:
    images = check[IMAGES]
    singles, milliseconds = [], []
    for index in range(len(images)):
        start = perf_counter()
        singles.append(engine.run({IMAGE: images[index : index + 1], **given}))
        milliseconds.append((perf_counter() - start) * 1e3)
    one_by_one = {name: np.concatenate([single[name] for single in singles]) for name in (SCORE, ANOMALY_MAP)}
    batch = min(len(images), engine.most_images or len(images))
    batches = [engine.run({IMAGE: images[first : first + batch], **given}) for first in range(0, len(images), batch)]
    together = {name: np.concatenate([answer[name] for answer in batches]) for name in (SCORE, ANOMALY_MAP)}
    answers = [one_by_one, together]
    pairs = [pair for answer in answers for pair in zip(answer[ANOMALY_MAP], check[ANOMALY_MAP])]
    correlations = [rank_correlation(found, expected) for found, expected in pairs]
    known = [value for value in correlations if value is not None]
    return Comparison(
        graph=graph,
        images=len(images),
        score=max(_difference(answer[SCORE], check[SCORE]) for answer in answers),
        anomaly_map=max(_difference(answer[ANOMALY_MAP], check[ANOMALY_MAP]) for answer in answers),
        rank_correlation=min(known) if len(known) == len(correlations) else None,
        tolerance=tolerance,
        milliseconds=statistics.median(milliseconds),
    )


def _difference(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    if found.shape != expected.shape:
        raise BackendError(f"the engine answered the shape {found.shape}, the check has {expected.shape}")
    difference = float(np.abs(found.astype(np.float64) - expected).max())
    return math.inf if math.isnan(difference) else difference
