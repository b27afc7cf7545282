"""A bundle's graph on a Triton server: the one that was asked for, by what the server says of it, or none.

Each request names model and version, which stand for bundle, role and engine, and the answer must name them as well.
The server's own configuration is compared whenever a connection is made, and every second.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt
from tritonclient.grpc import service_pb2 as messages

from clipspect.base.errors import BackendError, UnreachableError
from clipspect.engines.backend import Arrays, Backend, Tensors
from clipspect.engines.engine import Probe
from clipspect.engines.graph import Graph, Signature
from clipspect.engines.serving import TYPES, Served
from clipspect.engines.triton.configuration import DTYPES, served_graph
from clipspect.engines.triton.connection import Connection, LateError
from clipspect.engines.triton.options import TritonOptions

NAME = "triton"
_COMPARE_S = 1.0  # gRPC connects again by itself, and a server can be told to load another model while it runs
_MANIFEST = "bundle.json"  # lies beside every graph of a bundle


class TritonBackend(Backend):
    """A graph on a server. Where the connection is lost, a run makes another, once. It raises UnreachableError where
    that fails, and the next run begins with another connection.
    """

    name = NAME

    def __init__(
        self, connection: Connection, served: Served, signature: Signature, graph: Graph | None, options: TritonOptions
    ) -> None:
        super().__init__(
            signature, graph, device=served.device, precision=served.precision, most_images=served.most_images
        )
        self._served, self._signature, self._options = served, signature, options
        self._connection: Connection | None = connection
        self._compared_at = monotonic()  # with what the server has
        self._constants: dict[str, tuple[npt.NDArray[Any], bytes]] = {}  # read-only inputs, and as they are sent

    def _run(self, inputs: Tensors, outputs: Sequence[str]) -> Arrays:
        request = self._request(inputs, outputs)
        if self._connection is not None:
            try:
                return self._answer(self._connection, request)
            except LateError:
                self._disconnect()
                raise
            except UnreachableError:
                self._disconnect()
        self._connection = Connection(*self._options.address, self._options.deadline)
        self._compared_at = -math.inf
        try:
            return self._answer(self._connection, request)
        except UnreachableError:
            self._disconnect()
            raise

    def _close(self) -> None:
        self._disconnect()

    def _answer(self, connection: Connection, request: Any) -> Arrays:
        """Raises BackendError where the server has another graph than before."""
        if monotonic() - self._compared_at > _COMPARE_S:
            where = _where(self._options)
            now = served_graph(connection, self._served.bundle, self._served.role, where)
            if now != (self._served, self._signature):
                raise BackendError(f"{where} has another {self._served.name} than before: load the bundle again")
            self._compared_at = monotonic()
        return self._arrays(connection.infer(request))

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _request(self, inputs: Tensors, outputs: Sequence[str]) -> Any:
        request = messages.ModelInferRequest(model_name=self._served.name, model_version=str(self._served.version))
        for name, array in inputs.items():
            request.inputs.add(name=name, datatype=TYPES[array.dtype.name], shape=array.shape)
            request.raw_input_contents.append(self._sent(name, array))
        for name in outputs:
            request.outputs.add(name=name)
        return request

    def _sent(self, name: str, array: npt.NDArray[Any]) -> bytes:
        """An input's bytes; those of a constant are made once."""
        if array.flags.writeable:
            return array.tobytes()
        known = self._constants.get(name)
        if known is None or known[0] is not array:
            known = self._constants[name] = (array, array.tobytes())
        return known[1]

    def _arrays(self, answer: Any) -> Arrays:
        """Raises BackendError for an answer of another model, or one that is not what it says."""
        found, expected = (answer.model_name, answer.model_version), (self._served.name, str(self._served.version))
        where = _where(self._options)
        if found != expected:
            raise BackendError(
                f"{where} answered for {' version '.join(found)}, asked for {' version '.join(expected)}"
            )
        if len(answer.outputs) != len(answer.raw_output_contents):
            raise BackendError(f"{where} answered {len(answer.outputs)} tensors without their values: load it again")
        arrays = {}
        for tensor, content in zip(answer.outputs, answer.raw_output_contents):
            dtype = np.dtype(DTYPES.get(tensor.datatype, "V"))
            if dtype.itemsize * math.prod(tensor.shape) != len(content):
                raise BackendError(
                    f"{where} answered {tensor.name} as {tensor.datatype} {tuple(tensor.shape)} in {len(content)} bytes"
                )
            arrays[tensor.name] = np.frombuffer(content, dtype).reshape(tensor.shape).copy()
        return arrays


def open_session(
    path: Path,
    precision: str,
    options: TritonOptions,
    example: Tensors | None = None,
    graph: Graph | None = None,
) -> TritonBackend:
    """Connect to the graph of a verified bundle; nothing but names and digest is read of it here.

    Raises BackendError where the server has not this graph, on the device and in the precision that were asked for;
    UnreachableError where it does not answer.
    """
    bundle, role = _identity(path)
    connection, served, signature = _connect(bundle, role, options)
    try:
        for what, wanted, found in (
            ("on", options.device, served.device),
            ("in", options.precision or precision, served.precision),
        ):
            if wanted not in (None, found):
                raise BackendError(
                    f"{_where(options)} computes {what} {found}, asked for {wanted}: write the repository so with "
                    "clipspect triton, or take what it has"
                )
        return TritonBackend(connection, served, signature, graph, options)
    except BackendError:
        connection.close()
        raise


def devices() -> list[str]:
    """None: a server is taken by its address alone."""
    return []


def probe(path: Path, inputs: Tensors) -> list[Probe]:
    """Nothing: this engine has no device of this machine."""
    return []


def _connect(bundle: str, role: str, options: TritonOptions) -> tuple[Connection, Served, Signature]:
    connection = Connection(*options.address, options.deadline)
    try:
        return (connection, *served_graph(connection, bundle, role, _where(options)))
    except BackendError:
        connection.close()
        raise


def _where(options: TritonOptions) -> str:
    return f"the Triton server at {options.address[0]}"


def _identity(path: Path) -> tuple[str, str]:
    """The digest of the graph's bundle, and the graph's role in it. Raises BackendError for a graph of no bundle."""
    try:
        data = (path.parent / _MANIFEST).read_bytes()
        graphs = json.loads(data)["graphs"]
        role = next(role for role, graph in graphs.items() if graph["file"] == path.name)
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise BackendError(
            f"{path}: is no graph of a bundle that inspects, which are all that {NAME} serves: take an engine of this "
            "machine for it, such as --backend onnxruntime"
        ) from error
    return hashlib.sha256(data).hexdigest(), role
