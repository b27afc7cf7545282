"""Calls to a Triton server, each with a deadline: what gRPC says becomes one of our errors."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import grpc
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from clipspect.base.errors import BackendError, UnreachableError
from clipspect.engines.backend import one_line

_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
_UNBOUNDED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]  # galleries are large
_OWN = [("grpc.use_local_subchannel_pool", 1)]  # a new channel connects anew, and does not wait as another one does
_Answer = TypeVar("_Answer")


class LateError(UnreachableError):
    """The deadline is over: another try at once would take as long."""


class Connection:
    """One channel. A context manager; close it, and make another, where the server was away."""

    def __init__(self, address: str, tls: bool, deadline: float) -> None:
        self._address, self._deadline = address, deadline
        options = [*_UNBOUNDED, *_OWN]
        self._channel = (
            grpc.secure_channel(address, grpc.ssl_channel_credentials(), options)
            if tls
            else grpc.insecure_channel(address, options)
        )
        self._server = GRPCInferenceServiceStub(self._channel)

    def infer(self, request: Any) -> Any:
        """Raises UnreachableError where another try can have an answer, BackendError where the server refuses."""
        return self._call(self._server.ModelInfer, request)

    def metadata(self, model: str) -> Any:
        """A model's tensors and versions; raises as `infer` does."""
        return self._call(self._server.ModelMetadata, messages.ModelMetadataRequest(name=model))

    def config(self, model: str) -> Any:
        """A model's configuration, as the server completed it; raises as `infer` does."""
        return self._call(self._server.ModelConfig, messages.ModelConfigRequest(name=model)).config

    def models(self) -> list[str]:
        """The names of all models; raises as `infer` does."""
        answer = self._call(self._server.RepositoryIndex, messages.RepositoryIndexRequest())
        return sorted({model.name for model in answer.models})

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, call: Callable[..., _Answer], request: Any) -> _Answer:
        try:
            return call(request, timeout=self._deadline)
        except grpc.RpcError as error:
            code, where = error.code(), f"the Triton server at {self._address}"
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise LateError(f"{where} has not answered within {self._deadline:g} s") from error
            said = one_line(RuntimeError(error.details()))
            if code in _AWAY:
                raise UnreachableError(
                    f"{where} is not to be reached, or not ready ({said}): start it, or correct its address"
                ) from error
            raise BackendError(f"{where} refuses ({code.name}: {said})") from error
