"""The methods as the exporter sees them: the options they take, what they ask of CLIP, and what they make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from clipspect.base.errors import ExportError
from clipspect.recipes.prompts import MEAN_OF_EMBEDDINGS, MEAN_OF_UNIT_EMBEDDINGS
from clipspect_export.methods.anomalyclip import graph as anomalyclip
from clipspect_export.methods.anomalyclip.graph import AnomalyClip
from clipspect_export.methods.anomalyclip.learned_prompts import learned_prompts, learned_text_features
from clipspect_export.methods.anomalyclip.reference import AnomalyClipReference
from clipspect_export.methods.aprilgan import graph as aprilgan
from clipspect_export.methods.aprilgan.graph import AprilGan, FewShotAprilGan
from clipspect_export.methods.aprilgan.linear_stages import linear_stages
from clipspect_export.methods.aprilgan.reference import AprilGanReference, FewShotAprilGanReference
from clipspect_export.methods.checkpoint import Checkpoint, read_checkpoint
from clipspect_export.methods.maps import require_sigma
from clipspect_export.methods.model import FewShotModel, Model
from clipspect_export.methods.winclip import graph as winclip
from clipspect_export.methods.winclip.graph import FewShotWinClip, WinClip
from clipspect_export.methods.winclip.reference import FewShotWinClipReference, WinClipReference
from clipspect_export.methods.winclip.setting import HARMONIC, Setting, require_setting
from clipspect_export.methods.winclip.windows import require_scales
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.config import GELU, QUICK_GELU, ClipConfig
from clipspect_export.towers.positions import Interpolation, at_image_size
from clipspect_export.towers.prompts import method_words

DEFAULT_OBJECT = "object"
WORDS = ("ensemble", "prompt_fusion", "with_text_encoder")  # options of the methods that take an object's name
WINDOWS = ("window_stride", "scale_fusion", "multi_crop")  # options of the method that has windows
SCALES = (2, 3)  # of WinCLIP's windows, in patches
PARITY_WINCLIP, PARITY_DENSE = 1e-5, 1e-4  # a ViT-L at 518 pixels sums more, and its maps are sums over layers


@dataclass(frozen=True)
class Options:
    """What a method was asked for; None where it decides itself."""

    scales: Sequence[int] | None = None
    window_stride: int | None = None
    scale_fusion: str | None = None
    multi_crop: bool | None = None
    layers: Sequence[int] | None = None
    sigma: float | None = None
    checkpoint: str | Path | None = None
    ensemble: str | Path | None = None
    prompt_fusion: str | None = None
    with_text_encoder: bool | None = None


@dataclass(frozen=True)
class Method:
    """One way to make a model of CLIP."""

    name: str
    plan: Callable[[ClipConfig, Options], Callable[[Clip], Model]]  # checks everything but the weights first
    takes: frozenset[str]  # the options that mean something to it
    object_agnostic: bool = False
    few_shot: bool = False  # whether its models have a few-shot form
    activation: str | None = None  # None: the backbone's own
    image_size: int | None = None  # pixels; None: the backbone's own
    positions: Interpolation | None = None  # how the position embedding comes to that size

    def prepare(self, config: ClipConfig, options: Options, objects: Sequence[str]) -> Callable[[Clip], Model]:
        """What makes the model once CLIP is loaded; what cannot be exported is refused here. Raises ExportError."""
        for option, value in vars(options).items():
            if value is not None and option not in self.takes:
                why = "has learned prompts and reads no words" if option in WORDS else f"has no {option}"
                raise ExportError(f"{self.name} {why}: leave --{option.replace('_', '-')} out")
        if "checkpoint" in self.takes and options.checkpoint is None:
            raise ExportError(f"{self.name} needs the trained file of its official code: add --checkpoint FILE")
        if self.object_agnostic and list(objects) != [DEFAULT_OBJECT]:
            raise ExportError(
                f"{self.name}'s learned prompts are for any object, its one recipe is {DEFAULT_OBJECT!r}: "
                "leave --object out"
            )
        return self.plan(config, options)

    def at_size(self, tensors: Mapping[str, Tensor], config: ClipConfig) -> tuple[dict[str, Tensor], ClipConfig]:
        """CLIP's weights and configuration at the image size that the method runs at. Raises ExportError."""
        if self.image_size is None or self.positions is None:
            return dict(tensors), config
        return at_image_size(tensors, config, self.image_size, self.positions)


def _plan_winclip(config: ClipConfig, options: Options) -> Callable[[Clip], Model]:
    scales = require_scales(SCALES if options.scales is None else options.scales, config.grid)
    stride, fusion = options.window_stride, options.scale_fusion
    setting = Setting(1 if stride is None else stride, fusion or HARMONIC, options.multi_crop or False)
    require_setting(setting, scales)
    words = method_words("winclip", MEAN_OF_EMBEDDINGS, options.ensemble, options.prompt_fusion)

    def model(clip: Clip) -> Model:
        return Model(
            graph=lambda: WinClip(clip.visual, clip.config, scales, setting),
            reference=WinClipReference(clip.visual, clip.config, scales, setting),
            features=lambda name: words.features(name, clip),
            prompts=words.recorded,
            ensemble=words.own,
            mean=words.mean,
            tolerance=PARITY_WINCLIP,
            map_range=(0.0, 1.0),  # scores and maps are probabilities and means of them
            parameters={"scales": list(scales), "temperature": winclip.TEMPERATURE, **setting.parameters()},
            few_shot=FewShotModel(
                graph=lambda: FewShotWinClip(clip.visual, clip.config, scales, setting),
                reference=FewShotWinClipReference(clip.visual, clip.config, scales, setting),
                galleries=winclip.galleries(clip.config, scales),
                map_range=winclip.FEW_SHOT_RANGE,
            ),
        )

    return model


def _plan_anomalyclip(config: ClipConfig, options: Options) -> Callable[[Clip], Model]:
    layers = anomalyclip.require_layers(anomalyclip.LAYERS if options.layers is None else options.layers, config)
    sigma = require_sigma(anomalyclip.SIGMA if options.sigma is None else options.sigma, anomalyclip.IMAGE_SIZE)
    checkpoint = _checkpoint("anomalyclip", options)
    prompts = learned_prompts(checkpoint, config)

    def model(clip: Clip) -> Model:
        return Model(
            graph=lambda: AnomalyClip(clip.visual, clip.config, layers=layers, sigma=sigma),
            reference=AnomalyClipReference(clip.visual, clip.config, layers=layers, sigma=sigma),
            features=lambda name: learned_text_features(prompts, clip),
            prompts={"learned": _described(checkpoint)},
            ensemble=None,
            mean=MEAN_OF_EMBEDDINGS,
            tolerance=PARITY_DENSE,
            map_range=(0.0, float(len(layers))),  # a sum of probabilities
            parameters={
                "layers": list(layers),
                "sigma": sigma,
                "temperature": anomalyclip.TEMPERATURE,
                "checkpoint": _described(checkpoint),
            },
        )

    return model


def _plan_aprilgan(config: ClipConfig, options: Options) -> Callable[[Clip], Model]:
    aprilgan.require_depth(config)
    checkpoint = _checkpoint("aprilgan", options)
    stages = linear_stages(checkpoint, config)
    words = method_words("aprilgan", MEAN_OF_UNIT_EMBEDDINGS, options.ensemble, options.prompt_fusion)

    def model(clip: Clip) -> Model:
        return Model(
            graph=lambda: AprilGan(clip.visual, clip.config, stages),
            reference=AprilGanReference(clip.visual, clip.config, stages),
            features=lambda name: words.features(name, clip),
            prompts=words.recorded,
            ensemble=words.own,
            mean=words.mean,
            tolerance=PARITY_DENSE,
            map_range=(0.0, float(len(aprilgan.LAYERS))),  # a sum of probabilities
            parameters={
                "layers": list(aprilgan.LAYERS),
                "logit_scale": aprilgan.LOGIT_SCALE,
                "checkpoint": _described(checkpoint),
            },
            few_shot=FewShotModel(
                graph=lambda: FewShotAprilGan(clip.visual, clip.config, stages),
                reference=FewShotAprilGanReference(clip.visual, clip.config, stages),
                galleries=aprilgan.galleries(clip.config),
                map_range=aprilgan.FEW_SHOT_RANGE,
                takes_map_limits=True,
            ),
        )

    return model


def _checkpoint(method: str, options: Options) -> Checkpoint:
    if options.checkpoint is None:
        raise AssertionError("Method.prepare lets no plan begin without the checkpoint that it takes")
    return read_checkpoint(options.checkpoint, method)


def _described(checkpoint: Checkpoint) -> dict[str, str]:
    return {"name": checkpoint.path.name, "sha256": checkpoint.sha256}


METHODS = {
    method.name: method
    for method in (
        Method("winclip", _plan_winclip, frozenset({"scales", *WINDOWS, *WORDS}), few_shot=True),
        Method(
            "anomalyclip",
            _plan_anomalyclip,
            frozenset({"layers", "sigma", "checkpoint"}),
            object_agnostic=True,
            activation=QUICK_GELU,  # OpenAI's, as in the official code
            image_size=anomalyclip.IMAGE_SIZE,
            positions=anomalyclip.POSITION_RESIZE,
        ),
        Method(
            "aprilgan",
            _plan_aprilgan,
            frozenset({"checkpoint", *WORDS}),
            few_shot=True,
            activation=GELU,  # although OpenAI's weights have QuickGELU: the linear layers were trained so
            image_size=aprilgan.IMAGE_SIZE,
            positions=aprilgan.POSITION_RESIZE,
        ),
    )
}
