"""Published figures, for setting beside ours: the papers' stand in the presets, others in `published.json`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clipspect.base.document import from_json
from clipspect.bundle.presets import Preset, PublishedAccuracy, preset_names, read_preset

_FILE = Path(__file__).with_name("published.json")


@dataclass(frozen=True)
class PublishedRow:
    """Means over a data set's classes, in per cent; keys as in a row of results. AUPRO is by the papers' code."""

    dataset: str
    method: str
    shots: int
    source: str
    backbone: str
    side: int  # pixels of the model's image
    percent: dict[str, float]


@dataclass(frozen=True)
class _File:
    datasets: dict[str, tuple[str, ...]]  # their classes
    rows: tuple[PublishedRow, ...]  # of others than the papers


def published(method: str, classes: frozenset[str], shots: int) -> list[PublishedRow]:
    """What was published for a method with as many shots, if the classes are those of a known data set, all of them.

    The paper's figures come first. Raises ExportError for a preset's file that is damaged.
    """
    file = from_json(_File, _FILE.read_bytes(), _FILE.name)
    names = [name for name, known in file.datasets.items() if frozenset(known) == classes]
    rows = [*_of_papers(), *file.rows] if names else []
    return [row for row in rows if (row.method, row.shots) == (method, shots) and row.dataset in names]


def _of_papers() -> Iterator[PublishedRow]:
    for preset in map(read_preset, preset_names()):
        for found in preset.published.accuracy:
            yield _row(preset, found)


def _row(preset: Preset, found: PublishedAccuracy) -> PublishedRow:
    image, pixel = found.image, found.pixel
    percent = {
        "image_auroc": image.auroc,
        "image_f1_max": image.f1_max,
        "image_ap": image.ap,
        "pixel_auroc": pixel.auroc,
        "pixel_f1_max": pixel.f1_max,
        "pixel_aupro_papers": pixel.pro,
    }
    return PublishedRow(
        dataset=found.dataset,
        method=preset.method,
        shots=found.shots,
        source=preset.published.source,
        backbone=preset.backbone.name,
        side=preset.fixed.image_size,
        percent={key: value for key, value in percent.items() if value is not None},
    )
