"""A method's own trained weights, from the file that its official code writes: a section of named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from clipspect.base.errors import ExportError
from clipspect.base.files import sha256_of
from clipspect_export.methods.registry import METHODS, read_method
from clipspect_export.towers.weights import read_torch_file


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of one section, and the file that they came from."""

    path: Path
    tensors: dict[str, Tensor]  # floating point as float32
    sha256: str  # of the file

    @property
    def described(self) -> dict[str, str]:
        """For the manifest and recipes."""
        return {"name": self.path.name, "sha256": self.sha256}

    def take(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """The tensor of that name, which must have that shape. Raises ExportError."""
        if name not in self.tensors:
            raise ExportError(f"{self.path}: {name} is missing; expected it with the shape {shape}")
        value = self.tensors[name]
        if tuple(value.shape) != shape:
            raise ExportError(f"{self.path}: {name} has the shape {tuple(value.shape)}, expected {shape}")
        return value


def read_checkpoint(path: str | Path | None, method: str) -> Checkpoint:
    """The method's section of a checkpoint; nothing in the file is executed. Raises ExportError."""
    section = read_method(method).checkpoint_section
    if path is None or section is None:
        raise AssertionError(f"{method} takes no checkpoint, or its options were not checked")
    path = Path(path)
    if not path.is_file():
        raise ExportError(f"{path}: no such checkpoint file")
    content = read_torch_file(path)
    if not isinstance(content, Mapping) or not isinstance(content.get(section), Mapping):
        raise ExportError(f"{path}: {_found(content)}; expected {method}'s, with the section {section!r}")
    tensors: dict[str, Tensor] = {}
    for name, value in content[section].items():
        if not isinstance(value, Tensor):
            raise ExportError(f"{path}: {section}.{name} is a {type(value).__name__}, expected tensors")
        if not torch.isfinite(value).all():
            raise ExportError(f"{path}: {section}.{name} holds NaN or infinity: the file is damaged, fetch it again")
        tensors[str(name)] = value.to(torch.float32).contiguous() if value.is_floating_point() else value
    return Checkpoint(path, tensors, sha256_of(path))


def _found(content: object) -> str:
    if not isinstance(content, Mapping):
        return f"found a {type(content).__name__}"
    for method in METHODS:
        if read_method(method).checkpoint_section in content:
            return f"found a checkpoint of {method}"
    return f"found {', '.join(repr(str(key)) for key in list(content)[:3]) or 'nothing'}, no method's checkpoint"
