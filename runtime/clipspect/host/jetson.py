"""NVIDIA Jetsons: module, Jetson Linux and JetPack, from the system's own files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from clipspect.host.system import text_of


@dataclass(frozen=True)
class JetPack:
    """A release: what its Jetson Linux is, and the versions that come with it."""

    version: str
    l4t: tuple[str, ...]
    python: str
    cuda: str
    tensorrt: str


# developer.nvidia.com/embedded/jetpack-archive, and the components' versions in the release notes
JETPACKS = (
    JetPack("6.0", ("36.3.0",), "3.10", "12.2", "8.6"),
    JetPack("6.1", ("36.4.0",), "3.10", "12.6", "10.3"),
    JetPack("6.2", ("36.4.3",), "3.10", "12.6", "10.3"),
    JetPack("6.2.1", ("36.4.4", "36.4.7"), "3.10", "12.6", "10.3"),
    JetPack("6.2.2", ("36.5.0",), "3.10", "12.6", "10.3"),
    JetPack("7.0", ("38.2.0", "38.2.1", "38.2.2"), "3.12", "13.0", "10.13"),
    JetPack("7.1", ("38.4.0",), "3.12", "13.0", "10.13"),
    JetPack("7.2", ("39.2.0",), "3.12", "13.2", "10.16"),
    JetPack("7.2.1", ("39.2.1",), "3.12", "13.2", "10.16"),
)
_MAJOR_OF_L4T = {"32": "4", "35": "5", "36": "6", "38": "7", "39": "7"}

# by the part number in the device tree's list of what the board is compatible with
_MODULES = {
    "p3701-0000": "AGX Orin (developer kit)", "p3701-0004": "AGX Orin 32GB", "p3701-0005": "AGX Orin 64GB",
    "p3701-0008": "AGX Orin Industrial", "p3767-0000": "Orin NX 16GB", "p3767-0001": "Orin NX 8GB",
    "p3767-0003": "Orin Nano 8GB", "p3767-0004": "Orin Nano 4GB", "p3767-0005": "Orin Nano 8GB (developer kit)",
    "p3834-0005": "T4000", "p3834-0008": "T5000",
}  # fmt: skip
# NVIDIA's Jetson AI Lab; JetPack 7 takes wheels of any Arm server with CUDA 13
_WHEEL_INDEXES = {
    "6": "https://pypi.jetson-ai-lab.io/jp6/cu126/+simple",
    "7": "https://pypi.jetson-ai-lab.io/sbsa/cu130/+simple",
}
_CHIPS = {"tegra194": "Xavier", "tegra234": "Orin", "tegra264": "Thor"}


@dataclass(frozen=True)
class Jetson:
    """None where the board does not say. L4T is Jetson Linux's version."""

    model: str
    module: str | None  # e.g. "Orin Nano 8GB"; of one that is not known here, its part number
    chip: str | None  # "Orin", "Thor"
    l4t: str | None
    jetpack: str | None  # e.g. "6.2"; only the major version of a release that is not known here
    jetpack_installed: bool  # nvidia-jetpack, the package that brings CUDA and TensorRT


def read_jetson(root: Path, packages: dict[str, str]) -> Jetson | None:
    """From the device tree, /etc/nv_tegra_release, and the system's packages as `nvidia.read_packages` has them."""
    model = text_of(root / "proc/device-tree/model").rstrip("\0\n")
    release = text_of(root / "etc/nv_tegra_release")
    if not release and "jetson" not in model.lower():
        return None
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", release)
    l4t = f"{found[1]}.{found[2]}" if found else packages.get("nvidia-l4t-core", "").partition("-")[0] or None
    package = re.match(r"[\d.]+", packages.get("nvidia-jetpack", ""))
    compatible = text_of(root / "proc/device-tree/compatible")
    return Jetson(
        model=model or "unknown model",
        module=_module(compatible),
        chip=next((name for chip, name in _CHIPS.items() if chip in compatible), None),
        l4t=l4t,
        jetpack=package[0] if package else _jetpack_of(l4t),
        jetpack_installed=package is not None,
    )


def release_of(jetson: Jetson) -> JetPack | None:
    """The row of a Jetson's JetPack; None for one that is not known here."""
    return next((release for release in JETPACKS if release.version == jetson.jetpack), None)


def _jetpack_of(l4t: str | None) -> str | None:
    if l4t is None:
        return None
    known = next((release.version for release in JETPACKS if l4t in release.l4t), None)
    return known or _MAJOR_OF_L4T.get(l4t.partition(".")[0])


def _module(compatible: str) -> str | None:
    """The last part number is the module's: a developer kit names its carrier board first."""
    parts = re.findall(r"p\d{4}-\d{4}", compatible)
    return _MODULES.get(parts[-1], parts[-1]) if parts else None


def wheel_index(jetson: Jetson) -> str | None:
    """NVIDIA's package index of wheels for this Jetson's JetPack; None where there is none that is known."""
    return _WHEEL_INDEXES.get((jetson.jetpack or "").partition(".")[0])
