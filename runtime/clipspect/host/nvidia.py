"""CUDA, TensorRT and cuDNN of the system, and the engines' wheels: what must fit together on a GPU."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from clipspect.host.system import text_of

# the distributions that bring an engine, or the way to one, by their normalised names
_ENGINES = (
    "onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt", "tensorrt-cu12", "tensorrt-cu13", "tensorrt-rtx-cu12",
    "tensorrt-rtx-cu13", "cuda-python", "cuda-bindings",
)  # fmt: skip
_BUILD_INFO = "onnxruntime/capi/build_and_package_info.py"


@dataclass(frozen=True)
class Nvidia:
    """Versions that the system's packages have installed; None for what is not there."""

    cuda: str | None
    tensorrt: str | None
    tensorrt_python: str | None  # its module for the system's Python
    cudnn: str | None


@dataclass(frozen=True)
class Wheel:
    """An engine's distribution in this Python."""

    name: str
    version: str
    architecture: str | None  # "x86_64", "aarch64"; None of one without machine code
    cuda: str | None  # that it was built for, where it says


def read_packages(root: Path = Path("/")) -> dict[str, str]:
    """Name to version of each installed Debian package, from dpkg's status file."""
    packages = {}
    for entry in re.split(r"\n\n+", text_of(root / "var/lib/dpkg/status")):
        name, status, version = (
            re.search(rf"^{field}: (.+)$", entry, re.MULTILINE) for field in ("Package", "Status", "Version")
        )
        if name and version and status and status[1].endswith(" installed"):
            packages[name[1]] = version[1]
    return packages


def read_nvidia(root: Path, packages: Mapping[str, str]) -> Nvidia:
    """From the packages, and /usr/local/cuda/version.json, which an installation without packages has, too."""
    return Nvidia(
        cuda=_cuda(root) or _version(packages, r"cuda-cudart-\d+-\d+"),
        tensorrt=_version(packages, r"libnvinfer\d+"),
        tensorrt_python=_version(packages, r"python3-libnvinfer"),
        cudnn=_version(packages, r"libcudnn\d+(-cuda-\d+)?"),
    )


def read_wheels(path: Sequence[str] | None = None) -> tuple[Wheel, ...]:
    """The engines among this Python's distributions, or among those in the folders of `path`; nothing is imported."""
    wheels = {}
    for distribution in metadata.distributions() if path is None else metadata.distributions(path=list(path)):
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()
        if name in _ENGINES and name not in wheels:  # what comes first on the path is what is imported
            wheels[name] = Wheel(name, distribution.version, _architecture(distribution), _built_for(distribution))
    return tuple(wheels[name] for name in _ENGINES if name in wheels)


def major(version: str) -> str:
    return version.partition(".")[0]


def _cuda(root: Path) -> str | None:
    try:
        version = json.loads(text_of(root / "usr/local/cuda/version.json"))["cuda"]["version"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(version)


def _version(packages: Mapping[str, str], pattern: str) -> str | None:
    """Of the newest package whose name is like this, without Debian's revision: "10.3.0.30-1+cuda12.5" is 10.3.0.30."""
    found = [version.partition("-")[0] for name, version in packages.items() if re.fullmatch(pattern, name)]
    return max(found, key=lambda version: [int(part) for part in re.findall(r"\d+", version)], default=None)


def _architecture(distribution: metadata.Distribution) -> str | None:
    """By the wheel's tags, e.g. "cp310-cp310-manylinux_2_28_aarch64"."""
    tags = re.findall(r"^Tag: (\S+)", distribution.read_text("WHEEL") or "", re.MULTILINE)
    found = (re.search(r"(x86_64|aarch64|win_amd64|arm64)$", tag) for tag in tags)
    return next((match[1] for match in found if match), None)


def _built_for(distribution: metadata.Distribution) -> str | None:
    """The CUDA that an onnxruntime was built for, as it says itself; of others, what a +cu12 or -cu12 says."""
    said = re.search(r"cuda_version = '([\d.]+)'", text_of(Path(str(distribution.locate_file(_BUILD_INFO)))))
    if said and distribution.metadata["Name"].startswith("onnxruntime"):
        return said[1]
    named = re.search(r"[-+_]cu(\d\d)", f"{distribution.metadata['Name']} {distribution.version}")
    return named[1] if named else None
