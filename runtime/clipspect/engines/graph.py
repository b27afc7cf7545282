"""A graph as engines see it: an ONNX file, its tensors by name, and what it computes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

IMAGE, SCORE, ANOMALY_MAP = "image", "score", "anomaly_map"  # tensors of the graphs that inspect
TEXT_FEATURES = "text_features"
IMAGE_EMBEDDING = "image_embedding"  # output of the graphs that inspect: the whole image's, rows of length 1, (N, D)
REFERENCE = "reference_"  # inputs of graphs that compare: galleries, rows of length 1 that references have, (R, D*)
FEATURES = "features_"  # their outputs: the image's own rows for each gallery
SPREAD = "spread"  # input of graphs for photographs: what each gallery's distances are divided by, (galleries,)
MEAN, COMPONENTS = "mean", "components"  # inputs of graphs that measure the distance from a subspace, (D,) and (r, D)
WORDS_SCORE, WORDS_MAP = "words_score", "words_anomaly_map"  # of the few-shot graph: what the words alone say
# Of the graph of windows on demand, of each scale: inputs, the tokens of the windows to encode, (M, 1 + scale ** 2);
# outputs, their embeddings of length 1, (M, D)
CHOSEN_WINDOWS, WINDOW_EMBEDDINGS = "windows_", "embeddings_"
TOKENS, EMBEDDINGS = "tokens", "embeddings"  # tensors of the text encoder
PROMPTS_AT_ONCE = 32  # prompts in one run of the text encoder
ANY = "?"  # a dynamic dimension without a name
WORDS, BOTH, PHOTOS, WINDOWS = "words", "both", "photos", "windows"  # roles of the graphs that inspect
FP32, FP16, BF16, INT8 = "fp32", "fp16", "bf16", "int8"


@dataclass(frozen=True)
class TensorSpec:
    """A graph input or output; a dimension is a number, or a name when it is dynamic."""

    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Signature:
    """What an engine says of a graph that it has loaded; the shape () is one that it does not say."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


@dataclass(frozen=True)
class Graph:
    """An ONNX file of the bundle and its tensors by name."""

    file: str
    opset: int
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    flops: int  # of the MatMuls for one image, with one prompt a state and one row a gallery
