"""Pictures for the reports: the few that matter, kept while many frames go by, and drawn when the limits are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from clipspect.base.errors import ImageError
from clipspect.frame.decode import as_image
from clipspect.inspection.outcome import Outcome
from clipspect.sinks.overlay import WIDE, blend, fitting, shrunk
from clipspect.sinks.overlay_colours import HeatScale
from clipspect.sinks.overlay_region import draw_judged
from clipspect.sinks.report_page import Html, escape, picture

LONGEST = 320  # pixels of a kept picture's longer side


@dataclass(frozen=True, eq=False)
class ReportPicture:
    """A frame as a report shows it: small, with its anomaly map in the same size."""

    name: str  # of the part, as PartScore has it
    score: float
    image: Image.Image = field(repr=False)  # RGB
    anomaly_map: npt.NDArray[np.float32] = field(repr=False)  # (H, W) of the image

    @classmethod
    def of(cls, outcome: Outcome, name: str | None = None) -> ReportPicture:
        """Of an outcome that kept its picture; the item's name unless another is given. Raises ImageError."""
        result = outcome.require()
        if outcome.frame is None or outcome.frame.picture is None:
            raise ImageError(f"{outcome.item.name}: its picture was not kept: stream(..., keep_pictures=True)")
        image = as_image(outcome.frame.picture)
        small = draw_judged(shrunk(image, fitting(image.size, LONGEST)), result.area)
        return cls(name or outcome.item.name, result.score, small, result.map_in(*small.size))


class WorstPictures:
    """Keeps the pictures of the parts with the highest scores, at most `count`, whatever goes by.

        worst = WorstPictures()
        for outcome in inspector.stream(items, keep_pictures=True):
            worst.take(outcome, part)
        write_report(path, recipe, worst.pictures)

    Of several frames of one part the one with the highest score counts. With `lowest` the parts with the lowest scores
    are kept: defective ones that are nearest to pass; there a part that made room does not come back when a later frame
    of the other turns out higher. A picture takes half a megabyte.
    """

    def __init__(self, count: int = 10, *, lowest: bool = False) -> None:
        self._count, self._lowest = count, lowest
        self._scores: dict[str, float] = {}  # the highest of each part
        self._kept: dict[str, ReportPicture] = {}

    def take(self, outcome: Outcome, part: str | None = None) -> None:
        """An outcome with a result, and the part that it shows; without one, every frame is a part.

        Raises ImageError where the picture was not kept, or the frame could not be read.
        """
        score, name = outcome.require().score, part or outcome.item.name
        known = self._scores.get(name)
        if known is not None and score <= known:
            return
        self._scores[name] = score
        if name not in self._kept and not self._has_room(score, seen=known is not None):
            return
        self._kept[name] = ReportPicture.of(outcome, name)

    def _has_room(self, score: float, *, seen: bool) -> bool:
        """Whether a part of that score belongs here; what it takes the place of is let go."""
        if seen and self._lowest:
            return False
        if len(self._kept) < self._count:
            return True
        last = min(self._kept.values(), key=self._rank)
        if (-score if self._lowest else score) <= self._rank(last):
            return False
        del self._kept[last.name]
        return True

    @property
    def pictures(self) -> list[ReportPicture]:
        """The worst first."""
        return sorted(self._kept.values(), key=self._rank, reverse=True)

    def _rank(self, kept: ReportPicture) -> float:
        return -kept.score if self._lowest else kept.score


def pair(shown: ReportPicture, scale: HeatScale) -> Html:
    """The picture and its heat, side by side."""
    heat = blend(shown.image, shown.anomaly_map, scale)
    return pair_of(shown.image, heat, shown.name)


def pair_of(image: Image.Image, heat: Image.Image, name: str) -> Html:
    """Two images of one size side by side; of wide ones the second below the first."""
    wide = " wide" if image.width >= WIDE * image.height else ""
    return Html(f'<div class="pair{wide}">{picture(image, name)}{picture(heat, f"heat of {name}")}</div>')


def card(pictures: Html, lines: Sequence[str]) -> Html:
    """Pictures with what is to be said of them, a line each; lines that are HTML stay as they are."""
    caption = "".join(line if isinstance(line, Html) else f'<div class="line">{escape(line)}</div>' for line in lines)
    return Html(f'<figure class="card">{pictures}<figcaption>{caption}</figcaption></figure>')


def gallery(cards: list[Html]) -> Html:
    """Cards in as many columns as fit."""
    return Html('<div class="gallery">\n' + "\n".join(cards) + "\n</div>")
