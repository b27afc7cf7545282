"""A method in eager torch, written as its paper has it: METHOD BUNDLE WEIGHTS IMAGE.npy THREADS [CHECKPOINT]."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import torch
from protocol import serve

from clipspect.bundle.bundle import Bundle
from clipspect.engines.graph import WORDS
from clipspect.recipes.shelf import open_recipe
from clipspect_export.methods.model import at_size_of
from clipspect_export.methods.registry import plan, read_method, read_options
from clipspect_export.towers.clip import build_clip
from clipspect_export.towers.config import read_backbone
from clipspect_export.towers.weights import load_weights


def main(name: str, bundle_path: str, weights: str, image_file: str, threads: str, checkpoint: str = "") -> None:
    torch.set_num_threads(int(threads))
    bundle = Bundle.open(bundle_path)
    config = read_backbone(bundle.manifest.backbone.name)
    objects = [open_recipe(bundle).object]
    method = read_method(name)
    build = plan(method, config, read_options(method, {"checkpoint": checkpoint or None}, objects))
    loaded, config = load_weights(Path(weights), config)
    config = dataclasses.replace(config, activation=bundle.manifest.backbone.activation)
    tensors, config = at_size_of(method, loaded.tensors, config)
    reference = build(build_clip(config, tensors)).forms[WORDS].reference
    text = torch.from_numpy(open_recipe(bundle).text_features)

    def inspect(image: Any) -> tuple[float, Any]:
        score, anomaly_map, _ = reference(torch.from_numpy(image)[None], text)
        return float(score[0]), anomaly_map[0].numpy()

    serve(inspect, image_file, f"torch {torch.__version__}")


if __name__ == "__main__":
    main(*sys.argv[1:])
