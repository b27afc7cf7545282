"""What a frame shows where it is judged: score and regions of the region of interest alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clipspect.frame.judged_area import JudgedArea
from clipspect.frame.region_of_interest import Mask
from clipspect.frame.views import Box
from clipspect.inspection.answer import Answer
from clipspect.inspection.maps import Map, box_over, enlarge
from clipspect.inspection.regions import Region, find_regions, regions_in_source

_ROUNDING = 1e-6  # several times what the means of two pixels can be off in float32
TOP_SHARE = 0.01  # of the judged pixels of a map, whose mean is the score of a region of interest


@dataclass(frozen=True)
class Found:
    """What verdicts are made of."""

    score: float
    regions: tuple[Region, ...]


def found_in(answer: Answer) -> Found:
    """Where all that the model sees is judged, the graph's score; else the mean of the largest TOP_SHARE of the judged
    pixels of the map, of tiles that of the most anomalous one. 0 where nothing of the frame may be judged.
    """
    frame, area, box, model_map = answer.frame, answer.frame.area, answer.map_box, answer.model_map
    if area is not None and area.fault:
        return Found(0.0, ())
    score, (height, width) = answer.score, model_map.shape
    if area is not None and not area.region.seen_alone:
        judged = area.mask_of_view(box, width, height)
        places = [view.placement.seen_from(box).scaled(width / box.width, height / box.height) for view in frame.views]
        score = max(score_of_judged(model_map[place.slices], judged[place.slices]) for place in places)
    return Found(score, judged_regions(model_map, box, area, answer.map_limit))


def score_of_judged(model_map: Map, judged: Mask) -> float:
    """The mean of the largest TOP_SHARE of the judged pixels, of one at least, in single precision."""
    inside = model_map[judged]
    if not inside.size:
        return 0.0
    count = max(int(TOP_SHARE * inside.size), 1)
    largest = np.sort(np.partition(inside, -count)[-count:])
    return float(np.float32(largest.astype(np.float64).mean()))


def judged_regions(model_map: Map, map_box: Box, area: JudgedArea | None, limit: float) -> tuple[Region, ...]:
    """Of the map, which speaks of `map_box`, in the frame's size, its judged pixels alone; without an area all."""
    if area is None:
        return regions_in_source(model_map, *map_box.size, limit, (map_box.left, map_box.top))
    box = box_over(model_map, *map_box.size, limit)
    if box is None:
        return ()
    values = enlarge(model_map, *map_box.size, box)
    left, top = map_box.left + box.left, map_box.top + box.top
    judged = area.mask_of_view(Box(left, top, left + box.width, top + box.height), *box.size)
    return find_regions(np.where(judged, values, np.float32(-np.inf)), limit, (left, top))


def judged_peak(model_map: Map, map_box: Box, area: JudgedArea) -> float:
    """The largest judged value of the map in the frame's size, of which little more is made than can be it; 0 where
    nothing is judged.
    """
    rows, columns = model_map.shape
    inside = np.where(area.mask_of_view(map_box, columns, rows), model_map, np.float32(-np.inf))
    row, column = divmod(int(inside.argmax()), columns)
    alone = np.zeros_like(model_map)
    alone[row, column] = 1
    bound, box = -np.inf, box_over(alone, *map_box.size, 0.5)
    if box is not None:
        bound = _largest(model_map, map_box, area, box)
    rest = box_over(model_map, *map_box.size, bound - _ROUNDING * float(np.abs(model_map).max()))
    largest = bound if rest is None else max(bound, _largest(model_map, map_box, area, rest))
    return largest if np.isfinite(largest) else 0.0


def _largest(model_map: Map, map_box: Box, area: JudgedArea, box: Box) -> float:
    """In that box of the map in the frame's size; minus infinity where nothing of it is judged."""
    left, top = map_box.left + box.left, map_box.top + box.top
    judged = area.mask_of_view(Box(left, top, left + box.width, top + box.height), *box.size)
    return float(enlarge(model_map, *map_box.size, box).max(where=judged, initial=-np.inf))
