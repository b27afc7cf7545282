"""A small few-shot WinCLIP of seeded weights, exported at an image size that is a rectangle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clipspect.cli import main
from seeded.weights import write_weights
from support.golden_clip import document, weights
from support.shared import made_once

SIZES = {"embed_dim": 64, "image_size": 64, "patch": 16, "vwidth": 64, "vlayers": 2, "twidth": 64, "tlayers": 1}


def export(folder: Path, out: Path, *options: str) -> int:
    """The exit status; the weights stay in the folder."""
    config, file = folder / "small.json", folder / "small.safetensors"
    if not file.exists():
        config.write_text(json.dumps(document(SIZES)), encoding="utf-8")
        write_weights(file, weights(SIZES))
    model = ["--backbone", str(config), "--weights", str(file)]
    return main(["export", "winclip", "--out", str(out), "--object", "nut", "--few-shot", *model, *options])


def wide_bundle(folders: pytest.TempPathFactory) -> Path:
    """Of 64 x 96 pixels, 4 x 6 patches; made once a run."""

    def make(out: Path) -> None:
        assert export(folders.mktemp("wide"), out, "--image-size", "64x96") == 0

    return made_once(folders, "wide.bundle", make)
