"""Which of onnxruntime's execution providers a device stands for, and how it is set up."""

from __future__ import annotations

import contextlib
import hashlib
import io
from pathlib import Path

import onnxruntime

from clipspect.base.errors import BackendError
from clipspect.engines.backend import Tensors
from clipspect.engines.cache import cache_folder, files_of
from clipspect.engines.engine import CPU
from clipspect.engines.graph import IMAGE
from clipspect.engines.onnxruntime.options import CUDA, TENSORRT, OnnxRuntimeOptions
from clipspect.host.system import read_gpus

PROVIDERS = {CPU: "CPUExecutionProvider", CUDA: "CUDAExecutionProvider", TENSORRT: "TensorrtExecutionProvider"}
_HASH_BLOCK = 1 << 20
_KIND = "onnxruntime-tensorrt"  # of engine, in the folder of caches

Settings = dict[str, str]


def built_in() -> list[str]:
    """Devices whose provider is compiled into this onnxruntime, the likely fastest first; that proves none of them."""
    compiled = onnxruntime.get_available_providers()
    return [device for device in (TENSORRT, CUDA, CPU) if PROVIDERS[device] in compiled]


def preload() -> str:
    """Load CUDA's libraries, from NVIDIA's Python packages too; the first that is missing, in onnxruntime's words."""
    if not hasattr(onnxruntime, "preload_dlls"):  # before 1.21 the libraries come from the system only
        return ""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        onnxruntime.preload_dlls()
    return said.getvalue().partition("\n")[0]


def settings(graph: Path, precision: str, options: OnnxRuntimeOptions, example: Tensors | None) -> Settings:
    """The provider's own options. Raises BackendError."""
    if options.device == CUDA:
        return {
            "use_tf32": "0",  # its 10 bits of mantissa would not be the method's digits
            "cudnn_conv_algo_search": "HEURISTIC",  # starts faster, and the graphs have one convolution
            "enable_cuda_graph": "1" if options.cuda_graph else "0",
        }
    if options.device == TENSORRT:
        return _tensorrt(graph, precision, options, example)
    return {}


def require_in_range(inputs: Tensors, options: OnnxRuntimeOptions, example: Tensors) -> None:
    """Raises BackendError for inputs that the TensorRT engine was not built for: no engine is built while scoring."""
    for name, array in inputs.items():
        first, *others = example[name].shape if name in example else ()
        most = options.batch if name == IMAGE else first
        if [*array.shape[1:]] != others or not (1 if name == IMAGE else first) <= len(array) <= most:
            raise BackendError(
                f"the tensorrt engine takes {name} with the shape {(most, *others)}, found {array.shape}: "
                "load the bundle again with this recipe, and batch=N for up to N images"
            )


def _tensorrt(graph: Path, precision: str, options: OnnxRuntimeOptions, example: Tensors | None) -> Settings:
    """One engine for 1 to `batch` images and the other inputs as they are, kept in a folder of its own."""
    if example is None:
        raise BackendError("tensorrt builds for given shapes, and here none are given: take the device cuda or cpu")
    ranges = {
        f"trt_profile_{end}_shapes": ",".join(
            f"{name}:{'x'.join(map(str, (count, *array.shape[1:]) if name == IMAGE else array.shape))}"
            for name, array in example.items()
        )
        for end, count in (("min", 1), ("opt", options.batch), ("max", options.batch))
    }
    try:
        folder = cache_folder(_KIND, options.cache) / _fingerprint(graph, precision, ranges)
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise BackendError(f"no place for the tensorrt engine of {graph.name}: {error}") from error
    return {**ranges, "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder)}


def _fingerprint(graph: Path, precision: str, ranges: Settings) -> str:
    """Of all that a built engine depends on; onnxruntime's own key covers neither weights nor driver."""
    machine = onnxruntime.__version__, read_gpus()  # name, driver, memory and compute capability
    digest = hashlib.sha256(repr((machine, precision, sorted(ranges.items()))).encode())
    for path in files_of(graph):
        with path.open("rb") as file:
            while block := file.read(_HASH_BLOCK):
                digest.update(block)
    return digest.hexdigest()[:32]
