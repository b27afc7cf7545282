"""WinCLIP and WinCLIP+ over loaded weights: the graphs, and the references that they must equal."""

from __future__ import annotations

from collections.abc import Callable

from clipspect.engines.graph import BOTH, PHOTOS, WORDS
from clipspect.recipes.prompts import MEAN_OF_EMBEDDINGS
from clipspect_export.methods.memory.clip import clip_memory
from clipspect_export.methods.model import GraphForm, Model, WindowsForm
from clipspect_export.methods.winclip.graph import (
    FEW_SHOT_RANGE,
    TEMPERATURE,
    FewShotWinClip,
    WinClip,
    galleries,
    window_rows,
)
from clipspect_export.methods.winclip.on_demand import WindowsOnDemand
from clipspect_export.methods.winclip.options import WinClipOptions, require_setting
from clipspect_export.methods.winclip.reference import FewShotWinClipReference, WinClipReference
from clipspect_export.methods.winclip.windows import require_scales
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.config import ClipConfig
from clipspect_export.towers.prompts import method_prompts

PARITY = 1e-5  # between graph and reference, on scores and maps


def plan(config: ClipConfig, options: WinClipOptions) -> Callable[[Clip], Model]:
    """What makes the model once CLIP is loaded. Raises ExportError, RecipeError."""
    scales = require_scales(options.scales, config.grid)
    setting = require_setting(options, scales)
    prompts = method_prompts("winclip", MEAN_OF_EMBEDDINGS, options.ensemble, options.prompt_fusion)

    def model(clip: Clip) -> Model:
        tower, config = clip.visual, clip.config
        return Model(
            forms={
                WORDS: GraphForm(
                    module=lambda: WinClip(tower, config, scales, setting),
                    reference=WinClipReference(tower, config, scales, setting).with_windows,
                    map_range=(0.0, 1.0),  # scores and maps are probabilities and means of them
                    rows=window_rows(scales),
                ),
                BOTH: GraphForm(
                    module=lambda: FewShotWinClip(tower, config, scales, setting),
                    reference=FewShotWinClipReference(tower, config, scales, setting),
                    map_range=FEW_SHOT_RANGE,
                    galleries=galleries(config, scales),
                ),
                PHOTOS: clip_memory(tower, config),
            },
            windows=WindowsForm(
                module=lambda compares: WindowsOnDemand(tower, config, scales, with_patches=compares),
                grid=config.grid,
                scales=scales,
                described={
                    "stride": setting.window_stride,
                    "fusion": setting.scale_fusion,
                    "multi_crop": setting.multi_crop,
                    "temperature": TEMPERATURE,
                },
            ),
            words=lambda name: prompts.words(name, clip),
            ensemble=prompts.own,
            mean=prompts.mean,
            tolerance=PARITY,
            parameters={"scales": list(scales), "temperature": TEMPERATURE, **setting.parameters()},
        )

    return model
