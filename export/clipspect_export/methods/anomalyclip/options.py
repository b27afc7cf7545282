"""What AnomalyCLIP leaves open; the defaults are those that its published accuracy was made with (Zhou et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect_export.methods.learned_options import SIGMA, learned_method
from clipspect_export.methods.method import SizeOptions, TrainedOptions, option

LAYERS = (24,)  # the published setting reads one layer; (6, 12, 18, 24) is the code's other


@dataclass(frozen=True)
class AnomalyClipOptions(TrainedOptions, SizeOptions):
    """What is read, and how its map is smoothed."""

    layers: tuple[int, ...] = option(LAYERS, "blocks whose patches are read", metavar="24")
    sigma: float = option(SIGMA, "smoothing of the map in pixels, 0 for none", metavar="PIXELS")


METHOD = learned_method("anomalyclip", AnomalyClipOptions)
