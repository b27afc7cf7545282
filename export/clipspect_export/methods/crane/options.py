"""What Crane leaves open; the defaults are those that its published accuracy was made with (Salehi et al. 2025)."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect_export.methods.learned_options import SIGMA, learned_method
from clipspect_export.methods.method import SizeOptions, TrainedOptions, option


@dataclass(frozen=True)
class CraneOptions(TrainedOptions, SizeOptions):
    """How the map is smoothed."""

    sigma: float = option(SIGMA, "smoothing of the map in pixels, 0 for none", metavar="PIXELS")


METHOD = learned_method("crane", CraneOptions)
