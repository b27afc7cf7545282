"""Which windows a recipe uses: whether they are encoded on demand at all, and of given frames which ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipspect.base.errors import BackendError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.windows_graph import WindowsGraph
from clipspect.engines import CPU, engine_named
from clipspect.engines.graph import BOTH, PHOTOS
from clipspect.frame.prepare import Frame
from clipspect.frame.region_of_interest import RegionOfInterest
from clipspect.frame.spec import ImageSpec
from clipspect.frame.views import Box
from clipspect.inspection.window_layout import Bools, Layout, layout_of_graph
from clipspect.inspection.window_reuse import KeptWindows
from clipspect.recipes.on_demand import Reuse
from clipspect.recipes.recipe import Recipe

WORTH = 0.75  # of all windows' work: a region of interest that takes more is not worth another graph
_MOST_SIZES = 16  # of frames, for which it is kept which patches are judged


@dataclass(frozen=True, eq=False)
class WindowUse:
    """Of frames that go through the engine together."""

    frames: Sequence[Frame]
    region: RegionOfInterest | None
    memory: WindowMemory
    reuse: Reuse | None

    def needed(self, layout: Layout) -> Bools | None:
        """(N, rows, columns): the patches that the judged pixels read; None: all."""
        if self.region is None:
            return None
        return np.concatenate([self.memory.patches(frame, self.region, layout) for frame in self.frames])

    def kept(self, layout: Layout) -> KeptWindows | None:
        """What is known of earlier frames, where the recipe reuses it."""
        return None if self.reuse is None else self.memory.kept(layout, self.reuse)


class WindowMemory:
    """What one inspector keeps: for frames of a size the patches that its region of interest needs, and the frames'
    windows, for as long as its recipes reuse them. Whoever asks holds the engine.
    """

    def __init__(self) -> None:
        self._kept: KeptWindows | None = None
        self._of: tuple[RegionOfInterest, Layout] | None = None
        self._patches: dict[tuple[int, int], Bools] = {}  # by a frame's size: of that region and layout

    def of(self, frames: Sequence[Frame], recipe: Recipe) -> WindowUse:
        """For frames that the recipe scores; the caller holds the engine."""
        reuse = None if recipe.windows is None else recipe.windows.reuse
        if reuse is None:
            self._kept = None
        return WindowUse(frames, saving_region(recipe), self, reuse)

    def kept(self, layout: Layout, reuse: Reuse) -> KeptWindows:
        if self._kept is None or self._kept.reuse != reuse or self._kept.layout is not layout:
            self._kept = KeptWindows(layout, reuse)
        return self._kept

    def patches(self, frame: Frame, region: RegionOfInterest, layout: Layout) -> Bools:
        """As `patches_of`, which reads every pixel of the region's mask: once for all frames of a size."""
        if self._of is None or self._of[0] is not region or self._of[1] is not layout:
            self._of, self._patches = (region, layout), {}
        found = self._patches.get(frame.size)
        if found is None:
            if len(self._patches) >= _MOST_SIZES:
                self._patches.clear()
            found = self._patches[frame.size] = patches_of(frame, region, layout)
        return found


def wants_windows(bundle: Bundle, recipe: Recipe, backend: str | None, device: str, asked: bool | None) -> bool:
    """`asked`: always, never, or, None, where the recipe asks for it or its region of interest saves by it.

    Raises BackendError where it is asked for and cannot be.
    """
    if asked is False and recipe.windows is not None:
        raise BackendError(f"recipe {recipe.name!r} encodes windows on demand: leave windows=False out")
    if asked or recipe.windows is not None:
        _require_no_fault(bundle, recipe, backend, device)
        return True
    on_server = backend is not None and engine_named(backend).remote  # whose device is not known yet
    if asked is False or on_server or _fault(bundle, recipe, backend, device):
        return False
    return region_work(bundle, recipe) <= WORTH


def require_possible(bundle: Bundle, recipe: Recipe, backend: str, device: str) -> None:
    """Where windows are encoded on demand already: refuse a recipe that they cannot serve. Raises BackendError.

    One that photographs alone judge has a graph of its own, as long as it asks for no windows itself.
    """
    if recipe.judge != PHOTOS or recipe.windows is not None:
        _require_no_fault(bundle, recipe, backend, device)


def region_work(bundle: Bundle, recipe: Recipe) -> float:
    """The share of all windows' work that the recipe's region of interest takes with windows on demand, 1 without."""
    region, graph = saving_region(recipe), bundle.manifest.windows
    if region is None or graph is None or graph.multi_crop:
        return 1.0
    layout = layout_of_graph(graph, bundle.manifest.image)
    crop = Box(0, 0, *region.frame_size) if region.mode == "mask" else region.box(*region.frame_size)
    patches = judged_patches(region, layout, *region.frame_size, crop)
    return float(layout.share(layout.covering(patches))[0])


def saving_region(recipe: Recipe) -> RegionOfInterest | None:
    """The region of interest by which windows are left out. One that follows the part is known too late for that,
    tiles are seen as they are cut, and photographs alone are compared with no windows.
    """
    region = recipe.region_of_interest
    if region is None or region.alignment is not None or recipe.tiling is not None or recipe.judge == PHOTOS:
        return None
    return region


def patches_of(frame: Frame, region: RegionOfInterest, layout: Layout) -> Bools:
    """(1, rows, columns): the patches that a frame's judged pixels read."""
    return judged_patches(region, layout, *frame.size, frame.views[0].crop)


def judged_patches(region: RegionOfInterest, layout: Layout, width: int, height: int, crop: Box) -> Bools:
    """(1, rows, columns): the patches that a frame's judged pixels read where the model sees `crop` of it.

    A pixel of the frame is a mean of the model's pixels beside it, and such a pixel one of the patches beside it.
    """
    mask = region.mask(width, height)[crop.top : crop.bottom, crop.left : crop.right]
    pixels = _reached(_reached(mask, len(layout.down)).T, len(layout.across)).T
    return layout.patches_under(pixels[None])


def _reached(mask: Bools, length: int) -> Bools:
    """(h, w) to (length, w): the rows of a picture of that height that rows of the mask are made of."""
    height = len(mask)
    if height >= length:
        found = np.logical_or.reduceat(mask, np.arange(length) * height // length, axis=0)
        reach = int(height > length)  # a row between two of them reads both
    else:
        found = mask[(2 * np.arange(length) + 1) * height // (2 * length)]
        reach = 1 + -(-length // height)
    wide = np.pad(found, ((reach, reach), (0, 0)))
    shifted: Bools = np.logical_or.reduce([wide[at : at + length] for at in range(2 * reach + 1)])
    return shifted


def _require_no_fault(bundle: Bundle, recipe: Recipe, backend: str | None, device: str) -> None:
    if why_not := _fault(bundle, recipe, backend, device):
        raise BackendError(f"recipe {recipe.name!r}: windows on demand: {why_not}")


def _fault(bundle: Bundle, recipe: Recipe, backend: str | None, device: str) -> str:
    """Why there are none; empty where there are."""
    graph = bundle.manifest.windows
    if recipe.judge == PHOTOS:
        return "photos alone judge it, in one pass over the whole image: judge by words or both"
    if graph is None:
        return f"{bundle.path} has no graph for that: export it with --windows"
    if recipe.judge == BOTH and not graph.compares:
        return f"that graph of {bundle.path} compares with no references: export it with --few-shot --windows"
    if device != CPU or (backend is not None and engine_named(backend).compiled):
        found = f"{backend or 'an engine'} on {device}"
        return f"they need an engine on the CPU, found {found}: take onnxruntime or openvino on the device cpu"
    return _plan_fault(recipe, graph, bundle.manifest.image)


def _plan_fault(recipe: Recipe, graph: WindowsGraph, image: ImageSpec) -> str:
    plan = recipe.windows
    if plan is None:
        return ""
    if plan.reuse is not None and recipe.tiling is not None:
        return "what is reused is of whole frames, and this recipe sees tiles: leave one of the two out"
    if plan.cascade is None:
        return ""
    if graph.multi_crop:
        return "a cascade leaves windows out, and the score of this bundle reads all of them: leave --multi-crop out"
    if graph.stride != 1 or plan.cascade.stride > min(graph.scales):
        return (
            f"a cascade of stride {plan.cascade.stride} over windows of {min(graph.scales)} patches, {graph.stride} "
            "apart: it needs windows 1 apart and a stride of at most the smallest scale"
        )
    return ""
