"""The bundle's check images: photographs, and what the torch reference answered to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import BundleError
from clipspect.bundle.bundle import Bundle
from clipspect.engines.graph import ANOMALY_MAP, BOTH, IMAGE, IMAGE_EMBEDDING, PHOTOS, REFERENCE, SCORE, WORDS

IMAGES, REFERENCES = "images", "references"  # tensors of the check, the latter with a prefix
PREFIXES = {WORDS: "", BOTH: "fewshot_", PHOTOS: "memory_"}  # of what a role's graph answers, in the check's file

Tensors = dict[str, npt.NDArray[Any]]


def read_check(bundle: Bundle) -> Tensors:
    """The check's tensors, complete and of the right shapes. Raises BundleError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    manifest = bundle.manifest
    if manifest.check is None:
        raise BundleError(f"{bundle.path}: the bundle has no check images, it is an old one: export it again")
    path = bundle.path / manifest.check
    try:
        check: Tensors = {name: value.copy() for name, value in load_file(path).items()}  # its own are read-only
        sides = manifest.image.height, manifest.image.width
        if scalars := [name for name, value in check.items() if value.ndim == 0]:
            raise KeyError(f"{scalars[0]} is a single number")
        if check[IMAGES].dtype != np.uint8:
            raise KeyError(f"{IMAGES} are {check[IMAGES].dtype}, not uint8")
        count = len(check[IMAGES])
        shapes: dict[str, tuple[int, ...]] = {IMAGES: (count, *sides, 3)}
        for role, graph in manifest.graphs.items():
            prefix = PREFIXES[role]
            shapes |= {prefix + SCORE: (count,), prefix + ANOMALY_MAP: (count, *sides)}
            if IMAGE_EMBEDDING in graph.outputs:
                dim = graph.outputs[IMAGE_EMBEDDING].shape[-1]
                shapes[prefix + IMAGE_EMBEDDING] = (count, dim if isinstance(dim, int) else -1)
            if graph.galleries:
                shapes[prefix + REFERENCES] = (len(check[prefix + REFERENCES]), *sides, 3)
            for name in graph.inputs.keys() - {IMAGE} - {REFERENCE + gallery for gallery in graph.galleries}:
                free = check[name].shape  # of as many prompts as there are
                shape = graph.inputs[name].shape
                fixed = tuple(own if isinstance(own, int) else there for own, there in zip(shape, free))
                shapes[name] = fixed if len(shape) == len(free) else ()
        wrong = [name for name, shape in shapes.items() if check[name].shape != shape or 0 in shape]
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise BundleError(f"{path}: not readable check images ({error}): export the bundle again") from error
    if wrong:
        raise BundleError(f"{path}: {wrong[0]} has the shape {check[wrong[0]].shape}: export the bundle again")
    return check
