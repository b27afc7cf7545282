"""`clipspect roi`: what of a frame a recipe judges; written into the recipe, and drawn on a photograph."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipspect.base.errors import ClipspectError, RecipeError
from clipspect.cli.arguments import add_bundle, add_engine, engine_options, open_bundle

if TYPE_CHECKING:
    from clipspect.bundle.bundle import Bundle
    from clipspect.cli.roi_areas import GivenAreas
    from clipspect.frame.alignment import Alignment
    from clipspect.frame.region_of_interest import RegionOfInterest
    from clipspect.frame.spec import ImageSpec
    from clipspect.recipes.recipe import Recipe

_DESCRIPTION = """Set what of a frame is judged: polygons, "x,y x,y x,y" in pixels of the frame (0,0 is its upper left
corner), or black and white images of its size, white where it is judged; all of them together. A polygon that crosses
itself is filled by the even-odd rule: what it goes around twice is outside. Limits of a recipe whose region changes are
dropped: calibrate again. Without areas and options the region is shown. docs/regions-of-interest.md says what is
judged, and how."""

WIDTH = 16
_LONGEST = 1600  # pixels of the picture that is drawn


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("roi", help="set what of a frame a recipe judges", description=_DESCRIPTION)
    add_bundle(parser)
    parser.add_argument("recipe", metavar="RECIPE", help="recipe of the bundle, or the path of a recipe's file")
    parser.add_argument("areas", metavar="MASK|POLYGON", nargs="*", help="what is judged (default: the whole frame)")
    parser.add_argument(
        "--ignore", metavar="MASK|POLYGON", nargs="+", action="extend", default=[], help="what of it is not judged"
    )
    parser.add_argument(
        "--mode",
        choices=("mask", "crop"),
        help="mask: the model sees the whole frame, and the rest of it is not judged; crop: it sees the smallest "
        "rectangle around the region alone, larger (default: mask)",
    )
    parser.add_argument(
        "--photo", metavar="FILE", type=Path, help="a frame as it will be inspected, to draw on and to align with"
    )
    parser.add_argument(
        "--align",
        metavar="REACH",
        type=_reach,
        help="parts shift by up to so many pixels, or percent of the frame, as 40 or 5%%: the region follows what it "
        "shows on --photo, and a part that lies farther off, or is not found, is invalid",
    )
    parser.add_argument("--clear", action="store_true", help="judge the whole frame again")
    parser.add_argument("--show", action="store_true", help="show the region, and change nothing")
    parser.add_argument("--out", metavar="FILE.png", type=Path, help="draw the region on --photo")
    parser.add_argument(
        "--references",
        metavar="PATH",
        nargs="+",
        default=[],
        help="for a recipe of photographs: these again, seen as frames will be, as --mode crop and other tiles need",
    )
    add_engine(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(args: argparse.Namespace) -> int:
    from clipspect.cli.recipe_place import own_place
    from clipspect.cli.roi_areas import read_areas
    from clipspect.recipes.recipe import write_recipe
    from clipspect.recipes.shelf import open_recipe, recipe_path

    bundle = open_bundle(args)
    changes = _asked_to_change(args)
    if changes:
        path = own_place(args, bundle, recipe_path(bundle, args.recipe))
    old = open_recipe(bundle, args.recipe)
    recipe, notes = old, []
    if changes:
        judged, ignored = read_areas(args.areas), read_areas(args.ignore)
        region = None if args.clear else _region(args, bundle, old, judged, ignored)
        recipe = _changed(args, bundle, old, region)
        notes = _notes(args, judged, ignored, old, recipe)
    if args.out is not None:
        _draw(args, recipe.region_of_interest)
    if changes:
        write_recipe(path, recipe)
    print(json.dumps(_document(recipe), indent=2) if args.json else _page(bundle, recipe, notes, args.out))
    return 0


def _asked_to_change(args: argparse.Namespace) -> bool:
    """Whether the recipe is to be written. Raises RecipeError for options that say two things."""
    drawing = {"an area": args.areas, "--ignore": args.ignore, "--mode": args.mode, "--align": args.align}
    given = [name for name, value in {**drawing, "--references": args.references}.items() if value]
    if args.clear and args.show:
        raise RecipeError("--clear changes the recipe and --show does not: leave one out")
    for option in ("clear", "show"):
        if getattr(args, option) and [name for name in given if name != "--references"]:
            raise RecipeError(f"--{option} takes no region: leave out {given[0]}")
    if given and not (args.areas or args.ignore or args.clear):
        raise RecipeError(f"{given[0]} belongs to a region: give its polygons or masks again, or --ignore")
    if args.align is not None and args.photo is None:
        raise RecipeError("--align needs the frame that parts are compared with: give it with --photo FILE")
    if args.out is not None and args.photo is None:
        raise RecipeError("--out draws on a photograph: give one with --photo FILE")
    return args.clear or bool(given)


def _region(
    args: argparse.Namespace, bundle: Bundle, recipe: Recipe, judged: GivenAreas, ignored: GivenAreas
) -> RegionOfInterest:
    """What was given as one region, which has a judged pixel. Raises RecipeError, ImageError."""
    from clipspect.frame.region_of_interest import CROP, MASK, RegionOfInterest
    from clipspect.frame.views import Box

    spec = bundle.manifest.image
    size = _frame_size(args.photo, {**judged.sizes, **ignored.sizes}, recipe)
    region = RegionOfInterest(size, judged.area(), ignored.area(), CROP if args.mode == CROP else MASK)
    if not region.drawn.any():
        what = "all of it is ignored" if ignored.area() else "the polygons hold no pixel"
        raise RecipeError(f"the region of interest is empty, {what}: draw it larger")
    box = region.box(*size) if region.mode == CROP else Box(0, 0, *size)
    if not region.mask_of_view(box, size, (spec.width, spec.height)).any():
        other = ": choose --mode crop, or draw it larger" if region.mode == MASK else ": draw it larger"
        raise RecipeError(f"no pixel of the model's {spec.width} x {spec.height} lies in the region{other}")
    if args.align is not None:
        region = dataclasses.replace(region, alignment=_alignment(args, spec, region))
    return region


def _frame_size(photo: Path | None, masks: dict[str, tuple[int, int]], recipe: Recipe) -> tuple[int, int]:
    """Of the frame that the areas are drawn on: the photograph's, the masks', or the one that the recipe knows."""
    from clipspect.frame.decode import read, size_of
    from clipspect.recipes.references import reference_sizes

    sizes = dict(masks)
    if photo is not None:
        sizes = {str(photo): size_of(read(photo)), **sizes}
    if not sizes:
        known = reference_sizes(recipe.references) if recipe.calibration is None else recipe.calibration.frame_sizes
        if recipe.region_of_interest is not None:
            known = (recipe.region_of_interest.frame_size,)
        if len(known) != 1:
            raise RecipeError(
                "polygons are in pixels of a frame whose size is not known here: give such a frame with --photo FILE"
            )
        return known[0]
    (first, size), *others = sizes.items()
    for name, other in others:
        if other != size:
            raise RecipeError(
                f"{name} is {other[0]} x {other[1]}, {first} is {size[0]} x {size[1]}: all must have the frame's size"
            )
    return size


def _alignment(args: argparse.Namespace, spec: ImageSpec, region: RegionOfInterest) -> Alignment:
    """With the photograph, which must find itself. Raises RecipeError."""
    from clipspect.frame.alignment import alignment_to, cell_side
    from clipspect.frame.judged_area import judged_area
    from clipspect.frame.prepare import prepare
    from clipspect.frame.views import Box

    frame, (width, height), step = prepare(args.photo, spec), region.frame_size, cell_side(spec.width, spec.height)
    pixels = args.align(width), args.align(height)
    if max(pixels) > max(width, height) / 2:
        raise RecipeError(
            f"--align: parts cannot lie {max(pixels):.6g} pixels off in a frame of {width} x {height}: "
            "give half of its longer side at most"
        )
    reach = int(pixels[0] * spec.width / (width * step)), int(pixels[1] * spec.height / (height * step))
    if max(reach) < 1:
        raise RecipeError(
            f"--align: the model sees cells of {width * step / spec.width:.3g} x {height * step / spec.height:.3g} "
            "pixels, and a smaller shift is none: give a larger reach, or leave it out"
        )
    alignment = alignment_to(frame.pixels[0], reach)
    aligned = dataclasses.replace(region, alignment=alignment)
    if fault := judged_area(aligned, region.frame_size, Box(0, 0, width, height), frame.pixels[0]).fault:
        raise RecipeError(
            f"--align: {args.photo} does not find itself: {fault}: draw the region around something unlike"
        )
    return alignment


def _changed(args: argparse.Namespace, bundle: Bundle, old: Recipe, region: RegionOfInterest | None) -> Recipe:
    """The recipe with the region, and with its photographs seen in it where they are given."""
    from clipspect.recipes.region import with_region

    if not args.references:
        return with_region(old, region)
    from clipspect.cli.progress import ProgressBar
    from clipspect.recipes.make import with_photographs_in
    from clipspect.sources.files import find_images

    paths = find_images(args.references)
    with ProgressBar() as bar:
        return with_photographs_in(
            bundle, old, region, paths, backend=args.backend, progress=bar, **engine_options(args)
        )


def _notes(args: argparse.Namespace, judged: GivenAreas, ignored: GivenAreas, old: Recipe, recipe: Recipe) -> list[str]:
    """What a person should know of what was done."""
    from clipspect.cli.roi_areas import crosses_itself

    crossing = [polygon for areas in (judged, ignored) for polygon in areas.polygons if crosses_itself(polygon)]
    notes = [
        f"the polygon from {x},{y} crosses itself: what it goes around twice is outside (even-odd rule)"
        for (x, y), *_ in crossing
    ]
    if old.limits is not None and recipe.limits is None:
        notes.append(
            "limits: dropped, they spoke of what was judged before; frames are unjudged until: "
            f"clipspect calibrate {shlex.quote(args.bundle)} {shlex.quote(args.recipe)} --good FOLDER"
        )
    return notes


def _draw(args: argparse.Namespace, region: RegionOfInterest | None) -> None:
    from clipspect.frame.decode import decode
    from clipspect.sinks.overlay import fitting, shrunk
    from clipspect.sinks.overlay_region import draw_region

    picture = decode(args.photo)
    if region is None:
        raise RecipeError("the recipe judges the whole frame: there is no region to draw, leave --out out")
    if not region.fits(*picture.size):
        raise RecipeError(
            f"{args.photo} is {picture.width} x {picture.height}, the region was drawn on {region.frame_size[0]} x "
            f"{region.frame_size[1]}: give a photograph of that aspect"
        )
    if args.out.suffix.lower() != ".png":
        raise ClipspectError(f"--out {args.out}: the picture is a PNG: give a name that ends in .png")
    drawn = draw_region(shrunk(picture, fitting(picture.size, min(max(picture.size), _LONGEST))), region)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    drawn.save(args.out)


def _page(bundle: Bundle, recipe: Recipe, notes: list[str], drawn: Path | None) -> str:
    from clipspect.cli.limit_words import limit_rows
    from clipspect.recipes.region import region_rows

    spec = bundle.manifest.image
    rows = [("recipe", recipe.name), *region_rows(recipe.region_of_interest, (spec.width, spec.height))]
    rows += [*saving_rows(bundle, recipe), *limit_rows(recipe)]
    if drawn is not None:
        rows.append(("drawn", str(drawn)))
    return "\n".join([*(f"{name:{WIDTH}}{value}" for name, value in rows), *notes])


def saving_rows(bundle: Bundle, recipe: Recipe) -> list[tuple[str, str]]:
    """What the region saves of the model's work, where windows are encoded on demand."""
    from clipspect.inspection.window_use import WORTH, region_work, saving_region

    if bundle.manifest.windows is None or saving_region(recipe) is None:
        return []
    work = region_work(bundle, recipe)
    if work > WORTH:
        return [("work", f"all windows are encoded: the region alone would take {work:.0%}")]
    return [("work", f"{work:.0%} of all windows' on a CPU, for windows outside are not encoded")]


def _document(recipe: Recipe) -> dict[str, Any]:
    region = recipe.region_of_interest
    return {
        "recipe": recipe.name,
        "region_of_interest": recipe.document().get("region_of_interest"),
        "judged_share": 1.0 if region is None else float(region.drawn.mean()),
        "limits": recipe.document()["limits"],
    }


class _Reach:
    """How far parts shift: pixels, or a share of the frame's side."""

    def __init__(self, value: float, share: bool) -> None:
        self.value, self.share = value, share

    def __call__(self, side: int) -> float:
        return self.value * side if self.share else self.value


def _reach(text: str) -> _Reach:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", text.strip())
    if found is None or not float(found[1]) > 0 or (found[2] and float(found[1]) > 50):
        raise argparse.ArgumentTypeError(f"expected pixels or up to 50%, as 40 or 5%, found {text!r}")
    return _Reach(float(found[1]) / (100 if found[2] else 1), bool(found[2]))
