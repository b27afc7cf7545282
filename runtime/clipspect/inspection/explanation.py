"""Why a region was raised: what a person can look at and check. Part of results and records where it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect.recipes.state_features import State


@dataclass(frozen=True)
class Place:
    """A rectangle of pixels, of the frame or of a reference photograph."""

    x: int  # left and top
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class WindowReason:
    """A window of WinCLIP that raised a region."""

    scale: int  # patches a side
    place: Place  # in the frame
    probability: float  # that it shows the anomalous state, by the recipe's words
    raises: float  # by so much the map's mean in the region would be lower, if the window were as its scale's median


@dataclass(frozen=True)
class StateReason:
    """Words that the window that raised a region most looks like."""

    state: State
    words: str
    cosine: float


@dataclass(frozen=True)
class ReferencePatch:
    """A patch of a photograph that the recipe was made of."""

    photograph: str  # the file's name, without its folder
    number: int  # of the photograph, from 0
    place: Place | None  # in the photograph; None: an older recipe, thinned, that did not keep it
    turned: int  # degrees that the photograph was turned by; the place is in the turned one
    distance: float | None  # of the frame's patch from it, 1 - cosine, the mean over the galleries; None: not kept


@dataclass(frozen=True)
class ReferenceReason:
    """The region's hottest patch beside the references."""

    patch: Place  # the hottest one, in the frame
    nearest: ReferencePatch  # what it is closest to, anywhere
    counterpart: ReferencePatch | None  # what is at its place, by its surroundings; None: too little was kept
    usual: float | None  # distance of good parts' patches from their nearest; None: nobody measured it


@dataclass(frozen=True)
class RegionReason:
    """Of one region: the most raising windows, the closest words of each state, and the closest reference."""

    region: int  # its place in the regions of the result, from 0
    share: float  # of all that the map has over its limit, 0 to 1
    windows: tuple[WindowReason, ...] = ()
    states: tuple[StateReason, ...] = ()
    reference: ReferenceReason | None = None


@dataclass(frozen=True)
class LotRank:
    """The place of an image in its lot."""

    rank: int  # from 1, the most anomalous
    images: int


@dataclass(frozen=True)
class Explanation:
    """The reasons of the worst regions, and what could not be told."""

    regions: tuple[RegionReason, ...] = ()
    notes: tuple[str, ...] = ()
    lot: LotRank | None = None  # of an image that was judged against its lot
