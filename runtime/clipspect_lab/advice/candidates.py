"""What is tried: each judge that a bundle has a graph for, with each number of references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clipspect.base.errors import BundleError, RecipeError, SignatureError
from clipspect.bundle.bundle import DEMO, Bundle
from clipspect.bundle.manifest import MANIFEST
from clipspect.engines import CPU
from clipspect.engines.graph import BF16, FP32, INT8, TEXT_FEATURES, WORDS
from clipspect.recipes.judge import JUDGES
from clipspect.recipes.words import recipe_to_take_words_from

NAME = "advice"  # of the recipes that are tried


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to judge the photographs."""

    bundle: Bundle
    named: str  # as it was given
    judge: str
    shots: int  # references; 0: words alone
    words: dict[str, Any]  # what `make_recipe` is told of them
    precision: str | None = None  # None: what the options say, else the bundle's own

    @property
    def label(self) -> str:
        """For people: "nuts.bundle (photos, 4 shots)"."""
        shots = f"{self.shots} shot{'s' if self.shots > 1 else ''}" if self.shots else ""
        return f"{self.named} ({', '.join(filter(None, (self.judge, shots, self.precision)))})"


def open_bundles(
    named: Sequence[str] | None, here: Path, require_signature: str | None
) -> tuple[dict[str, Bundle], dict[str, str]]:
    """The bundles by name, and why others are left out: those that are named, else the demo and those in `here`.

    `require_signature` is that of `Bundle.open`. Raises BundleError and SignatureError for a named one that is none,
    BundleError where there are none at all.
    """
    if named is not None:
        return {name: Bundle.open(name, require_signature=require_signature) for name in dict.fromkeys(named)}, {}
    opened, left_out = {}, {}
    for name in (DEMO, *sorted(path.parent.name for path in here.glob(f"*/{MANIFEST}"))):
        try:
            place = name if name == DEMO else here / name
            opened[name] = Bundle.open(place, require_signature=require_signature)
        except (BundleError, SignatureError) as error:
            left_out[name] = str(error)
    if not opened:
        raise BundleError(f"no bundle to try: {'; '.join(left_out.values())}; name others with --bundle")
    return opened, left_out


def candidates_of(
    named: str, bundle: Bundle, shots: Sequence[int], object: str | None
) -> tuple[list[Candidate], dict[str, str]]:
    """Of one bundle, the cheapest judge first; and why others are left out."""
    found, left_out = [], {}
    for judge in (judge for judge in JUDGES if judge in bundle.manifest.graphs):
        try:
            words = _words(bundle, judge, object)
        except (RecipeError, SignatureError) as error:
            left_out[f"{named} ({judge})"] = str(error)
            continue
        found += [Candidate(bundle, named, judge, count, words) for count in ((0,) if judge == WORDS else shots)]
    return found, left_out


def in_other_precisions(candidate: Candidate, device: str) -> list[Candidate]:
    """The candidate in what else engines may compute in, as far as one can tell before they are asked."""
    manifest = candidate.bundle.manifest
    if manifest.precision != FP32 or device != CPU:
        return []
    precisions = [BF16, *([INT8] if manifest.int8 is not None else [])]
    return [replace(candidate, precision=precision) for precision in precisions]


def _words(bundle: Bundle, judge: str, object: str | None) -> dict[str, Any]:
    """Words of the object where the bundle can make them, else those of a recipe that is there. Raises RecipeError."""
    text = bundle.manifest.text
    if TEXT_FEATURES not in bundle.manifest.graphs[judge].inputs:
        return {}
    makes = bundle.manifest.text_encoder is not None and text is not None and text.ensemble is not None
    if makes and object is not None:
        return {"object": object}
    return {"like": recipe_to_take_words_from(bundle, NAME if object is None else object)}
