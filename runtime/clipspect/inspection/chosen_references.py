"""References out of good photographs: which may be chosen, which calibrate, and the few that differ most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import RecipeError
from clipspect.base.progress import Progress
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.inspection_graph import InspectionGraph
from clipspect.bundle.precision import open_graph
from clipspect.engines.graph import FEATURES, IMAGE, IMAGE_EMBEDDING, TEXT_FEATURES
from clipspect.frame.prepare import prepare
from clipspect.frame.region_of_interest import RegionOfInterest
from clipspect.frame.viewing import Viewing
from clipspect.inspection.photographs import Photograph
from clipspect.recipes.galleries import blank_references
from clipspect.recipes.gallery import thin

REFERENCES = 16  # by default; more cost time on every frame
TILED_REFERENCES = 4  # of frames that are seen in tiles: each gives many images
_CANDIDATES = 3  # of so many good parts one can become a reference


def split(
    photographs: Sequence[Photograph], references: int | None, *, usual: int = REFERENCES
) -> tuple[int, list[Photograph], list[Photograph]]:
    """How many references, those that they are chosen from, and those that calibrate: no part is in both.

    Without a number they are `usual`, or fewer of few parts.
    """
    firsts: dict[str, str] = {}  # by part, what decides by chance, and always the same: a digest
    for photograph in photographs:
        firsts[photograph.part] = min(photograph.content, firsts.get(photograph.part, photograph.content))
    drawn = sorted(firsts, key=lambda part: firsts[part])
    most = max(1, len(drawn) // _CANDIDATES)
    count = min(usual, most) if references is None else references
    if len(drawn) < 2 or count >= len(drawn):
        raise RecipeError(
            f"{len(drawn)} good parts are too few for {count} references and others to calibrate on: give more, or "
            "fewer references"
        )
    candidates = set(drawn[: max(most, count)])
    return (
        count,
        [photograph for photograph in photographs if photograph.part in candidates],
        [photograph for photograph in photographs if photograph.part not in candidates],
    )


def parts_for(calibrating: int, references: int) -> int:
    """Of how many good parts `split` leaves so many to calibrate on."""
    return max((_CANDIDATES * calibrating - 1) // (_CANDIDATES - 1), calibrating + references)


def farthest(
    bundle: Bundle,
    graph: InspectionGraph,
    photographs: Sequence[Photograph],
    count: int,
    backend: str | None,
    options: dict[str, Any],
    progress: Progress,
    region: RegionOfInterest | None = None,
) -> tuple[list[Photograph], tuple[str, str]]:
    """So many of the photographs by k-centre on what the graph says of them, and the engine's name and device.

    Of a region that is cropped, they are seen in its box.
    """
    given: dict[str, npt.NDArray[Any]] = {**blank_references(graph)}
    if (text := graph.inputs.get(TEXT_FEATURES)) is not None:
        given[TEXT_FEATURES] = np.zeros((2, 1, int(text.shape[-1])), np.float32)
        given[TEXT_FEATURES][..., 0] = 1  # any words: features do not depend on them
    outputs = [name for name in graph.outputs if name == IMAGE_EMBEDDING]
    outputs = outputs or [name for name in graph.outputs if name.startswith(FEATURES)]
    spec, viewing = bundle.manifest.image, Viewing(region)
    probe = {IMAGE: np.zeros((1, spec.height, spec.width, 3), np.uint8), **given}
    rows = []
    with open_graph(bundle, graph, backend, probe=probe, **options) as engine:
        for done, photograph in enumerate(photographs, 1):
            pixels = prepare(photograph.item.frame, spec, viewing=viewing).pixels
            found = engine.run_finite({IMAGE: pixels, **given}, outputs)
            rows.append(
                np.concatenate([found[name].reshape(-1, found[name].shape[-1]).mean(axis=0) for name in outputs])
            )
            progress("choosing references", done, len(photographs))
        ran = engine.name, engine.device
    features = np.stack(rows)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return [photographs[index] for index in thin(features, count).kept], ran
