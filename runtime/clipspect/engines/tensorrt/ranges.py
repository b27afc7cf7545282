"""Which shapes an engine is built for: the lengths of the graph's dynamic dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clipspect.base.errors import BackendError
from clipspect.engines.graph import FEATURES, IMAGE, PROMPTS_AT_ONCE, REFERENCE, TEXT_FEATURES, TOKENS, Graph
from clipspect.engines.tensorrt.manifest import Range, Ranges

Shapes = Mapping[str, tuple[int, ...]]  # of the tensors of a recipe

USUAL_REFERENCES = 4  # photos that few-shot recipes are mostly made of


@dataclass(frozen=True)
class Sizes:
    """The most that an engine is asked to take; the least is always one."""

    batch: int = 1  # images in a run; what the engine is fastest at, too
    prompts: int = 1024  # of a state
    references: int = 16  # photos whose rows a gallery holds
    tokens: int = 77  # of a prompt, in the text encoder: the context length of CLIP


def ranges_of(graph: Graph, sizes: Sizes, used: Sequence[Shapes] = ()) -> Ranges:
    """The shapes of every input. The engine is built to be fastest for the largest of those that are `used` by recipes.

    Raises BackendError for a dynamic dimension that no graph of a bundle has.
    """
    inputs = {}
    for name, spec in graph.inputs.items():
        ends = [
            _ends(name, axis, graph, sizes, used) if isinstance(side, str) else (side,) * 3
            for axis, side in enumerate(spec.shape)
        ]
        inputs[name] = Range(*(tuple(end[place] for end in ends) for place in range(3)))
    return inputs


def _ends(name: str, axis: int, graph: Graph, sizes: Sizes, used: Sequence[Shapes]) -> tuple[int, int, int]:
    """Least, best and most of one dynamic dimension."""
    longest = max((shapes[name][axis] for shapes in used if name in shapes), default=0)
    if name == IMAGE:
        return 1, sizes.batch, sizes.batch
    if name == TEXT_FEATURES:
        return 1, longest or 1, max(longest, sizes.prompts)
    if name.startswith(REFERENCE):
        rows = int(graph.outputs[FEATURES + name.removeprefix(REFERENCE)].shape[1])  # of a photo
        return 1, longest or rows * min(USUAL_REFERENCES, sizes.references), max(longest, rows * sizes.references)
    if name == TOKENS:
        most = (PROMPTS_AT_ONCE, sizes.tokens)[axis]
        return 1, most, most
    raise BackendError(f"{graph.file}: the length of {name} in dimension {axis} is not known: export the bundle again")
