"""CLIP weights from an open_clip tag or a local file, as float32 tensors under OpenAI's names."""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clipspect.base.errors import ExportError
from clipspect.base.files import sha256_of
from clipspect_export.towers.clip import expected_shapes
from clipspect_export.towers.config import QUICK_GELU, ClipConfig
from clipspect_export.towers.hub import fetch_weights

FILE_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".npz")
# In the state dict, but no parameter of a tower. The first three are found in OpenAI's own files only.
_OPENAI_MARKS = {"input_resolution", "context_length", "vocab_size"}
_NOT_IN_TOWERS = {*_OPENAI_MARKS, "logit_scale", "logit_bias", "attn_mask"}


@dataclass(frozen=True)
class ClipWeights:
    """The parameters of both towers, and where they came from."""

    tensors: dict[str, Tensor]  # float32, by OpenAI's names
    source: str  # "tag" or "file"
    name: str  # the open_clip tag, or the file's name without its folder
    sha256: str  # of the file that was read


def load_weights(weights: str | Path, config: ClipConfig) -> tuple[ClipWeights, ClipConfig]:
    """The weights of a file or an open_clip tag, and the configuration as the tag completes it.

    A Path, a name that ends like a weights file, or the name of a file that exists is a file; anything else a tag.
    A tag knows its activation and image statistics, a file does not. Raises ExportError.
    """
    path = Path(weights)
    if isinstance(weights, Path) or path.suffix in FILE_SUFFIXES or path.is_file():
        return _load(path, "file", path.name, config), config
    tag = str(weights)
    path, config = _fetch_tag(tag, config)
    return _load(path, "tag", tag, config), config


def encoder_sha256(tensors: Mapping[str, Tensor], activation: str) -> str:
    """A name for the encoder's values: SHA-256 over the activation and every tensor, by name, as float32."""
    digest = hashlib.sha256(activation.encode())
    for name in sorted(tensors):
        value = tensors[name].float().contiguous()
        digest.update(f"\n{name} {tuple(value.shape)}\n".encode())
        digest.update(value.numpy().astype("<f4", copy=False).data)
    return digest.hexdigest()


def _load(path: Path, source: str, name: str, config: ClipConfig) -> ClipWeights:
    if not path.is_file():
        raise ExportError(f"{path}: no such weights file")
    state = _canonical(path, read_state_dict(path))
    if config.activation != QUICK_GELU and _OPENAI_MARKS & state.keys():
        raise ExportError(
            f"{path}: these are OpenAI's weights, which need QuickGELU; {config.name} has GELU: take the backbone "
            f'{config.name}-quickgelu, or "quick_gelu": true in a JSON configuration'
        )
    for key in _NOT_IN_TOWERS & state.keys():
        del state[key]
    _require_match(path, state, config)
    tensors = {key: state.pop(key).to(torch.float32).contiguous() for key in sorted(state)}
    for key, value in tensors.items():
        if not torch.isfinite(value).all():
            raise ExportError(f"{path}: {key} holds NaN or infinity: the file is damaged, fetch it again")
    return ClipWeights(tensors, source, name, sha256_of(path))


def _fetch_tag(tag: str, config: ClipConfig) -> tuple[Path, ClipConfig]:
    """The file of an open_clip tag, downloaded on first use, and the configuration that goes with it."""
    import open_clip

    record: dict[str, Any] = open_clip.get_pretrained_cfg(config.name, tag)
    if not record:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(config.name)) or "none"
        raise ExportError(f"{tag!r} is no file and no open_clip tag of {config.name}; its tags: {tags}")
    path = fetch_weights(record, config.name, tag)
    if record.get("quick_gelu"):
        config = dataclasses.replace(config, activation=QUICK_GELU)
    return path, dataclasses.replace(config, mean=tuple(record["mean"]), std=tuple(record["std"]))


def read_state_dict(path: Path) -> dict[str, Any]:
    """A file's mapping of names to tensors; nothing in the file is executed."""
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise ExportError(f"{path}: not a readable safetensors file ({error}): fetch it again") from error
    if path.suffix == ".npz":
        return _read_arrays(path)
    content = read_torch_file(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise ExportError(f"{path}: expected a state dict, found {type(content).__name__}")
    return dict(content)


def _read_arrays(path: Path) -> dict[str, Any]:
    """A NumPy archive's arrays as tensors."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ExportError(f"{path}: not a readable NumPy archive of numbers ({error}): write it again") from error


def read_torch_file(path: Path) -> Any:
    """What `torch.save` wrote, tensors and plain containers only. Raises ExportError."""

    def read(mmap: bool) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong with the file is said once, below
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)

    try:
        try:
            return read(mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):  # files of torch before 1.6 cannot be mapped
                raise
            return read(mmap=False)
    except Exception as error:  # of a file that is empty or no pickle, IndexError and others
        if "TorchScript" in str(error):
            raise ExportError(
                f"{path}: is a TorchScript archive, which holds code; convert it where you trust it: "
                f"python -c \"import torch; torch.save(torch.jit.load('{path.name}', 'cpu').state_dict(), 'clip.pt')\""
            ) from error
        if isinstance(error, pickle.UnpicklingError):
            raise ExportError(
                f"{path}: holds more than tensors, or is damaged; nothing in it is executed (weights_only): "
                "save the tensors alone"
            ) from error
        raise ExportError(
            f"{path}: not a readable torch checkpoint ({(str(error).splitlines() or [type(error).__name__])[0]})"
        ) from error


def _canonical(path: Path, state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Names without the `module.` of data parallel training and the `text.` of open_clip's CustomTextCLIP."""
    result: dict[str, Tensor] = {}
    for key, value in state.items():
        name = str(key).removeprefix("module.").removeprefix("text.")
        if not isinstance(value, Tensor):
            if name in _NOT_IN_TOWERS:
                continue
            raise ExportError(f"{path}: {key} is a {type(value).__name__}, expected tensors: give a CLIP state dict")
        if name in result:
            raise ExportError(f"{path}: the tensor {name} is there twice, with and without a prefix")
        result[name] = value
    return result


def _require_match(path: Path, state: Mapping[str, Tensor], config: ClipConfig) -> None:
    """Refuse weights of another architecture, with the one difference that explains the most."""
    shapes = expected_shapes(config)
    if not any(key in shapes for key in state):
        raise ExportError(f"{path}: {_foreign(state)}; expected CLIP under OpenAI's or open_clip's names")
    if any(key.startswith(("visual.trunk.", "visual.layer1.")) for key in state):
        raise ExportError(f"{path}: {_foreign(state)}; expected the vision transformer of {config.name}")
    for part, tower in (("visual.transformer", config.vision), ("transformer", config.text)):
        if (found := _depth(state, part)) != tower.layers:
            raise ExportError(f"{path}: {part} has {found} layers, expected {tower.layers} for {config.name}")
    for key, shape in shapes.items():
        if key not in state:
            raise ExportError(f"{path}: {key} is missing; expected it with the shape {shape} for {config.name}")
        if tuple(state[key].shape) != shape:
            found_shape = tuple(state[key].shape)
            raise ExportError(f"{path}: {key} has the shape {found_shape}, expected {shape} for {config.name}")
        if not state[key].is_floating_point():
            raise ExportError(f"{path}: {key} is {state[key].dtype}, expected floating point")
    if extra := sorted(state.keys() - shapes.keys()):
        more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
        raise ExportError(f"{path}: {extra[0]}{more} in the file is not part of {config.name}")


def _depth(state: Mapping[str, Tensor], part: str) -> int:
    pattern = re.compile(rf"{re.escape(part)}\.resblocks\.(\d+)\.")
    return len({match[1] for key in state if (match := pattern.match(key))})


def _foreign(state: Mapping[str, Tensor]) -> str:
    marks = {
        "visual.trunk.": "found a timm image tower",
        "visual.layer1.": "found a ResNet image tower",
        "vision_model.": "found Hugging Face transformers' names",
    }
    for mark, words in marks.items():
        if any(key.startswith(mark) for key in state):
            return words
    return f"found {min(state, default='nothing')!r} and no tensor of CLIP"
