"""A real Triton server on this machine: the one that the package nvidia-pytriton brings, without a GPU.

The package has the server's core and its Python backend, and no other. So scheduling, joining of requests, ensembles,
versions and gRPC are Triton's own, while the backend `onnxruntime` is tritonserver_backends/onnxruntime/model.py.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from support.installed import Environment, call
from support.watched import wait_for

PACKAGES = ("nvidia-pytriton==0.7.0", "numpy==1.26.4")  # its Python backend reads arrays of NumPy 1 alone
BACKENDS = Path(__file__).with_name("tritonserver_backends")
can_run = (sys.platform, platform.machine()) == ("linux", "x86_64") and sys.version_info < (3, 13)
needs_tritonserver = pytest.mark.skipif(not can_run, reason="nvidia-pytriton is for Linux on x86-64 and NumPy 1")


def install(root: Path) -> None:
    """An environment of its own with the server and onnxruntime."""
    call("uv", "venv", "--quiet", "--python", sys.executable, root)
    environment = Environment(root)
    environment.install("--no-deps", *PACKAGES)
    environment.install("onnxruntime", PACKAGES[1])
    package = _package(root)
    shutil.copytree(BACKENDS, root / "backends")
    shutil.copytree(package / "backends" / "python", root / "backends" / "python")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = package / "python_backend_stubs" / version / "triton_python_backend_stub"
    shutil.copy(stub, root / "backends" / "python")


def _package(root: Path) -> Path:
    (package,) = root.glob("lib/python*/site-packages/pytriton/tritonserver")
    return package


class TritonServer:
    """A context manager: a server over a repository, on a port that it keeps when it is killed and started again."""

    def __init__(self, root: Path, repository: Path, log: Path) -> None:
        """`root` is what `install` has filled."""
        self._root, self.repository, self._log = root, repository, log
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"grpc://{self._address}"

    def start(self) -> None:
        """Returns when all models are loaded and warm."""
        package = _package(self._root)
        options = {
            "--model-repository": self.repository,
            "--backend-directory": self._root / "backends",
            "--grpc-address": "127.0.0.1",
            "--grpc-port": self._address.rpartition(":")[2],
            "--allow-http": "false",
            "--allow-metrics": "false",
        }
        libraries = package.parents[1] / "nvidia_pytriton.libs"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment |= {"LD_LIBRARY_PATH": str(libraries), "PATH": f"{self._root / 'bin'}:{os.environ['PATH']}"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(package / "bin" / "tritonserver"), *(str(part) for pair in options.items() for part in pair)],
                env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        wait_for(lambda: self._is_ready() or self._process.poll() is not None)
        assert self._process.poll() is None, self._log.read_text(errors="replace")[-4000:]

    def kill(self) -> None:
        """As a crash does."""
        self._process.kill()
        self._process.wait()

    def runs_of(self, model: str) -> tuple[int, int]:
        """Images, and the runs in which they were."""
        with grpc.insecure_channel(self._address) as channel:
            request = messages.ModelStatisticsRequest(name=model)
            (row,) = GRPCInferenceServiceStub(channel).ModelStatistics(request, timeout=60).model_stats
        return row.inference_count, row.execution_count

    def _is_ready(self) -> bool:
        try:
            with grpc.insecure_channel(self._address) as channel:
                return bool(
                    GRPCInferenceServiceStub(channel).ServerReady(messages.ServerReadyRequest(), timeout=5).ready
                )
        except grpc.RpcError:
            return False

    def __enter__(self) -> TritonServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
