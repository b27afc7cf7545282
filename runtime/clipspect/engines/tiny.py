"""The smallest graph that proves an engine: y = relu(x @ x) for a 2 x 2 float32 x."""

from __future__ import annotations

import base64

import numpy as np

# ONNX, IR version 8, opset 18: MatMul and Relu, 93 bytes; tests/runtime/test_backends.py reads it with onnx
TINY_GRAPH = base64.b64decode(
    "CAg6UQoRCgF4CgF4EgFwIgZNYXRNdWwKDAoBcBIBeSIEUmVsdRIEdGlueVoTCgF4Eg4KDAgBEggKAggCCgIIAmITCgF5"
    "Eg4KDAgBEggKAggCCgIIAkIECgAQEg=="
)
TINY_INPUTS = {"x": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)}
