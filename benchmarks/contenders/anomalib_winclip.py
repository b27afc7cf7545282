"""anomalib's WinCLIP, zero-shot, with its own pins: WEIGHTS.pt IMAGE.npy OBJECT THREADS [--compile]."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import open_clip
import torch
from protocol import serve

MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's, as its transform has them
STD = (0.26862954, 0.26130258, 0.27577711)


def main(weights: str, image_file: str, object_name: str, threads: str, *flags: str) -> None:
    torch.set_num_threads(int(threads))
    original = open_clip.create_model_and_transforms

    def with_these_weights(name: str, pretrained: str) -> Any:
        return original(name, pretrained=weights)

    open_clip.create_model_and_transforms = with_these_weights
    from anomalib.models.image.winclip.torch_model import WinClipModel

    model: Any = WinClipModel(class_name=object_name, scales=(2, 3)).eval()
    if "--compile" in flags:
        model = torch.compile(model)
    mean, std = torch.tensor(MEAN), torch.tensor(STD)

    @torch.inference_mode()
    def inspect(image: Any) -> tuple[float, Any]:
        pixels = ((torch.from_numpy(image).float() / 255 - mean) / std).permute(2, 0, 1)[None]
        answer = model(pixels)
        return float(answer.pred_score), answer.anomaly_map[0].reshape(image.shape[:2]).numpy()

    from importlib.metadata import version

    serve(inspect, image_file, f"anomalib {version('anomalib')}, torch {torch.__version__}, NumPy {np.__version__}")


if __name__ == "__main__":
    main(*sys.argv[1:])
