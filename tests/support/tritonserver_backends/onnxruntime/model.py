"""Triton's backend `onnxruntime`, in Python: what a real server without its C++ backends runs ONNX models with.

It stands for libtriton_onnxruntime.so, which is in no package registry: requests that the server joined are one run.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton  # part of the server


class TritonPythonModel:
    """One instance of a model."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        place = (args["model_repository"], args["model_version"], config["default_model_filename"])
        self._joins = config["max_batch_size"] > 0
        self._session = onnxruntime.InferenceSession(os.path.join(*place), providers=["CPUExecutionProvider"])
        self._inputs = [item.name for item in self._session.get_inputs()]
        self._outputs = [item.name for item in self._session.get_outputs()]

    def execute(self, requests: list[Any]) -> list[Any]:
        given = [
            {name: triton.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs}
            for request in requests
        ]
        answers = self._joined(given) if self._joins else [self._run(inputs) for inputs in given]
        return [
            triton.InferenceResponse([triton.Tensor(name, answer[name]) for name in request.requested_output_names()])
            for request, answer in zip(requests, answers)
        ]

    def _joined(self, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = self._run({name: np.concatenate([inputs[name] for inputs in given]) for name in self._inputs})
        ends = np.cumsum([len(inputs[self._inputs[0]]) for inputs in given])[:-1]
        parts = {name: np.split(values, ends) for name, values in found.items()}
        return [{name: np.ascontiguousarray(parts[name][place]) for name in parts} for place in range(len(given))]

    def _run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return dict(zip(self._outputs, self._session.run(self._outputs, inputs)))
