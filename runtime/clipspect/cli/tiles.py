"""`--tile` and what belongs to it: how the commands that make recipes are told of tiles."""

from __future__ import annotations

import argparse
import dataclasses
import re
from typing import TYPE_CHECKING

from clipspect.base.errors import RecipeError

if TYPE_CHECKING:
    from clipspect.bundle.bundle import Bundle
    from clipspect.frame.tiling import Tiling
    from clipspect.recipes.recipe import Recipe

_PAIR = re.compile(r"(\d+) ?[x×] ?(\d+)")


def add_tiles(parser: argparse.ArgumentParser) -> None:
    """--tile, --tile-grid, --tile-overlap and --no-tiles."""
    from clipspect.frame.tiling import OVERLAP

    tiles = parser.add_argument_group(
        "tiles", "for frames that are much larger than the model's input: docs/large-frames.md"
    )
    tiles.add_argument(
        "--tile",
        metavar="WIDTH[xHEIGHT]",
        type=_size,
        help="see frames in tiles of so many of their pixels; without a height in the model's shape",
    )
    tiles.add_argument("--tile-grid", metavar="COLUMNSxROWS", type=_grid, help="or in so many, whatever their size")
    tiles.add_argument(
        "--tile-overlap",
        metavar="P",
        type=_overlap,
        help=f"of a tile's side that neighbours share at least, as {OVERLAP}%% (the default)",
    )

    tiles.add_argument(
        "--no-tiles",
        action="store_true",
        help="see frames as a whole, where --force replaces a recipe that sees them in tiles: these are kept otherwise",
    )


def tiling_of(args: argparse.Namespace, bundle: Bundle, old: Recipe | None) -> Tiling | None:
    """What is asked for, else that of the recipe that is replaced; None: frames are seen as a whole.

    Raises RecipeError.
    """
    from clipspect.frame.tiling import OVERLAP, Tiling

    size, grid, overlap = args.tile, args.tile_grid, args.tile_overlap
    if args.no_tiles and (size, grid, overlap) != (None, None, None):
        raise RecipeError("--no-tiles sees frames as a whole: leave it out, or --tile, --tile-grid and --tile-overlap")
    if size is None and grid is None:
        kept = None if old is None or args.no_tiles else old.tiling
        if overlap is None:
            return kept
        if kept is None:
            raise RecipeError("--tile-overlap without tiles: add --tile WIDTH or --tile-grid COLUMNSxROWS")
        return dataclasses.replace(kept, overlap=overlap)
    if size is not None and grid is not None:
        raise RecipeError("--tile and --tile-grid: give the size of a tile or their number, not both")
    if size is not None and size[1] is None:
        image = bundle.manifest.image
        size = size[0], max(1, round(size[0] * image.height / image.width))
    return Tiling(size, grid, OVERLAP if overlap is None else overlap)


def _size(text: str) -> tuple[int, int | None]:
    """ "960" or "960x640"."""
    return (int(text), None) if text.isdecimal() and int(text) else _pair(text, "960 or 960x640")


def _grid(text: str) -> tuple[int, int]:
    """ "6x4"."""
    return _pair(text, "6x4")


def _pair(text: str, example: str) -> tuple[int, int]:
    found = _PAIR.fullmatch(text.strip().lower())
    if found is None or not (int(found[1]) and int(found[2])):
        raise argparse.ArgumentTypeError(f"expected numbers from 1 as in {example}, found {text!r}")
    return int(found[1]), int(found[2])


def _overlap(text: str) -> int:
    """Whole per cent: "25%" or "25"."""
    from clipspect.frame.tiling import MOST_OVERLAP

    digits = text.strip().removesuffix("%").strip()
    if digits.isdecimal() and int(digits) <= MOST_OVERLAP:
        return int(digits)
    raise argparse.ArgumentTypeError(f"expected whole per cent from 0% to {MOST_OVERLAP}%, found {text!r}")
