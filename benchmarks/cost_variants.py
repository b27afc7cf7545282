"""What is tried in the report on the cost of speed: each variant differs from the default in what its name says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clipspect.engines.graph import BF16, FP16, INT8

FAMILIES, PRODUCTS, TEXTILES = "families", "products", ("textiles-local", "textiles-global")
EVERYWHERE = (FAMILIES, PRODUCTS, *TEXTILES)
MOST = (FAMILIES, *TEXTILES)  # products are there for few-shot, and for what is combined with it
MAPS = (FAMILIES,)  # of what changes maps alone: textiles have no masks


@dataclass(frozen=True)
class Variant:
    """A way to export and to run the demo model."""

    name: str
    export: Mapping[str, Any] = field(default_factory=dict)  # of `export_bundle`, besides scales 2,3
    backend: str = "openvino"
    options: Mapping[str, Any] = field(default_factory=dict)  # of the engine
    shots: int = 0
    emulated: str = ""  # the precision that is computed in fp32 on rounded values: its accuracy, and not its time
    sets: tuple[str, ...] = MOST

    @property
    def slug(self) -> str:
        """Its name as a folder's."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def bundle(self) -> str:
        """Variants that are exported alike share a bundle."""
        return re.sub(r"[^a-z0-9]+", "-", str(sorted(self.export.items())).lower()).strip("-") or "default"


IN_BF16 = {"precision": BF16}
INT8_COPY = {"int8": True, "force_precision": True}  # what the gate would refuse is measured, too
EMULATOR = "onnxruntime"  # OpenVINO's CPU leaves out a rounding to a type that it does not have
DEFAULT = Variant("default", sets=EVERYWHERE)
VARIANTS = (
    DEFAULT,
    Variant("onnxruntime", backend="onnxruntime"),
    Variant("bf16", options=IN_BF16, sets=EVERYWHERE),
    Variant("bf16, emulated", backend=EMULATOR, emulated=BF16, sets=EVERYWHERE),
    Variant("fp16, emulated", {"precision": FP16, "force_precision": True}, EMULATOR, emulated=FP16),
    Variant("int8", INT8_COPY, options={"precision": INT8}, sets=EVERYWHERE),
    Variant("int8, onnxruntime", INT8_COPY, "onnxruntime", {"precision": INT8}),
    Variant("scales 2", {"scales": (2,)}, sets=MAPS),
    Variant("scales 2,3,5", {"scales": (2, 3, 5)}, sets=MAPS),
    Variant("window stride 2", {"window_stride": 2}, sets=MAPS),
    Variant("max over prompts", {"prompt_fusion": "max"}),
    Variant("arithmetic over scales", {"scale_fusion": "arithmetic"}, sets=MAPS),
    Variant("max over scales", {"scale_fusion": "max"}, sets=MAPS),
    Variant("multi-crop", {"multi_crop": True}),
    Variant("window stride 2, bf16", {"window_stride": 2}, options=IN_BF16, sets=MAPS),
    Variant("scales 2, bf16", {"scales": (2,)}, options=IN_BF16, sets=MAPS),
    Variant("1 shot", {"few_shot": True}, shots=1, sets=EVERYWHERE),
    Variant("4 shots", {"few_shot": True}, shots=4, sets=EVERYWHERE),
    Variant("4 shots, bf16", {"few_shot": True}, options=IN_BF16, shots=4, sets=(PRODUCTS,)),
)
