"""Weights and checkpoints of the published sizes: what full-size exports are tested and timed with."""

from __future__ import annotations

from pathlib import Path

from seeded.weights import clip_weights, write_weights

# ViT-B-16-plus-240 of WinCLIP, and ViT-L/14 of AnomalyCLIP, APRIL-GAN and Crane
WINCLIP = {"embed_dim": 640, "image_size": 240, "patch": 16, "vwidth": 896, "vlayers": 12, "twidth": 640, "tlayers": 12}
DENSE = {"embed_dim": 768, "image_size": 336, "patch": 14, "vwidth": 1024, "vlayers": 24, "twidth": 768, "tlayers": 12}
SEED = 7
# Crane's own learned prompts, released by its authors; AnomalyCLIP's have the same shapes.
CRANE = Path(__file__).parents[2] / "tests" / "checkpoints" / "crane_visa_epoch_5.pth"


def write_seeded(path: Path, method: str) -> Path:
    """Weights of the method's published backbone."""
    return write_weights(path, clip_weights(SEED, **(WINCLIP if method == "winclip" else DENSE)))


def write_checkpoint(folder: Path, method: str) -> Path | None:
    """What the method was trained for on top: a checkpoint; None for WinCLIP, which has none."""
    if method == "winclip":
        return None
    return _linear_layers(folder / "linear.pth") if method == "aprilgan" else CRANE


def _linear_layers(path: Path) -> Path:
    """As APRIL-GAN's code writes them."""
    import torch

    generator = torch.Generator().manual_seed(0)
    layers = {}
    for number in range(4):
        layers[f"fc.{number}.weight"] = torch.randn(768, 1024, generator=generator) / 32
        layers[f"fc.{number}.bias"] = torch.randn(768, generator=generator) / 32
    torch.save({"trainable_linearlayer": layers}, path)
    return path
