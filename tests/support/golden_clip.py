"""The golden CLIP of tests/golden, and seeded weights of any size, as files."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

GOLDEN = Path(__file__).resolve().parent.parent / "golden"

_spec = importlib.util.spec_from_file_location("golden_weights", GOLDEN / "weights.py")
assert _spec is not None
assert _spec.loader is not None
golden_weights = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden_weights)

Arrays = dict[str, npt.NDArray[Any]]

TINY_SEED = 7
TINY = {"embed_dim": 64, "image_size": 240, "patch": 16, "vwidth": 128, "vlayers": 4, "twidth": 64, "tlayers": 4}
FULL = {"embed_dim": 640, "image_size": 240, "patch": 16, "vwidth": 896, "vlayers": 12, "twidth": 640, "tlayers": 12}


def golden() -> Arrays:
    """The reference's outputs."""
    return dict(np.load(GOLDEN / "winclip_tiny.npz"))


def document(sizes: dict[str, int] = TINY, **options: Any) -> dict[str, Any]:
    """The configuration in open_clip's form."""
    return {
        "embed_dim": sizes["embed_dim"],
        "vision_cfg": {
            "image_size": sizes["image_size"],
            "patch_size": sizes["patch"],
            "width": sizes["vwidth"],
            "layers": sizes["vlayers"],
        },
        "text_cfg": {"width": sizes["twidth"], "heads": sizes["twidth"] // 64, "layers": sizes["tlayers"]},
        **options,
    }


def weights(sizes: dict[str, int] = TINY, seed: int = TINY_SEED) -> Arrays:
    """Seeded weights under OpenAI's names."""
    return dict(golden_weights.clip_weights(seed, **sizes))


def write_weights(path: Path, arrays: Arrays) -> Path:
    """A safetensors file of them."""
    save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, path)
    return path


def write_config(path: Path, **options: Any) -> Path:
    """A JSON configuration of the golden CLIP."""
    path.write_text(json.dumps(document(**options)), encoding="utf-8")
    return path
