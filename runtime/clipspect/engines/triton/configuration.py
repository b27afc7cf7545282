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
    steps = [(step.model_name, step.model_version) for step in config.ensemble_scheduling.step]
    if not steps:
        return [served.name]
    expected = [(f"{served.name}-{part}", served.version) for part in (HEAD, ENCODER)]
    if steps != expected:
        raise BackendError(
            f"{where}: {served.name} is made of {steps}, expected {expected}: write the repository again"
        )
    return [name for name, _ in steps]


def _require_place(config: Any, served: Served, where: str) -> None:
    """Raises BackendError where a model is another's, or may compute elsewhere or in other digits than it says."""
    kinds = {group.Kind.Name(group.kind) for group in config.instance_group}
    expected = KINDS[served.device]
    accelerators = config.optimization.execution_accelerators
    given = {item.name: dict(item.parameters) for item in accelerators.gpu_execution_accelerator}
    exact = {"cuda": {"use_tf32": "0"}} if served.device == CUDA else {}
    if (
        _read(config, where) != served
        or config.backend != ENGINES[served.device]
        or kinds != {expected}
        or given != exact
        or accelerators.cpu_execution_accelerator
    ):
        raise BackendError(
            f"{where}: {config.name} computes with {config.backend or config.platform or 'nothing'} as "
            f"{', '.join(sorted(kinds)) or 'nothing'} {given or ''}, expected {ENGINES[served.device]} as {expected} "
            f"{exact or ''} of bundle {served.bundle:.12}: write the repository again with clipspect triton"
        )


def _specs(tensors: Any) -> dict[str, TensorSpec]:
    return {
        tensor.name: TensorSpec(
            DTYPES.get(tensor.datatype, tensor.datatype), tuple(ANY if side < 0 else side for side in tensor.shape)
        )
        for tensor in tensors
    }
