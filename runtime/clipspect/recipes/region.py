"""A recipe gets another region of interest, and its limits go: they spoke of what was judged before."""

from __future__ import annotations

import dataclasses
from typing import Any

from clipspect.base.errors import RecipeError
from clipspect.frame.judged_area import reach_in_pixels
from clipspect.frame.region_of_interest import CROP, Area, RegionOfInterest
from clipspect.frame.tiling import Tiling
from clipspect.recipes.history import with_limits
from clipspect.recipes.recipe import Recipe

SEEN_BOX = "box"  # of `Recipe.references`: the region's box that the photographs were seen in, where it was a crop
SEEN_TILES = "tiles_of"  # and the digest of the region whose tiles alone they were seen in


def with_region(recipe: Recipe, region: RegionOfInterest | None, *, why: str | None = None) -> Recipe:
    """The recipe with that region of interest, None: all of a frame. Limits and calibration of another region are
    dropped, and the history says it. Raises RecipeError where its references were seen in another rectangle.
    """
    require_references_seen_in(recipe, region)
    changed = dataclasses.replace(recipe, region_of_interest=region)
    if digest_of(region) == digest_of(recipe.region_of_interest):
        return changed
    if recipe.limits is None and recipe.calibration is None:
        return changed
    what = "is judged whole again" if region is None else "has another region of interest"
    return with_limits(changed, None, None, why=why or f"the recipe {what}: limits spoke of what was judged before")


def digest_of(region: RegionOfInterest | None) -> str | None:
    """What limits belong to; None: all of a frame is judged."""
    return None if region is None else region.digest


def seen_in(region: RegionOfInterest | None, tiling: Tiling | None) -> dict[str, Any]:
    """What `Recipe.references` says of where photographs were seen: nothing of whole frames, and of all of their tiles.

    Tiles without a judged pixel are left out, but where the part shifts.
    """
    if region is None:
        return {}
    seen: dict[str, Any] = {}
    if region.mode == CROP:
        box = region.box(*region.frame_size)
        seen[SEEN_BOX] = [*region.frame_size, box.left, box.top, box.right, box.bottom]
    if tiling is not None and region.alignment is None:
        seen[SEEN_TILES] = region.digest
    return seen


def require_references_seen_in(recipe: Recipe, region: RegionOfInterest | None) -> None:
    """Raises RecipeError where what is judged would be compared with references that were seen otherwise."""
    if not recipe.has_references:
        return
    references = recipe.references or {}
    known, wanted = references.get(SEEN_BOX), seen_in(region, recipe.tiling).get(SEEN_BOX)
    if known != wanted:
        how = "whole" if known is None else "in a region's box"
        then = "in another box" if known and wanted else "whole" if known else "in the region's box"
        instead = ", or choose the mode mask" if known is None else ""
        raise RecipeError(
            f"recipe {recipe.name!r}: its references were seen {how}, and frames would be seen {then}: give the same "
            f"photographs again with --references PATH{instead}"
        )
    if references.get(SEEN_TILES) not in (None, digest_of(region)):
        raise RecipeError(
            f"recipe {recipe.name!r}: its references were seen in the tiles of another region of interest, and know "
            "nothing of other tiles: give the same photographs again with --references PATH"
        )


def region_rows(region: RegionOfInterest | None, model_size: tuple[int, int]) -> list[tuple[str, str]]:
    """What is judged, in words for a terminal; `model_size` is width and height of the model's input."""
    if region is None:
        return [("region", "the whole frame is judged")]
    width, height = region.frame_size
    parts = [_area_words(area, what) for area, what in ((region.judged, "judged"), (region.ignored, "ignored")) if area]
    share = f"{100 * float(region.drawn.mean()):.3g} % of a frame of {width} x {height}"
    box = region.box(width, height)
    rectangle = f"{box.width} x {box.height} at {box.left}, {box.top}"
    seen = f"the model sees {rectangle} alone" if region.mode == CROP else "the model sees the whole frame"
    rows = [("region", f"{share} ({', '.join(parts)}), in {rectangle}"), ("mode", f"{region.mode}: {seen}")]
    if region.alignment is not None:
        reach = reach_in_pixels(region.alignment, model_size, region.frame_size)
        rows.append(("aligned", f"parts that lie up to {reach[0]} pixels across and {reach[1]} down off are followed"))
    return rows


def _area_words(area: Area, what: str) -> str:
    count = len(area.polygons)
    polygons = [f"{count} polygon{'s' if count > 1 else ''}"] if count else []
    return f"{what}: {' and '.join([*polygons, *(['a mask'] if area.runs else [])])}"
