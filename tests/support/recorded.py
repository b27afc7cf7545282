"""The recorded machines, and engines' wheels as pip would have left them."""

from __future__ import annotations

from pathlib import Path

from clipspect.host.machine import Machine, read_machine

TREES = Path(__file__).parents[1] / "runtime/jetson/trees"
ORIN_NANO, AGX_ORIN, THOR, PC = "orin-nano-jetpack6.2", "agx-orin-jetpack6.1-bare", "thor-jetpack7.0", "pc-rtx4070"


def machine(tree: str, *wheels: Path) -> Machine:
    """A recorded machine with these folders of wheels."""
    return read_machine(TREES / tree, [str(folder) for folder in wheels])


def wheel(folder: Path, name: str, version: str, tag: str, cuda: str | None = None) -> Path:
    """What an installed wheel leaves in a folder of packages: its metadata and, of onnxruntime, its build's."""
    module = name.replace("-", "_")
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
    if cuda is not None:
        build = folder / "onnxruntime/capi/build_and_package_info.py"
        build.parent.mkdir(parents=True)
        build.write_text(f"package_name = '{name}'\n__version__ = '{version}'\ncuda_version = '{cuda}'\n")
    return folder
