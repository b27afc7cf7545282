"""What WinCLIP leaves open besides its scales; the defaults are the paper's (Jeong et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from clipspect.base.errors import ExportError

HARMONIC, ARITHMETIC, MAX = "harmonic", "arithmetic", "max"
SCALE_FUSIONS = (HARMONIC, ARITHMETIC, MAX)


@dataclass(frozen=True)
class Setting:
    """How windows are laid, and how what they say becomes one score and one map."""

    window_stride: int = 1  # patches from one window to the next; the last of a row always stands at the edge
    scale_fusion: str = HARMONIC  # of the scales' maps and, but for MAX, the image's probability as one more of them
    multi_crop: bool = False  # whether the score is of the image's embedding averaged with those of its windows

    def parameters(self) -> dict[str, Any]:
        """For the manifest, what is not as published: recipes from before there was a choice still fit."""
        return {item.name: value for item in fields(self) if (value := getattr(self, item.name)) != item.default}


def require_setting(setting: Setting, scales: Sequence[int]) -> Setting:
    """The setting itself, checked against the scales. Raises ExportError."""
    if not 1 <= setting.window_stride <= min(scales):
        raise ExportError(
            f"window stride {setting.window_stride} with scales {','.join(map(str, scales))}: expected 1 to "
            f"{min(scales)}, the smallest scale, or patches would be in no window"
        )
    if setting.scale_fusion not in SCALE_FUSIONS:
        raise ExportError(f"scale fusion {setting.scale_fusion!r}: expected {', '.join(SCALE_FUSIONS)}")
    return setting
