"""The lab is in every installation: what needs more than the runtime says so when it is used."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import clipspect_lab

EXTRA = ("onnx", "sklearn", "scipy", "matplotlib", "torch", "tokenizers")


def test_every_module_of_the_lab_is_imported_with_nothing_but_the_runtimes_own_dependencies() -> None:
    names = [module.name for module in pkgutil.walk_packages(clipspect_lab.__path__, "clipspect_lab.")]
    assert "clipspect_lab.demo.table" in names
    assert "clipspect_lab.benchmark.gemm" in names
    code = f"import sys, importlib\nsys.modules.update(dict.fromkeys({EXTRA!r}))\n"
    code += f"for name in {names!r}: importlib.import_module(name)\n"
    subprocess.run([sys.executable, "-c", code], check=True)
