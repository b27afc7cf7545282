"""DINOv2's weights, under facebookresearch's names or timm's, as the tensors of `Dino` at the size that is read.

The files differ in names, and in the class token: where there are registers, timm's has its position added already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from clipspect.base.errors import ExportError
from clipspect.base.files import sha256_of
from clipspect_export.towers.dino_config import CONFIGS, DinoConfig
from clipspect_export.towers.hub import fetch_weights
from clipspect_export.towers.weights import FILE_SUFFIXES, read_state_dict

TAG = "lvd142m"  # of all of timm's DINOv2 weights: the pictures that they were trained on
OFFSET = 0.1  # that the official code adds to the grid's sides before it takes a scale factor of them

_UNUSED = {"mask_token"}  # of training alone
_NAMES = {"reg_token": "register_tokens"}  # timm's, and facebookresearch's
_BLOCK = re.compile(r"blocks\.(\d+)\.")


@dataclass(frozen=True)
class DinoWeights:
    """The parameters of the tower, and where they came from."""

    tensors: dict[str, Tensor]  # float32; `positions` and `class_token` as `Dino` has them
    source: str  # "tag" or "file"
    name: str
    sha256: str  # of the file that was read


def load_dino(weights: str | Path, config: DinoConfig) -> DinoWeights:
    """The weights of a file or of timm's tag. Raises ExportError for another architecture's."""
    path, source, name = Path(weights), "file", Path(weights).name
    if not (isinstance(weights, Path) or path.suffix in FILE_SUFFIXES or path.is_file()):
        if weights != TAG or config.name not in CONFIGS:
            raise ExportError(f"{weights!r} is no file and no tag of {config.name}; its tag: {TAG}")
        path, source, name = fetch_weights({"hf_hub": hub_file(config.name)}, config.name, TAG), "tag", TAG
    if not path.is_file():
        raise ExportError(f"{path}: no such weights file")
    tensors = _canonical(path, read_state_dict(path), config)
    return DinoWeights(tensors, source, name, sha256_of(path))


def hub_file(architecture: str) -> str:
    """Where the hub has timm's weights of an architecture: repository and file."""
    return f"timm/{architecture}.{TAG}/model.safetensors"


def _canonical(path: Path, state: Mapping[str, object], config: DinoConfig) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        if key in _UNUSED:
            continue
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise ExportError(f"{path}: {key} is no tensor of floating point: give a DINOv2 state dict")
        found[_NAMES.get(key, key)] = value.to(torch.float32).contiguous()
    _require_match(path, found, config)
    for key, value in found.items():
        if not torch.isfinite(value).all():
            raise ExportError(f"{path}: {key} holds NaN or infinity: the file is damaged, fetch it again")
    cls, table = found.pop("cls_token").reshape(-1), found.pop("pos_embed")[0]
    if round(len(table) ** 0.5) ** 2 != len(table):  # the class token's position comes first
        cls, table = cls + table[0], table[1:]
    if config.registers:
        found["register_tokens"] = found["register_tokens"][0]
    return {**found, "class_token": cls, "positions": resize_positions(table, config)}


def resize_positions(table: Tensor, config: DinoConfig) -> Tensor:
    """(side ** 2, W), for a square, to (rows * columns, W), bicubic as the official code does it.

    With registers it resamples to the size, antialiased. Without, it takes scale factors of (sides + 0.1) / side and
    no antialias, so that the table is not sampled symmetrically. A table of the same size stays as it is.
    """
    side, (rows, columns) = round(len(table) ** 0.5), config.grid
    if (rows, columns) == (side, side):
        return table
    image = table.T.reshape(1, -1, side, side)
    if config.registers:
        image = functional.interpolate(image, size=(rows, columns), mode="bicubic", antialias=True)
    else:
        factors = (float(rows + OFFSET) / side, float(columns + OFFSET) / side)
        image = functional.interpolate(image, scale_factor=factors, mode="bicubic")
    if image.shape[-2:] != (rows, columns):
        raise AssertionError(f"resampled to {tuple(image.shape[-2:])}, expected {(rows, columns)}")
    return image.flatten(2)[0].T.contiguous()


def _require_match(path: Path, found: Mapping[str, Tensor], config: DinoConfig) -> None:
    if "pos_embed" not in found or "cls_token" not in found:
        raise ExportError(f"{path}: found {min(found, default='nothing')!r} and no pos_embed: these are not DINOv2's")
    width, depth = found["cls_token"].shape[-1], len({match[1] for key in found if (match := _BLOCK.match(key))})
    registers = found["register_tokens"].shape[-2] if "register_tokens" in found else 0
    for what, own, expected in (
        ("a width of", width, config.width),
        ("a depth in blocks of", depth, config.layers),
        ("a number of registers of", registers, config.registers),
    ):
        if own != expected:
            fitting = _fitting(width, registers)
            raise ExportError(f"{path}: has {what} {own}, expected {expected} for {config.name}{fitting}")
    shapes = _shapes(config)
    for key, shape in shapes.items():
        if key not in found:
            raise ExportError(f"{path}: {key} is missing; expected it with the shape {shape} for {config.name}")
        if (own_shape := tuple(found[key].shape)) != shape:
            raise ExportError(f"{path}: {key} has the shape {own_shape}, expected {shape} for {config.name}")
    if extra := sorted(found.keys() - shapes.keys() - {"pos_embed"}):
        more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
        raise ExportError(f"{path}: {extra[0]}{more} in the file is not part of {config.name}")
    table = found["pos_embed"]
    places = table.shape[1] if table.ndim == 3 else 0
    if table.ndim != 3 or table.shape[2] != width or not {places, places - 1} & {side**2 for side in range(1, 200)}:
        raise ExportError(f"{path}: pos_embed has the shape {tuple(table.shape)}, expected a square table of {width}")


def _fitting(width: int, registers: int) -> str:
    """The backbone that the file is of, where it is one of those that have a name."""
    names = [name for name, config in CONFIGS.items() if (config.width, config.registers) == (width, registers)]
    return f"; it fits --backbone {names[0]}" if names else ""


def _shapes(config: DinoConfig) -> dict[str, tuple[int, ...]]:
    """Of the file's tensors, all but the table of positions."""
    from clipspect_export.towers.dino import Dino

    with torch.device("meta"):
        own = {name: tuple(value.shape) for name, value in Dino(config).state_dict().items()}
    del own["positions"], own["class_token"]
    own["cls_token"] = (1, 1, config.width)
    if config.registers:
        own["register_tokens"] = (1, config.registers, config.width)
    return own
