"""WinCLIP's graph of windows on demand, as the manifest describes it: it encodes the windows that it is given."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod

from clipspect.base.document import MismatchError
from clipspect.bundle.inspection_graph import Parity
from clipspect.engines.graph import (
    CHOSEN_WINDOWS,
    FEATURES,
    IMAGE,
    IMAGE_EMBEDDING,
    WINDOW_EMBEDDINGS,
    Graph,
    TensorSpec,
)
from clipspect.frame.spec import ImageSpec

HARMONIC, ARITHMETIC, MAX = "harmonic", "arithmetic", "max"  # how the maps of the scales become one
PATCHES = "patches"  # the name of the gallery of the full images' patches
FEATURES_OF_PATCHES = FEATURES + PATCHES
_MOST_PATCHES = 1 << 10  # on a side; more is a damaged number
_MOST_TOKENS = 1 << 22  # of all windows: WinCLIP has 4,000 at 240 pixels, with three scales 48,000 at 518


@dataclass(frozen=True)
class WindowsGraph(Graph):
    """Takes `image` and of each scale the tokens of the windows to encode, `windows_*`, int64 (M, 1 + scale ** 2).

    Tokens are counted over the batch: image n's class token is n * (1 + patches), its patches follow row by row. It
    answers `image_embedding`, of each scale `embeddings_*` (M, D), and where the bundle compares with references
    `features_patches` (N, patches, width): rows of length 1. Score and map are made of them as the other fields say.
    """

    grid: tuple[int, int]  # rows and columns of patches
    scales: tuple[int, ...]  # sides of the windows in patches
    stride: int  # patches from one window to the next; the last of a row always stands at the edge
    fusion: str  # over the scales: "harmonic", "arithmetic" or "max"
    multi_crop: bool  # whether the score reads the windows' embeddings, too
    temperature: float  # of the softmax over the two states
    parity: Parity

    @property
    def patches(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def tokens(self) -> int:
        """Of all windows of an image."""
        return sum(window_count(self.grid, scale, self.stride) * (1 + scale**2) for scale in self.scales)

    @property
    def compares(self) -> bool:
        """Whether it answers what references are compared with."""
        return FEATURES_OF_PATCHES in self.outputs


def window_starts(side: int, scale: int, stride: int) -> list[int]:
    """The first patch of each window of a row of `side` patches."""
    starts = list(range(0, side - scale + 1, stride))
    return starts if starts[-1] == side - scale else [*starts, side - scale]


def window_count(grid: tuple[int, int], scale: int, stride: int) -> int:
    """Of one scale, on a grid of rows and columns of patches."""
    return prod(len(window_starts(side, scale, stride)) for side in grid)


def require_windows(graph: WindowsGraph, image: ImageSpec, text_dim: int | None) -> None:
    """Refuse a graph that is none of windows on demand. Raises MismatchError."""
    where = "graphs: windows"
    if text_dim is None:
        raise MismatchError(f"{where}: reads words, and the manifest says nothing of text")
    sides = zip(graph.grid, (image.height, image.width))
    if not all(1 <= patches <= _MOST_PATCHES and side % patches == 0 for patches, side in sides):
        raise MismatchError(f"{where}: a grid of {graph.grid[0]} x {graph.grid[1]} patches cannot be this image's")
    scales = graph.scales
    if not scales or not all(one < other for one, other in pairwise(sorted(scales))):
        raise MismatchError(f"{where}: scales: expected different sides of windows, found {list(scales)}")
    if not 1 <= min(scales) <= max(scales) <= min(graph.grid):
        raise MismatchError(f"{where}: scales: windows of {list(scales)} patches do not fit the grid")
    if not 1 <= graph.stride <= min(scales):
        raise MismatchError(f"{where}: stride: {graph.stride} leaves patches without a window")
    if (tokens := graph.tokens) > _MOST_TOKENS:
        raise MismatchError(f"{where}: its windows have {tokens:,} tokens, at most {_MOST_TOKENS:,} are taken")
    if graph.fusion not in (HARMONIC, ARITHMETIC, MAX):
        raise MismatchError(f"{where}: fusion {graph.fusion!r} is not known to this clipspect")
    if not graph.temperature > 0:
        raise MismatchError(f"{where}: temperature: {graph.temperature} is not above 0")
    takes = {IMAGE: TensorSpec("uint8", ("N", image.height, image.width, 3))}
    takes |= {f"{CHOSEN_WINDOWS}{scale}": TensorSpec("int64", (f"M_{scale}", 1 + scale**2)) for scale in scales}
    answers = {IMAGE_EMBEDDING: TensorSpec("float32", ("N", text_dim))}
    answers |= {f"{WINDOW_EMBEDDINGS}{scale}": TensorSpec("float32", (f"M_{scale}", text_dim)) for scale in scales}
    if graph.compares:
        width = graph.outputs[FEATURES_OF_PATCHES].shape[-1]
        answers[FEATURES_OF_PATCHES] = TensorSpec("float32", ("N", graph.patches, width))
    for verb, found, expected in (("takes", graph.inputs, takes), ("answers", graph.outputs, answers)):
        if found != expected:
            raise MismatchError(f"{where}: {verb} {_listed(found)}, expected {_listed(expected)}")


def _listed(tensors: dict[str, TensorSpec]) -> str:
    words = [f"{name} ({spec.dtype} {spec.shape})" for name, spec in sorted(tensors.items())]
    return ", ".join(words) or "nothing"
