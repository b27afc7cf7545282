"""Reasons in plain words: what stands in the terminal, below an overlay, and in the reports."""

from __future__ import annotations

from collections.abc import Sequence

from clipspect.inspection.explanation import Explanation, Place, ReferencePatch, RegionReason
from clipspect.inspection.regions import Region
from clipspect.recipes.promise import percent


def explanation_lines(explanation: Explanation, regions: Sequence[Region], map_limit: float) -> list[str]:
    """A line a fact: first of each region itself, then what raised it, set in by two spaces; last what is not told."""
    lines = []
    for reason in explanation.regions:
        lines.append(region_words(reason, regions[reason.region], map_limit))
        lines += [f"  {line}" for line in reason_lines(reason)]
    if left := len(regions) - len(explanation.regions):
        lines.append(f"{left} more {'region is' if left == 1 else 'regions are'} not explained")
    return [*lines, *explanation.notes]


def region_words(reason: RegionReason, region: Region, map_limit: float) -> str:
    """Which region, how far it is over the map's limit, and its share of all that is."""
    at = place_words(Place(region.x, region.y, region.width, region.height))
    return (
        f"region {reason.region + 1} {at}: peak {region.peak:.3g}, map limit {map_limit:.3g}; "
        f"{percent(reason.share)} of what the map has over it"
    )


def reason_lines(reason: RegionReason) -> list[str]:
    """What raised one region."""
    lines = [
        f"window of {window.scale} x {window.scale} patches {place_words(window.place)}: anomalous "
        f"{window.probability:.2f}, raises the map here by {window.raises:.2g}"
        for window in reason.windows
    ]
    for state, words in (("anomalous", "damaged"), ("normal", "good")):
        if own := [f'"{one.words}" ({one.cosine:.2f})' for one in reason.states if one.state == state]:
            lines.append(f"of the {words} states most like {', '.join(own)}")
    if (reference := reason.reference) is not None:
        usual = "" if reference.usual is None else f" (usual of good parts: {reference.usual:.2g})"
        lines.append(f"its patch {place_words(reference.patch)} is closest to {_patch_words(reference.nearest)}{usual}")
        if reference.counterpart is not None:
            lines.append(f"by its surroundings its place is that of {_patch_words(reference.counterpart)}")
    return lines


def _patch_words(patch: ReferencePatch) -> str:
    where = "" if patch.place is None else f" {place_words(patch.place)}"
    turned = f", turned by {patch.turned} degrees" if patch.turned else ""
    distance = "" if patch.distance is None else f": distance {patch.distance:.2g}"
    return f"{patch.photograph}{where}{turned}{distance}"


def short_words(reason: RegionReason) -> str:
    """What raised a region in half a line: below an overlay."""
    said = []
    if reason.windows:
        said.append(f"a window of {reason.windows[0].scale} x {reason.windows[0].scale} patches")
    damaged = next((one.words for one in reason.states if one.state == "anomalous"), None)
    if damaged is not None:
        said.append(f'like "{damaged}"')
    if reason.reference is not None:
        beside = reason.reference.counterpart or reason.reference.nearest
        said.append(f"compare {beside.photograph}{'' if beside.place is None else ' ' + place_words(beside.place)}")
    return f"{reason.region + 1}: {', '.join(said)}" if said else ""


def place_words(place: Place) -> str:
    """As "at (120, 64), 32 x 32"."""
    return f"at ({place.x}, {place.y}), {place.width} x {place.height}"
