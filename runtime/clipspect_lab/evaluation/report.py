"""An evaluation as one document: the figures, what they were made with, and the published ones beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, Context
from typing import Any

from clipspect_lab.evaluation.curves import FPR_LIMIT, PAPERS_STEPS
from clipspect_lab.evaluation.evaluate import Evaluation
from clipspect_lab.evaluation.pixels import EXACT_PIXELS
from clipspect_lab.evaluation.published import PublishedRow, published
from clipspect_lab.evaluation.rows import ClassRow, MaskCounts
from clipspect_lab.evaluation.truth import FIXED, MODEL
from clipspect_lab.evaluation.verdicts import verdicts_document

COLUMNS = {  # key: heading
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "image_f1_max": "image F1max",
    "pixel_auroc": "pixel AUROC",
    "pixel_ap": "pixel AP",
    "pixel_f1_max": "pixel F1max",
    "pixel_aupro_exact": "AUPRO exact",
    "pixel_aupro_papers": "AUPRO papers",
}
_AUPRO = (
    f"AUPRO exact: the regions' mean overlap integrated exactly to a false positive rate of {FPR_LIMIT}, divided by it "
    f"(anomalib's). AUPRO papers: {PAPERS_STEPS} thresholds, the rates below {FPR_LIMIT} stretched to 0 to 1 "
    "(AnomalyCLIP's and APRIL-GAN's code)."
)
_FIELDS = {"average_precision": "ap"}

NamedFigures = dict[str, float | None]


def document(evaluation: Evaluation) -> dict[str, Any]:
    """Everything, as `results.json` has it. Figures are 0 to 1, published ones in per cent as they were published."""
    request, manifest = evaluation.request, evaluation.bundle.manifest
    rows = [_class_document(row) for row in evaluation.rows]
    mean = {key: mean_of([row["figures"][key] for row in rows]) for key in COLUMNS}
    return {
        "dataset": request.dataset.resolve().name,
        "layout": request.layout,
        "resolution": resolution_words(evaluation),
        "bundle": evaluation.bundle.path.name,
        "method": manifest.method,
        "backbone": manifest.backbone.name,
        "encoder_sha256": manifest.backbone.weights.encoder_sha256,
        "precision": evaluation.precision,
        "engine": evaluation.engine,
        "shots": request.shots,
        "seed": request.seed if request.shots else None,
        "aupro": _AUPRO,
        "classes": rows,
        "mean": mean,
        "published": _beside_published(evaluation, mean),
        "notes": _notes(evaluation.rows) + _other_models(evaluation),
    }


def resolution_words(evaluation: Evaluation) -> str:
    """Where maps and masks were compared."""
    image = evaluation.bundle.manifest.image
    return resolution_of(evaluation.request.resolution, f", {image.width} x {image.height}")


def resolution_of(resolution: str, model_size: str = "") -> str:
    """The same, of one of RESOLUTIONS."""
    sizes = {MODEL: f"the model's size{model_size}", FIXED: "256 x 256"}
    return f"Pixels compared at {sizes.get(resolution, 'the size of the images')}."


def _class_document(row: ClassRow) -> dict[str, Any]:
    pixel = row.pixel
    errors = _named(pixel.largest_errors, "pixel_") if pixel is not None and pixel.largest_errors is not None else None
    return {
        "name": row.name,
        "object": row.object,
        "recipe": row.recipe,
        "references": list(row.references),
        "good": row.good,
        "defective": row.defective,
        "pixels": pixel.pixels if pixel is not None else None,
        "regions": pixel.regions if pixel is not None else None,
        "figures": named_figures(row),
        **verdicts_document(row.verdicts),
        "largest_errors": errors,
    }


def named_figures(row: ClassRow) -> NamedFigures:
    """A class's figures by the keys of the columns; None where it has none."""
    pixel = _named(row.pixel.figures, "pixel_") if row.pixel is not None else {}
    return {**dict.fromkeys(COLUMNS), **_named(row.image, "image_"), **pixel}


def _named(figures: Any, prefix: str) -> NamedFigures:
    """A row's figures by the keys of the columns."""
    named = {f"{prefix}{_FIELDS.get(key, key)}": value for key, value in dataclasses.asdict(figures).items()}
    return {key: value for key, value in named.items() if key in COLUMNS}


def _beside_published(evaluation: Evaluation, mean: NamedFigures) -> list[dict[str, Any]]:
    """Each published row, and ours less it, when the classes are those of its data set."""
    rows = []
    for row in _published(evaluation):
        fractions: NamedFigures = {key: row.percent[key] / 100 if key in row.percent else None for key in COLUMNS}
        difference = {key: _less(mean[key], fractions[key]) for key in COLUMNS}
        rows.append({**dataclasses.asdict(row), "published": fractions, "difference": difference})
    return rows


def _published(evaluation: Evaluation) -> list[PublishedRow]:
    names = frozenset(row.name for row in evaluation.rows)
    return published(evaluation.bundle.manifest.method, names, evaluation.request.shots)


def _other_models(evaluation: Evaluation) -> list[str]:
    """Where published figures are of another backbone or resolution than ours."""
    manifest, request = evaluation.bundle.manifest, evaluation.request
    ours = (manifest.backbone.name, manifest.image.width, request.resolution)
    theirs = {(row.backbone, row.side) for row in _published(evaluation)}
    return [
        f"published figures are of {backbone}, pixels compared at {side} x {side}: another model or size than ours"
        for backbone, side in sorted(theirs)
        if (backbone, side, MODEL) != ours
    ]


def _notes(rows: Sequence[ClassRow]) -> list[str]:
    """What a reader of the figures must know, each once and with the classes that it is about."""
    about: dict[str, list[str]] = {}
    errors = [
        row.pixel.largest_errors for row in rows if row.pixel is not None and row.pixel.largest_errors is not None
    ]
    most = max((value or 0.0 for figures in errors for value in dataclasses.asdict(figures).values()), default=0.0)
    binned = (
        f"more than {EXACT_PIXELS:,} pixels, in bins: no pixel figure is off by more than {points_at_most(most)} points"
    )
    for row in rows:
        if row.note:
            about.setdefault(row.note, []).append(row.name)
        for note in _mask_notes(row.masks):
            about.setdefault(note, []).append(row.name)
        if row.pixel is None:
            about.setdefault("no masks, so no pixel figures", []).append(row.name)
        elif row.pixel.largest_errors is not None:
            about.setdefault(binned, []).append(row.name)
    return [
        f"{'all classes' if len(about[note]) == len(rows) > 1 else ', '.join(about[note])}: {note}" for note in about
    ]


def _mask_notes(counts: MaskCounts | None) -> Iterator[str]:
    if counts is None:
        return
    if counts.lost:
        yield (
            f"{counts.lost} of {counts.masks} masks have no pixel at this resolution: these defects count in no pixel "
            "figure; see --resolution original"
        )
    if counts.over_half:
        yield f"{counts.over_half} of {counts.masks} masks mark more than half of the image: are they inverted?"


def points_at_most(bound: float) -> str:
    """A bound of figures from 0 to 1, in points with two digits and never below it."""
    points = Context(prec=2, rounding=ROUND_CEILING).create_decimal_from_float(100 * bound)
    return f"{float(points):g}"


def mean_of(values: Sequence[float | None]) -> float | None:
    """Over the classes that have the figure."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _less(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else ours - theirs
