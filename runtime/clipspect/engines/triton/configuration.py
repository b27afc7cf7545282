"""What a Triton server says of a model, compared with what `clipspect triton` wrote: a name alone proves nothing."""

from __future__ import annotations

from typing import Any

from clipspect.base.errors import BackendError
from clipspect.engines.graph import ANY, Signature, TensorSpec
from clipspect.engines.serving import (
    BUNDLE,
    CUDA,
    DEVICE,
    ENCODER,
    ENGINES,
    FILES,
    FOR_HEAD,
    HEAD,
    KINDS,
    MOST_IMAGES,
    PRECISION,
    ROLE,
    TYPES,
    VERSIONS,
    Served,
    model_name,
)
from clipspect.engines.triton.connection import Connection

DTYPES = {name: dtype for dtype, name in TYPES.items()}


def served_graph(connection: Connection, bundle: str, role: str, where: str) -> tuple[Served, Signature]:
    """The bundle's graph of this role on the server, and its tensors. Raises BackendError where it is not there, or is
    another, and UnreachableError.
    """
    name = model_name(bundle, role)
    if name not in (there := connection.models()):
        raise BackendError(
            f"{where} has no model {name} for this bundle, it has: {', '.join(there) or 'none'}: write it with "
            "clipspect triton BUNDLE --out REPOSITORY, or load the bundle that is served"
        )
    config = connection.config(name)
    served = _read(config, where)
    if (served.bundle, served.role) != (bundle, role):
        raise BackendError(
            f"{where}: {name} is of another bundle or graph ({served.bundle:.12} {served.role}) than this one "
            f"({bundle:.12} {role}): write the repository again with clipspect triton"
        )
    for part in _parts(config, served, where):
        own = config if part == name else connection.config(part)
        _require_place(own, served, where)
    metadata = connection.metadata(name)
    if str(served.version) not in metadata.versions:
        raise BackendError(
            f"{where}: {name} has the version {', '.join(metadata.versions) or 'none'}, expected {served.version} for "
            f"{served.device}: write the repository again with clipspect triton"
        )
    return served, Signature(_specs(metadata.inputs), _specs(metadata.outputs))


def _read(config: Any, where: str) -> Served:
    """Of a configuration's parameters."""
    said = {key: value.string_value for key, value in config.parameters.items()}
    device, most = said.get(DEVICE, ""), said.get(MOST_IMAGES, "")
    if device not in VERSIONS or not all(said.get(key) for key in (BUNDLE, ROLE, PRECISION)) or not most.isdecimal():
        raise BackendError(
            f"{where}: the configuration of {config.name} does not say what it is: write the repository again with "
            "clipspect triton"
        )
    return Served(said[BUNDLE], said[ROLE], device, said[PRECISION], int(most))


def _parts(config: Any, served: Served, where: str) -> list[str]:
    """The models that compute: the two parts of an ensemble, or the model itself."""
    steps = config.ensemble_scheduling.step
    if not steps:
        return [served.name]
    found = [(step.model_name, step.model_version) for step in steps]
    expected = [(f"{served.name}-{part}", served.version) for part in (HEAD, ENCODER)]
    if found != expected:
        raise BackendError(
            f"{where}: {served.name} is made of {found}, expected {expected}: write the repository again"
        )
    read = [pair for step in steps for pair in step.input_map.items()]
    answered = [pair for step in steps for pair in step.output_map.items()]
    crossed = [
        *(pair for pair in read if pair[1].removesuffix(FOR_HEAD) != pair[0]),
        *(pair for pair in answered if pair[1] != pair[0]),
    ]
    if crossed or config.max_batch_size:
        raise BackendError(
            f"{where}: {served.name} takes {', '.join(map(' for '.join, crossed)) or 'joined requests'}, expected each "
            "tensor for itself: write the repository again"
        )
    return [name for name, _ in found]


def _require_place(config: Any, served: Served, where: str) -> None:
    """Raises BackendError where a model is another's, reads another file, joins what is to be apart, or may compute
    elsewhere or in other digits than it says.
    """
    engine = ENGINES[served.device]
    accelerators = config.optimization.execution_accelerators
    exact = {"cuda": {"use_tf32": "0"}} if served.device == CUDA else {}
    most = served.most_images if config.name == f"{served.name}-{ENCODER}" else 0
    expected = _computing(FILES[engine], engine, {KINDS[served.device]}, exact, most)
    found = _computing(
        ", ".join([config.default_model_filename, *config.cc_model_filenames.values()]),
        config.backend or config.platform or "nothing",
        {group.Kind.Name(group.kind) for group in config.instance_group},
        {item.name: dict(item.parameters) for item in accelerators.gpu_execution_accelerator},
        config.max_batch_size,
    )
    if _read(config, where) != served or found != expected or accelerators.cpu_execution_accelerator:
        raise BackendError(
            f"{where}: {config.name} computes {found}, expected {expected} of bundle {served.bundle:.12}: write the "
            "repository again with clipspect triton"
        )


def _computing(file: str, engine: str, kinds: set[str], accelerated: dict[str, Any], joined: int) -> str:
    options = f" {accelerated}" if accelerated else ""
    requests = f"up to {joined} images of joined requests" if joined else "requests apart"
    return f"{file} with {engine} as {', '.join(sorted(kinds)) or 'nothing'}{options}, {requests}"


def _specs(tensors: Any) -> dict[str, TensorSpec]:
    return {
        tensor.name: TensorSpec(
            DTYPES.get(tensor.datatype, tensor.datatype), tuple(ANY if side < 0 else side for side in tensor.shape)
        )
        for tensor in tensors
    }
