"""Engines neither write into the user's folders nor call anybody: watched in a network that has no way out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

WATCHED_SECONDS = 13  # onnxruntime 1.32 looks its collector up after 8
ATTEMPT = "OutNoRoutes"  # the kernel's count of packets and connections that found no way out of their network

# what every process of the test does at its end: wait, and say how often it or its children tried to reach anybody
WAIT = f"""
import time
def attempts():
    rows = [line.split() for line in open("/proc/net/snmp") if line.startswith("Ip:")]
    six = [line.split() for line in open("/proc/net/snmp6")] if __import__("os").path.exists("/proc/net/snmp6") else []
    return int(dict(zip(*rows))["{ATTEMPT}"]) + sum(int(count) for name, count in six if name == "Ip6{ATTEMPT}")
end = time.monotonic() + {WATCHED_SECONDS}
while time.monotonic() < end and not attempts():
    time.sleep(0.1)
print("attempts", attempts())
"""
OURS = """
import tempfile
from pathlib import Path
import clipspect
from clipspect.engines import open_backend
from clipspect.engines.tiny import TINY_GRAPH, TINY_INPUTS
with tempfile.TemporaryDirectory() as folder:
    (graph := Path(folder) / "tiny.onnx").write_bytes(TINY_GRAPH)
    with open_backend("{engine}", graph) as backend:
        backend.run(TINY_INPUTS)
"""
EVERYTHING = """
import clipspect_export.exporter, clipspect_lab.commands.bench, clipspect_lab.commands.eval
import onnxruntime, openvino
"""


@dataclass(frozen=True)
class Seen:
    """What a process left behind."""

    files: list[str]  # in its home
    attempts: int  # to reach anybody


def network_of_its_own() -> list[str]:
    """The command that starts a process without a network. Skips where that may not be made."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("needs Linux's unshare (package util-linux)")
    for command in ([unshare, "--net"], [unshare, "--map-root-user", "--net"]):
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("needs the right to make a network namespace (root, or user namespaces)")


def watch(home: Path, code: str, **environment: str) -> Seen:
    """Run the code with an empty home and no network, for as long as an engine takes to call its maker."""
    home.mkdir()
    # in CI, which they know by these variables, engines send nothing anyway
    inherited = {name: value for name, value in os.environ.items() if name.startswith(("PATH", "PYTHON", "LD_"))}
    done = subprocess.run(
        [*network_of_its_own(), sys.executable, "-c", code + WAIT],
        env={**inherited, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    files = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    return Seen(files, int(done.stdout.split()[-1]))


def test_no_engine_writes_a_file_or_calls_anybody_and_without_our_switch_both_do(tmp_path: Path) -> None:
    """One test, so that the waiting is done once: all processes at the same time."""
    version = pytest.importorskip("onnxruntime").__version__
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    network_of_its_own()
    codes = {
        "onnxruntime, ours": OURS.format(engine="onnxruntime"),
        "openvino, ours": OURS.format(engine="openvino"),
        "exporter and lab": EVERYTHING,
        "onnxruntime alone": "import onnxruntime",
        "openvino alone": "import openvino",
    }
    with ThreadPoolExecutor(len(codes)) as pool:
        futures = {
            name: pool.submit(watch, tmp_path / name.replace(" ", "-"), code, ORT_DISABLE_TELEMETRY="0")
            for name, code in codes.items()
        }
        seen = {name: future.result() for name, future in futures.items()}
    for name in ("onnxruntime, ours", "openvino, ours", "exporter and lab"):
        assert seen[name] == Seen([], 0), name
    # the control: the same watch sees what the engines do on their own
    if tuple(map(int, version.split(".")[:2])) >= (1, 29):  # older ones have no telemetry on Linux
        assert any(name.endswith("deviceid") for name in seen["onnxruntime alone"].files)
        assert seen["onnxruntime alone"].attempts > 0
    assert "intel/openvino_ga_cid" in seen["openvino alone"].files
    assert seen["openvino alone"].attempts > 0


def test_programs_that_we_start_inherit_the_switch() -> None:
    import clipspect.engines  # noqa: F401

    found = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert "ORT_DISABLE_TELEMETRY=1" in found
