"""The golden CLIP of tests/golden: its weights, its configuration, what the reference answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seeded import weights as golden_weights

GOLDEN = Path(__file__).resolve().parent.parent / "golden"

Arrays = dict[str, npt.NDArray[Any]]

TINY_SEED = 7
TINY = {"embed_dim": 64, "image_size": 240, "patch": 16, "vwidth": 128, "vlayers": 4, "twidth": 64, "tlayers": 4}


def golden() -> Arrays:
    """The reference's outputs."""
    return dict(np.load(GOLDEN / "winclip_tiny.npz"))


def unit_rows(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Each row divided by its length."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


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
    return golden_weights.clip_weights(seed, **sizes)


def write_config(path: Path, **options: Any) -> Path:
    """A JSON configuration of the golden CLIP."""
    path.write_text(json.dumps(document(**options)), encoding="utf-8")
    return path
