"""Presets: the published models as data, one small TOML file each. What `clipspect export` takes when told no more."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import Any

from clipspect.base.document import MismatchError, build
from clipspect.base.errors import ExportError

_SUFFIX = ".toml"


@dataclass(frozen=True)
class PresetBackbone:
    """A CLIP by open_clip's names."""

    name: str
    weights: str  # the tag
    licence: str  # of the weights


@dataclass(frozen=True)
class TrainedFile:
    """One file of a repository, and the data set that it was trained on."""

    path: str
    trained_on: str


@dataclass(frozen=True)
class TrainedFiles:
    """Where the file comes from that the method's official code trained; any of them will do."""

    repository: str
    licence: str
    files: tuple[TrainedFile, ...]


@dataclass(frozen=True)
class Fixed:
    """What the method leaves no choice in: the exporter has these in its code, and they are here to be read."""

    activation: str  # "gelu" or "quick_gelu"
    image_size: int  # pixels, both sides
    temperature: float | None = None  # of the softmax over the two states
    logit_scale: float | None = None  # its inverse, where the official code has that
    layers: tuple[int, ...] | None = None


@dataclass(frozen=True)
class PublishedImage:
    """Of the scores, per cent."""

    auroc: float
    f1_max: float | None = None
    ap: float | None = None


@dataclass(frozen=True)
class PublishedPixel:
    """Of the anomaly maps, per cent."""

    auroc: float
    f1_max: float | None = None
    pro: float | None = None


@dataclass(frozen=True)
class PublishedAccuracy:
    """What a paper reports for one data set and number of references."""

    dataset: str
    shots: int
    image: PublishedImage
    pixel: PublishedPixel


@dataclass(frozen=True)
class Publication:
    """The paper, and the accuracy that it reports."""

    paper: str
    source: str  # what tables call it
    accuracy: tuple[PublishedAccuracy, ...]

    def find(self, dataset: str, shots: int) -> PublishedAccuracy | None:
        """The figures of that data set with that many references; None where the paper has none."""
        return next((item for item in self.accuracy if (item.dataset, item.shots) == (dataset, shots)), None)


@dataclass(frozen=True)
class Preset:
    """A published model, ready to be exported."""

    summary: str  # one line
    method: str
    backbone: PresetBackbone
    options: dict[str, Any]  # of the method, by name; the exporter checks them against what the method has
    fixed: Fixed
    published: Publication
    checkpoint: TrainedFiles | None = None  # None where nothing was trained besides CLIP


def preset_names() -> tuple[str, ...]:
    """All presets, in alphabetical order; a method's own name is one. Reads no file."""
    from clipspect_models import PRESETS

    return tuple(sorted(path.stem for path in PRESETS.glob(f"*{_SUFFIX}")))


def read_preset(name: str) -> Preset:
    """The preset of that name. Raises ExportError when there is none, or its file is damaged."""
    from clipspect_models import PRESETS

    if name not in preset_names():
        raise ExportError(f"no preset {name!r}; there are: {', '.join(preset_names())}")
    path = PRESETS / f"{name}{_SUFFIX}"
    return parse_preset(path.read_text(encoding="utf-8"), str(path))


def parse_preset(text: str, where: str) -> Preset:
    """A preset from the text of its file; `where` names the file in an error. Raises ExportError."""
    tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        return build(Preset, tomllib.loads(text), "preset")
    except (MismatchError, tomllib.TOMLDecodeError) as error:
        raise ExportError(f"{where}: {error}: install clipspect again") from error
