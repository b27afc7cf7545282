"""A backbone's architecture: from open_clip's name or a JSON file in open_clip's form to a checked `ClipConfig`."""

from __future__ import annotations

import dataclasses
import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from clipspect.base.errors import ExportError
from clipspect.frame.spec import ImageSpec

# The image statistics of OpenAI's training set, which open_clip and most of its weights use.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

GELU, QUICK_GELU = "gelu", "quick_gelu"

_VISION_KEYS = {"image_size", "patch_size", "width", "layers", "head_width", "mlp_ratio", "patch_dropout"}
_TEXT_KEYS = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"}
_IGNORED_KEYS = {"custom_text", "init_logit_scale", "init_logit_bias", "nonscalar_logit_scale"}  # not in the towers
_MOST_BYTES = 1 << 20  # of a configuration
# The largest that is published, EVA-02's E/14 and open_clip's bigG-14, have 64 layers and a width of 1792.
MOST_LAYERS, MOST_WIDTH, MOST_SIDE = 256, 1 << 13, 1 << 14
_MOST_PARAMETERS = 10**10  # of one tower's blocks
_MOST_RATIO, _MOST_TOKENS, _MOST_WORDS = 64, 1 << 12, 1 << 20


@dataclass(frozen=True)
class TransformerConfig:
    """A stack of pre-norm residual attention blocks."""

    width: int
    layers: int
    heads: int
    mlp_width: int


class Grid(NamedTuple):
    """Patches of an image."""

    rows: int
    columns: int

    @property
    def patches(self) -> int:
        return self.rows * self.columns


@dataclass(frozen=True)
class ClipConfig:
    """A CLIP with a vision transformer and a causal text transformer, as OpenAI drew it."""

    name: str
    embed_dim: int
    image_size: tuple[int, int]  # pixels: height, width
    patch_size: int
    vision: TransformerConfig
    text: TransformerConfig
    context_length: int
    vocab_size: int
    activation: str = GELU
    mean: tuple[float, float, float] = CLIP_MEAN  # of the pixels in [0, 1]
    std: tuple[float, float, float] = CLIP_STD

    @property
    def image(self) -> ImageSpec:
        """How a frame becomes what the tower reads."""
        return ImageSpec(*self.image_size)

    @property
    def text_dim(self) -> int | None:
        """The width of text features."""
        return self.embed_dim

    @property
    def grid(self) -> Grid:
        """The patches that the image divides into."""
        height, width = self.image_size
        return Grid(height // self.patch_size, width // self.patch_size)


@dataclass(frozen=True)
class Interpolation:
    """How a position embedding comes to another size: two arguments of torch's interpolate."""

    mode: str
    antialias: bool


def require_patches(name: str, patch: int, height: int, width: int) -> None:
    """Refuse an image that does not divide into patches. Raises ExportError."""
    if height % patch or width % patch or height < patch or width < patch:
        near = "x".join(str(max(1, round(side / patch)) * patch) for side in (height, width))
        raise ExportError(
            f"{name}: an image of {height} x {width} pixels does not divide into patches of {patch}: take "
            f"--image-size {near}"
        )


def read_backbone(backbone: str | Path) -> ClipConfig:
    """A `ClipConfig` from open_clip's name of it, or from a JSON file (a Path, or a name that ends in `.json`).

    Raises ExportError when the name is unknown, or the architecture is not a plain CLIP with a square image.
    """
    if isinstance(backbone, Path) or backbone.endswith(".json"):
        path = Path(backbone)
        return config_from_document(path.stem, read_json(path))
    return config_from_document(backbone, _open_clip_config(backbone))


def config_from_document(name: str, document: dict[str, Any]) -> ClipConfig:
    """A `ClipConfig` from open_clip's form, with or without `model_cfg` and `preprocess_cfg`. Raises ExportError."""
    preprocess = document.get("preprocess_cfg", {})
    model = document.get("model_cfg", document)
    try:
        return _config(name, dict(model), dict(preprocess))
    except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError, AttributeError) as error:
        raise ExportError(
            f"{name}: not a CLIP configuration in open_clip's form ({type(error).__name__}: {error}): "
            "expected embed_dim, vision_cfg and text_cfg"
        ) from error


def _config(name: str, model: dict[str, Any], preprocess: dict[str, Any]) -> ClipConfig:
    vision, text = dict(model.pop("vision_cfg")), dict(model.pop("text_cfg"))
    embed_dim, quick_gelu = model.pop("embed_dim"), model.pop("quick_gelu", False)
    if unknown := sorted(set(model) - _IGNORED_KEYS):
        raise ExportError(f"{name}: {', '.join(unknown)} in the configuration is not part of a plain CLIP")
    _require_plain(name, vision, text)
    image_size, patch_size = _side(name, vision, "image_size", 224), _side(name, vision, "patch_size", 16)
    if image_size % patch_size:
        raise ExportError(f"{name}: an image of {image_size} pixels does not divide into patches of {patch_size}")
    width, text_width = (
        whole_number(name, section, "width", default, MOST_WIDTH) for section, default in ((vision, 768), (text, 512))
    )
    head_width = whole_number(name, vision, "head_width", 64, MOST_WIDTH)
    return ClipConfig(
        name=name,
        embed_dim=whole_number(name, {"embed_dim": embed_dim}, "embed_dim", 512, MOST_WIDTH),
        image_size=(image_size, image_size),
        patch_size=patch_size,
        vision=_transformer(name, vision, width, width // head_width),
        text=_transformer(name, text, text_width, whole_number(name, text, "heads", 8, MOST_WIDTH)),
        context_length=whole_number(name, text, "context_length", 77, _MOST_TOKENS),
        vocab_size=whole_number(name, text, "vocab_size", 49408, _MOST_WORDS),
        activation=QUICK_GELU if quick_gelu else GELU,
        mean=_triple(preprocess.get("mean", CLIP_MEAN)),
        std=_triple(preprocess.get("std", CLIP_STD)),
    )


def _transformer(name: str, section: dict[str, Any], width: int, heads: int) -> TransformerConfig:
    layers, ratio = whole_number(name, section, "layers", 12, MOST_LAYERS), section.get("mlp_ratio", 4.0)
    if heads < 1 or width % heads:
        raise ExportError(f"{name}: a transformer of {layers} layers and width {width} cannot have {heads} heads")
    if not 0 < ratio <= _MOST_RATIO:
        raise ExportError(f"{name}: mlp_ratio is {ratio!r:.40}, expected a number up to {_MOST_RATIO}")
    require_buildable(name, layers, width, int(width * ratio))
    return TransformerConfig(width, layers, heads, int(width * ratio))


def require_buildable(name: str, layers: int, width: int, mlp_width: int) -> None:
    """Refuse a tower that takes all memory before its weights are read. Raises ExportError."""
    parameters = layers * width * (4 * width + 2 * mlp_width)
    if parameters > _MOST_PARAMETERS:
        raise ExportError(f"{name}: {parameters:.0e} parameters, at most {_MOST_PARAMETERS:.0e} are built")


def whole_number(name: str, section: dict[str, Any], key: str, default: int, most: int, least: int = 1) -> int:
    """A number of a configuration. Raises ExportError for one that is none, or that no architecture has."""
    value = section.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ExportError(f"{name}: {key} is {value!a:.80}, expected a whole number from {least} to {most}")
    return value


def _require_plain(name: str, vision: dict[str, Any], text: dict[str, Any]) -> None:
    """Refuse every option of open_clip that changes what a tower computes."""
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg

    if vision.get("timm_model_name"):
        found = f"the timm image tower {vision['timm_model_name']}"
    elif isinstance(vision.get("layers"), (list, tuple)):
        found = "a ResNet image tower"
    elif text.get("hf_model_name"):
        found = f"the Hugging Face text tower {text['hf_model_name']}"
    else:
        found = ", ".join([*_special(vision, CLIPVisionCfg, _VISION_KEYS), *_special(text, CLIPTextCfg, _TEXT_KEYS)])
    if found:
        raise ExportError(
            f"{name}: found {found}; expected a plain CLIP (vision transformer with a class token, causal text "
            "transformer), such as ViT-B-16-plus-240 or ViT-L-14-336"
        )


def _special(section: dict[str, Any], defaults: type, understood: set[str]) -> list[str]:
    plain = {item.name: item.default for item in dataclasses.fields(defaults)}
    return [
        f"{key} = {value!r}"
        for key, value in section.items()
        if key not in understood and (key not in plain or (value != plain[key] and value not in (None, False)))
    ]


def _side(name: str, section: dict[str, Any], key: str, default: int) -> int:
    value = section.get(key, default)
    sides = {value} if isinstance(value, int) else set(value)
    if len(sides) != 1:
        raise ExportError(f"{name}: {key} is {list(value)}; expected a square, since windows slide over a square grid")
    return whole_number(name, {key: sides.pop()}, key, default, MOST_SIDE)


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _open_clip_config(name: str) -> dict[str, Any]:
    import open_clip

    names = open_clip.list_models()
    if name not in names:
        close = ", ".join(difflib.get_close_matches(name, names, n=3)) or "ViT-B-16-plus-240, ViT-L-14-336"
        raise ExportError(f"{name!r} is no backbone of open_clip; close ones: {close}; or give a JSON configuration")
    config: dict[str, Any] = open_clip.get_model_config(name)
    return config


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises ExportError."""
    if not path.is_file():
        raise ExportError(f"{path}: no such configuration file: give one, or the backbone's name")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes, at most {_MOST_BYTES} are read")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ExportError(f"{path}: not readable as a JSON configuration ({error})") from error
    if not isinstance(document, dict):
        raise ExportError(f"{path}: expected a JSON object, a configuration")
    return document
