"""The C++ programs: built once with sanitizers, called as a user would."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "runtime" / "cpp"
BUILD = ROOT / "build" / "cpp-tests"  # kept: what has not changed is not compiled again
_NEEDS = (
    "the C++ tests need cmake, g++, libjpeg62-turbo-dev, libpng-dev, libssl-dev and nlohmann-json3-dev (Debian's names)"
)
_SANITIZED = ("Sanitizer", "runtime error")  # what AddressSanitizer, LeakSanitizer and UBSan say
_ENVIRONMENT = {
    **os.environ,
    "TBB_ENABLE_SANITIZERS": "1",  # else TBB loads a library in a way that AddressSanitizer refuses
    "LSAN_OPTIONS": f"suppressions={Path(__file__).with_name('lsan.supp')}:print_suppressions=0",
}


def build() -> Path:
    """The folder with inspect, minimal and the tests' programs; skips where there are no tools for that."""
    _require_tools()
    openvino = pytest.importorskip("openvino", reason="the C++ tests are built with OpenVINO's wheel")
    settings = {
        "OpenVINO_DIR": Path(openvino.__file__).parent / "cmake",
        "CLIPSPECT_TESTS": "ON",
        "CLIPSPECT_SANITIZE": "ON",
        "CMAKE_BUILD_TYPE": "None",
        "CMAKE_CXX_FLAGS": "-O1",
    }
    defined = [f"-D{name}={value}" for name, value in settings.items()]
    BUILD.mkdir(parents=True, exist_ok=True)
    with FileLock(BUILD / "building"):  # of pytest-xdist, several workers come at once
        _checked("cmake", "-S", SOURCE, "-B", BUILD, *defined)
        _checked("cmake", "--build", BUILD, "--parallel", "2")
    return BUILD


def call(program: Path, *arguments: object, status: int = 0, asan_options: str = "") -> tuple[bytes, str]:
    """What a program wrote to stdout and stderr; asserts its status, and that no sanitizer had anything to say."""
    environment = {**_ENVIRONMENT, "ASAN_OPTIONS": asan_options} if asan_options else _ENVIRONMENT
    done = subprocess.run(
        [program, *map(str, arguments)], env=environment, capture_output=True, timeout=300, check=False
    )
    said = done.stderr.decode("utf-8", "backslashreplace")
    assert not any(word in said for word in _SANITIZED), said
    assert done.returncode == status, said
    return done.stdout, said


def _require_tools() -> None:
    compiler = shutil.which("g++")
    if compiler is None or shutil.which("cmake") is None:
        pytest.skip(_NEEDS)
    names = "cstddef", "cstdio", "jpeglib.h", "png.h", "openssl/evp.h", "nlohmann/json.hpp"
    headers = "".join(f"#include <{name}>\n" for name in names)
    found = subprocess.run(
        [compiler, "-x", "c++", "-E", "-"], input=headers, text=True, capture_output=True, check=False
    )
    if found.returncode != 0:
        pytest.skip(_NEEDS)


def _checked(*command: object) -> None:
    done = subprocess.run([*map(str, command)], text=True, capture_output=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
