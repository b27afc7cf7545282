"""What WinCLIP leaves open; the defaults are the paper's (Jeong et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from clipspect.base.errors import ExportError
from clipspect.bundle.windows_graph import ARITHMETIC, HARMONIC, MAX
from clipspect.engines.graph import BOTH, PHOTOS, WINDOWS, WORDS
from clipspect_export.methods.method import Method, SizeOptions, WordOptions, option
from clipspect_export.towers.config import Interpolation

SCALE_FUSIONS = (HARMONIC, ARITHMETIC, MAX)
SCALES = (2, 3)


@dataclass(frozen=True)
class Setting:
    """How windows are laid, and how what they say becomes one score and one map."""

    window_stride: int = option(
        1, "patches from one window to the next; the last of a row always stands at the edge", metavar="N"
    )
    # of the scales' maps and, but for MAX, the image's probability as one more of them
    scale_fusion: str = option(HARMONIC, "how the maps of the scales become one", choices=SCALE_FUSIONS)
    multi_crop: bool = option(
        False, "score the image's embedding averaged with those of its windows, which are there anyhow"
    )

    def parameters(self) -> dict[str, Any]:
        """For the manifest, what is not as published: recipes from before there was a choice still fit."""
        return {item.name: value for item in fields(Setting) if (value := getattr(self, item.name)) != item.default}


@dataclass(frozen=True)
class WinClipOptions(Setting, WordOptions, SizeOptions):
    """The setting, the sides of the windows, and words."""

    scales: tuple[int, ...] = option(SCALES, "sides of the windows in patches", metavar="2,3")


METHOD = Method(
    "winclip",
    WinClipOptions,
    roles=(WORDS, BOTH, PHOTOS, WINDOWS),
    positions=Interpolation("bicubic", antialias=True),  # as open_clip resizes them for other image sizes
)


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
