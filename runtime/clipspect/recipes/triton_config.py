"""A model's `config.pbtxt` for Triton: what it takes and answers, how requests are joined, where it computes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from clipspect.engines.graph import IMAGE, TensorSpec
from clipspect.engines.onnx_split import Split
from clipspect.engines.serving import CUDA, ENCODER, ENGINES, FILES, HEAD, KINDS, TYPES, Served

Specs: TypeAlias = Mapping[str, TensorSpec]
Fields: TypeAlias = dict[str, Any]  # of a message: text, numbers, `Word`, messages, and lists of these


class Word(str):
    """Text without quotation marks: the name of a constant."""

    __slots__ = ()


def whole(served: Served, inputs: Specs, outputs: Specs, instances: int) -> str:
    """Of a graph that each request has for itself."""
    return _text(
        {
            **_head(served, served.name),
            "max_batch_size": 0,
            **_tensors(inputs, outputs),
            **_computed(served, instances),
            "model_warmup": [_warm_up("one image", inputs, 1, batched=False)],
        }
    )


def encoder(served: Served, inputs: Specs, outputs: Specs, instances: int, batch: int) -> str:
    """Of the first part: the images of requests that wait are joined, whatever their recipes."""
    warm_ups = [_warm_up(f"{count} image(s)", inputs, count, batched=True) for count in sorted({1, batch})]
    return _text(
        {
            **_head(served, f"{served.name}-{ENCODER}"),
            "max_batch_size": batch,
            **_tensors(inputs, outputs, batched=True),
            "dynamic_batching": {"max_queue_delay_microseconds": 0},
            **_computed(served, instances),
            "model_warmup": warm_ups,
        }
    )


def head(served: Served, inputs: Specs, outputs: Specs, instances: int) -> str:
    """Of the second part: what the encoder answered, and the features of one recipe."""
    return _text(
        {
            **_head(served, f"{served.name}-{HEAD}"),
            "max_batch_size": 0,
            **_tensors(inputs, outputs),
            **_computed(served, instances),
            "model_warmup": [_warm_up("one image", inputs, 1, batched=False)],
        }
    )


def joined(served: Served, inputs: Specs, outputs: Specs, parts: Split) -> str:
    """Of the graph that clients ask for, whose two parts these are.

    Triton takes the first step for what inputs come from, and leaves it out with the steps that read them: the head.
    """
    steps = [
        {
            "model_name": f"{served.name}-{name}",
            "model_version": served.version,
            "input_map": [{"key": own, "value": parts.copied.get(own, own)} for own in part.inputs],
            "output_map": [{"key": own, "value": own} for own in part.outputs],
        }
        for name, part in ((HEAD, parts.head), (ENCODER, parts.encoder))
    ]
    return _text(
        {
            "name": served.name,
            "platform": "ensemble",
            "max_batch_size": 0,
            **_tensors(inputs, outputs),
            "ensemble_scheduling": {"step": steps},
            **_said(served),
        }
    )


def _head(served: Served, name: str) -> Fields:
    engine = ENGINES[served.device]
    return {"name": name, "backend": engine, "default_model_filename": FILES[engine]}


def _tensors(inputs: Specs, outputs: Specs, *, batched: bool = False) -> Fields:
    """With `batched` the number of images is left out: Triton adds it."""
    return {
        word: [
            {
                "name": name,
                "data_type": Word(f"TYPE_{TYPES[spec.dtype]}"),
                "dims": [-1 if isinstance(side, str) else side for side in spec.shape[int(batched) :]],
            }
            for name, spec in specs.items()
        ]
        for word, specs in (("input", inputs), ("output", outputs))
    }


def _computed(served: Served, instances: int) -> Fields:
    """Where, and in which digits: on a GPU onnxruntime would round to TF32."""
    fields: Fields = {"instance_group": [{"kind": Word(KINDS[served.device]), "count": instances}], **_said(served)}
    if served.device == CUDA:
        cuda = {"name": "cuda", "parameters": [{"key": "use_tf32", "value": "0"}]}
        fields["optimization"] = {"execution_accelerators": {"gpu_execution_accelerator": [cuda]}}
    return fields


def _said(served: Served) -> Fields:
    said = [{"key": key, "value": {"string_value": value}} for key, value in served.parameters.items()]
    return {"version_policy": {"specific": {"versions": [served.version]}}, "parameters": said}


def _warm_up(name: str, inputs: Specs, count: int, *, batched: bool) -> Fields:
    """A request of zeros, with one prompt, row or window of each kind."""
    shapes = {
        key: [(count if key == IMAGE else 1) if isinstance(side, str) else side for side in spec.shape]
        for key, spec in inputs.items()
    }
    entries = [
        {
            "key": key,
            "value": {
                "data_type": Word(f"TYPE_{TYPES[inputs[key].dtype]}"),
                "dims": shape[int(batched) :],
                "zero_data": True,
            },
        }
        for key, shape in shapes.items()
    ]
    return {"name": name, "batch_size": count if batched else 1, "inputs": entries}


def _text(fields: Fields) -> str:
    """Protobuf's text format."""
    return "\n".join(_lines(fields)) + "\n"


def _lines(fields: Fields, indent: str = "") -> Iterator[str]:
    for key, value in fields.items():
        values: Sequence[Any] = value if isinstance(value, list) else [value]
        if values and all(isinstance(one, int) for one in values) and isinstance(value, list):
            yield f"{indent}{key}: [{', '.join(map(str, values))}]"
            continue
        for one in values:
            if isinstance(one, dict):
                yield f"{indent}{key} {{"
                yield from _lines(one, indent + "  ")
                yield f"{indent}}}"
            else:
                yield f"{indent}{key}: {_scalar(one)}"


def _scalar(value: str | int) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (Word, int)) else json.dumps(value)
