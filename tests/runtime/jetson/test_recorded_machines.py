"""What is read from the files of a Jetson or a GPU box."""

from __future__ import annotations

import dataclasses
import platform
import shutil
from pathlib import Path

import pytest

from clipspect.cli import doctor
from clipspect.host.jetson import JETPACKS, Jetson, read_jetson
from clipspect.host.machine import Machine
from clipspect.host.nvidia import Nvidia, Wheel, read_packages, read_wheels
from support.recorded import AGX_ORIN, ORIN_NANO, PC, THOR, TREES, machine, wheel


def test_an_orin_nano_with_jetpack_6_2_is_recognised() -> None:
    nano = machine(ORIN_NANO)
    assert nano.device == "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
    assert nano.jetson == Jetson(nano.device, "Orin Nano 8GB (developer kit)", "Orin", "36.4.3", "6.2", True)
    assert nano.nvidia == Nvidia("12.6.11", "10.3.0.30", "10.3.0.30", "9.3.0.75")
    assert nano.cpu.architecture == "aarch64"
    assert nano.memory is not None
    assert (nano.memory.total, nano.memory.swap) == (7802332 * 1024, 3901152 * 1024)
    assert nano.memory.swap_devices == tuple(f"/dev/zram{number}" for number in range(6))


def test_its_power_mode_and_clocks_are_read_and_the_fastest_mode_is_not_the_last() -> None:
    power = machine(ORIN_NANO).power
    assert (power.mode, power.fastest_mode, power.fastest_mode_id) == ("15W", "MAXN_SUPER", 2)
    assert (power.mhz, power.max_mhz, power.governor) == (729.6, 1728.0, "schedutil")
    assert (power.gpu_mhz, power.gpu_low_mhz, power.gpu_high_mhz) == (306.0, 306.0, 612.0)
    assert power.gpu_persistence is None


def test_an_agx_orin_without_the_jetpack_package_is_told_by_its_linux() -> None:
    orin = machine(AGX_ORIN)
    assert orin.jetson is not None
    assert (orin.jetson.module, orin.jetson.chip) == ("AGX Orin 64GB", "Orin")
    assert (orin.jetson.l4t, orin.jetson.jetpack, orin.jetson.jetpack_installed) == ("36.4.0", "6.1", False)
    assert orin.nvidia == Nvidia(None, None, None, None)


def test_a_jetson_that_was_never_told_a_power_mode_is_in_its_default() -> None:
    power = machine(AGX_ORIN).power
    assert (power.mode, power.fastest_mode, power.fastest_mode_id) == ("MODE_30W", "MAXN", 0)


def test_a_thor_with_jetpack_7_is_recognised() -> None:
    thor = machine(THOR)
    assert thor.jetson is not None
    assert (thor.jetson.module, thor.jetson.chip) == ("T5000", "Thor")
    assert (thor.jetson.l4t, thor.jetson.jetpack) == ("38.2.1", "7.0")
    assert (thor.nvidia.cuda, thor.nvidia.tensorrt) == ("13.0.0", "10.13.3.9")
    assert (thor.power.mode, thor.power.gpu_high_mhz) == ("MAXN", 1575.0)
    assert [(gpu.name, gpu.compute_capability) for gpu in thor.gpus] == [("NVIDIA Thor", "11.0")]
    assert thor.power.gpu_persistence is None  # of its nvidia-smi: [N/A]
    assert thor.cpu.features == ("NEON", "NEON fp16", "NEON dot product", "int8 matrices", "BF16", "SVE", "SVE2")


def test_a_pc_with_an_nvidia_gpu_is_no_jetson() -> None:
    pc = machine(PC)
    assert pc.jetson is None
    assert pc.device == "ASUS PRIME B760M"
    assert [(gpu.name, gpu.driver) for gpu in pc.gpus] == [("NVIDIA GeForce RTX 4070", "550.120")]
    assert pc.power.gpu_persistence is False
    assert pc.cpu.architecture == "x86_64"
    assert pc.nvidia.cuda == "12.4.1"


@pytest.mark.parametrize("files", [{}, {"proc/device-tree/model": "Raspberry Pi 5 Model B\0"}])
def test_other_boards_and_servers_are_no_jetson(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    assert read_jetson(tmp_path, read_packages(tmp_path)) is None


def test_a_container_on_a_jetson_shows_what_it_can(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_text("NVIDIA Jetson Orin NX\0")
    jetson = read_jetson(tmp_path, {"nvidia-l4t-core": "36.4.0-20240912212859"})
    assert jetson == Jetson("NVIDIA Jetson Orin NX", None, None, "36.4.0", "6.1", False)
    assert read_jetson(tmp_path, {}) == Jetson("NVIDIA Jetson Orin NX", None, None, None, None, False)


def test_of_a_jetson_linux_that_is_not_in_the_table_the_major_jetpack_is_known(tmp_path: Path) -> None:
    shutil.copytree(TREES / AGX_ORIN, tmp_path, dirs_exist_ok=True, symlinks=True)
    release = tmp_path / "etc/nv_tegra_release"
    release.write_text(release.read_text().replace("REVISION: 4.0", "REVISION: 9.1"))
    jetson = read_jetson(tmp_path, {})
    assert jetson is not None
    assert (jetson.l4t, jetson.jetpack) == ("36.9.1", "6")


def test_no_jetson_linux_belongs_to_two_jetpacks() -> None:
    releases = [l4t for release in JETPACKS for l4t in release.l4t]
    assert len(set(releases)) == len(releases)


def test_the_power_mode_is_asked_of_nvpmodel_where_its_files_say_nothing(tmp_path: Path) -> None:
    from clipspect.host.power import read_power

    program = tmp_path / "usr/sbin/nvpmodel"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nprintf 'NV Power Mode: MODE_50W\\n3\\n'\n")
    program.chmod(0o755)
    power = read_power(tmp_path)
    assert (power.mode, power.fastest_mode) == ("MODE_50W", None)


def test_a_removed_package_does_not_count() -> None:
    packages = read_packages(TREES / ORIN_NANO)
    assert packages["libnvinfer10"] == "10.3.0.30-1+cuda12.5"
    assert "libnvinfer8" not in packages


def test_cuda_is_found_without_its_version_file_too(tmp_path: Path) -> None:
    shutil.copytree(TREES / ORIN_NANO, tmp_path, dirs_exist_ok=True, symlinks=True)
    (tmp_path / "usr/local/cuda/version.json").write_text("cut off")
    from clipspect.host.machine import read_machine

    assert read_machine(tmp_path, []).nvidia.cuda == "12.6.68"


def test_a_wheel_says_its_architecture_and_the_cuda_it_was_built_for(tmp_path: Path) -> None:
    folder = wheel(tmp_path, "onnxruntime-gpu", "1.23.0", "cp310-cp310-linux_aarch64", cuda="12.6")
    wheel(tmp_path, "tensorrt_cu13", "10.13.3.9", "py2.py3-none-any")
    assert read_wheels([str(folder)]) == (
        Wheel("onnxruntime-gpu", "1.23.0", "aarch64", "12.6"),
        Wheel("tensorrt-cu13", "10.13.3.9", None, "13"),
    )


def test_the_wheels_of_this_python_are_read_without_being_imported() -> None:
    found = {known.name: known for known in read_wheels()}
    if not {"onnxruntime", "onnxruntime-gpu"} & set(found):
        pytest.skip('needs onnxruntime: pip install "clipspect[cpu]"')
    onnxruntime = found.get("onnxruntime") or found["onnxruntime-gpu"]
    assert onnxruntime.architecture in {platform.machine(), "win_amd64", None}


@pytest.mark.parametrize("tree", [ORIN_NANO, AGX_ORIN, THOR, PC])
def test_the_page_and_the_document_of_doctor_hold_a_recorded_machine(tree: str, tmp_path: Path) -> None:
    report = doctor.examine(TREES / tree, [str(tmp_path)])
    assert report.machine == machine(tree, tmp_path)
    page = doctor.page(report)
    recorded: Machine = report.machine
    for word in (recorded.device, recorded.power.mode or "persistence mode off", recorded.nvidia.cuda or "L4T 36.4.0"):
        assert word is not None
        assert word in page
    assert dataclasses.asdict(report)["machine"]["jetson"] == (
        dataclasses.asdict(recorded.jetson) if recorded.jetson else None
    )


def test_the_header_of_a_benchmark_has_the_devices_power_mode_and_gpu_clock() -> None:
    from clipspect_lab.benchmark.page import _machine

    header = "\n".join(f"{name} {value}" for name, value in _machine(machine(ORIN_NANO)))
    for word in ("Orin Nano", "power mode 15W", "gpu 306 MHz", "schedutil", "JetPack 6.2", "TensorRT 10.3.0.30"):
        assert word in header
