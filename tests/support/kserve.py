"""A small server that speaks KServe's second protocol over gRPC, as Triton does: a model repository in onnxruntime.

For what a real server is not asked to do: to answer wrongly, late, or not at all. tests/support/tritonserver.py is the
real one. Messages and service are those of tritonclient; `config.pbtxt` is read by its protobuf.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceServicer, add_GRPCInferenceServiceServicer_to_server

import clipspect
from clipspect.engines.serving import TYPES

DTYPES = {name: np.dtype(dtype) for dtype, name in TYPES.items()}


def read_config(folder: Path) -> Any:
    """By the protobuf of Triton's own client, which refuses a field that there is not."""
    return text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


class Repository(GRPCInferenceServiceServicer):
    """Serves the models of a folder as they were when it was made."""

    def __init__(self, root: Path, change: Callable[[Any], object], delay: float) -> None:
        self.configs = {folder.name: read_config(folder) for folder in root.iterdir() if folder.is_dir()}
        self.versions = {
            name: [path.name for path in (root / name).iterdir() if path.is_dir()] for name in self.configs
        }
        self._root, self._change, self._delay = root, change, delay
        self.over = threading.Event()
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    def RepositoryIndex(self, request: Any, context: Any) -> Any:  # noqa: N802
        rows = [messages.RepositoryIndexResponse.ModelIndex(name=name) for name in self.configs]
        return messages.RepositoryIndexResponse(models=rows)

    def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return messages.ModelConfigResponse(config=self._known(request.name, context))

    def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        config = self._known(request.name, context)
        answer = messages.ModelMetadataResponse(name=config.name, versions=self.versions[config.name])
        for tensors, said in ((config.input, answer.inputs), (config.output, answer.outputs)):
            for tensor in tensors:
                kind = model_config_pb2.DataType.Name(tensor.data_type).removeprefix("TYPE_")
                batch = [-1] if config.max_batch_size else []
                said.add(name=tensor.name, datatype=kind, shape=[*batch, *tensor.dims])
        return answer

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.over.wait(self._delay)
        config = self._known(request.model_name, context)
        if request.model_version not in self.versions[config.name]:
            context.abort(grpc.StatusCode.NOT_FOUND, f"unknown version {request.model_version} of {config.name}")
        given = {
            tensor.name: np.frombuffer(content, DTYPES[tensor.datatype]).reshape(tensor.shape)
            for tensor, content in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        found = self._run(config, given)
        answer = messages.ModelInferResponse(model_name=config.name, model_version=request.model_version)
        for name in reversed([output.name for output in request.outputs]):  # Triton keeps no order
            values = found[name]
            answer.outputs.add(name=name, datatype=TYPES[values.dtype.name], shape=values.shape)
            answer.raw_output_contents.append(values.tobytes())
        self._change(answer)
        return answer

    def _known(self, name: str, context: Any) -> Any:
        if name not in self.configs:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
        return self.configs[name]

    def _run(self, config: Any, given: dict[str, Any]) -> dict[str, Any]:
        if not config.ensemble_scheduling.step:
            session = self._session(config)
            names = [output.name for output in session.get_outputs()]
            return dict(zip(names, session.run(names, {item.name: given[item.name] for item in session.get_inputs()})))
        tensors = dict(given)
        for step in reversed(config.ensemble_scheduling.step):  # written so: the head is first
            found = self._run(
                self.configs[step.model_name], {name: tensors[source] for name, source in step.input_map.items()}
            )
            tensors |= {target: found[name] for name, target in step.output_map.items()}
        return tensors

    def _session(self, config: Any) -> onnxruntime.InferenceSession:
        if config.name not in self._sessions:
            (version,) = self.versions[config.name]
            path = self._root / config.name / version / config.default_model_filename
            self._sessions[config.name] = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return self._sessions[config.name]


class Server:
    """A context manager: a server on a port of this machine, which it keeps when it is stopped and started again."""

    def __init__(self, root: Path, tls: tuple[Path, Path] | None = None) -> None:
        """`tls`: a certificate and its private key."""
        self.root, self._tls = root, tls
        self.change: Callable[[Any], object] = lambda answer: None  # of every answer
        self.delay = 0.0  # of every answer, in seconds
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"grpc{'' if tls is None else 's'}://127.0.0.1:{self.port}"

    def start(self, root: Path | None = None) -> None:
        """With another repository, if one is given."""
        self.root = root or self.root
        self.repository = Repository(self.root, self._changed, self.delay)
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
        add_GRPCInferenceServiceServicer_to_server(self.repository, self._server)
        assert self._opened(f"127.0.0.1:{self.port}") == self.port
        self._server.start()

    def _opened(self, address: str) -> int:
        if self._tls is None:
            return int(self._server.add_insecure_port(address))
        certificate, key = (path.read_bytes() for path in self._tls)
        return int(self._server.add_secure_port(address, grpc.ssl_server_credentials([(key, certificate)])))

    def _changed(self, answer: Any) -> None:
        self.change(answer)

    def stop(self) -> None:
        self.repository.over.set()
        self._server.stop(0).wait()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def load(bundle: Path | str, server: Server, recipe: Any = None, **options: Any) -> clipspect.Inspector:
    return clipspect.load(bundle, recipe, "triton", url=server.url, **options)
