"""What an evaluation is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipspect_lab.evaluation.truth import MODEL


@dataclass(frozen=True)
class Request:
    """What to evaluate, and how."""

    bundle: str  # its folder, or "demo"
    dataset: Path
    layout: str  # a key of LAYOUTS
    classes: tuple[str, ...] = ()  # empty: all
    recipe: str | None = None  # of the bundle, for every class; None: one for each class
    backend: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # the engine's
    resolution: str = MODEL  # one of RESOLUTIONS
    shots: int = 0
    seed: int = 0
    names: Mapping[str, str] = field(default_factory=dict)  # what prompts call a class
    require_signature: str | None = None  # the file of the key that must have signed bundle and recipes
