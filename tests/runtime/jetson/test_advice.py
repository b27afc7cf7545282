"""What doctor warns of: each rule speaks where it should, and is silent where it should be."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from clipspect.base.installation import pip_install
from clipspect.host.advice import Advice, advise
from clipspect.host.machine import Machine
from support.recorded import AGX_ORIN, ORIN_NANO, PC, THOR, machine, wheel

ARM, X86 = "cp310-cp310-manylinux_2_28_aarch64", "cp310-cp310-manylinux_2_28_x86_64"
PYTHON = {ORIN_NANO: "3.10.12", AGX_ORIN: "3.10.12", THOR: "3.12.3", PC: "3.10.12"}


def box(tree: str, *wheels: Path) -> Machine:
    """A recorded machine with its own Python."""
    return dataclasses.replace(machine(tree, *wheels), python=PYTHON[tree])


def of(advice: tuple[Advice, ...], word: str) -> Advice:
    """The one that was found to be so."""
    (found,) = (entry for entry in advice if word in entry.found)
    return found


@pytest.fixture
def jetpacks_own(tmp_path: Path) -> Path:
    """What python3-libnvinfer of JetPack 6.2 leaves for the system's Python."""
    return wheel(tmp_path / "dist-packages", "tensorrt", "10.3.0", "cp310-none-linux_aarch64")


@pytest.fixture
def nano(jetpacks_own: Path) -> Machine:
    return box(ORIN_NANO, jetpacks_own)


@pytest.fixture
def tuned(nano: Machine) -> Machine:
    """With MAXN_SUPER and jetson_clocks."""
    power = dataclasses.replace(nano.power, mode="MAXN_SUPER", gpu_low_mhz=1020.0, gpu_high_mhz=1020.0)
    return dataclasses.replace(nano, power=power)


def test_of_a_tuned_orin_nano_only_tensorrts_fp16_is_left(tuned: Machine) -> None:
    (left,) = advise(tuned)
    assert "TensorRT 10.3.0 is known to answer wrongly for some ViTs in fp16" in left.found
    assert "clipspect verify BUNDLE --backend tensorrt" in left.remedy


def test_a_power_mode_below_the_fastest_names_the_command(nano: Machine) -> None:
    assert of(advise(nano), "power mode 15W").remedy.startswith("sudo nvpmodel -m 2 ")


def test_clocks_that_may_fall_name_jetson_clocks(nano: Machine) -> None:
    advice = of(advise(nano), "from 612 to 306 MHz")
    assert advice.remedy.startswith("sudo jetson_clocks")


def test_missing_swap_counts_on_a_small_jetson_only(tuned: Machine) -> None:
    assert tuned.memory is not None
    without = dataclasses.replace(tuned, memory=dataclasses.replace(tuned.memory, swap=0))
    assert "mkswap" in of(advise(without), "8.0 GB of memory, which the GPU shares, and no swap").remedy
    thor = box(THOR)
    assert thor.memory is not None
    assert thor.memory.swap == 0
    assert not any("swap" in advice.found for advice in advise(thor))


def test_an_x86_wheel_on_a_jetson_is_told(jetpacks_own: Path, tmp_path: Path) -> None:
    folder = wheel(tmp_path / "x86", "onnxruntime-gpu", "1.23.2", X86, cuda="12.8")
    advice = of(advise(box(ORIN_NANO, jetpacks_own, folder)), "onnxruntime-gpu 1.23.2 is built for x86_64")
    assert "https://pypi.jetson-ai-lab.io/jp6/cu126/+simple onnxruntime-gpu" in advice.remedy


def test_an_arm_wheel_on_a_pc_is_told(tmp_path: Path) -> None:
    folder = wheel(tmp_path, "onnxruntime", "1.23.2", ARM)
    advice = of(advise(box(PC, folder)), "onnxruntime 1.23.2 is built for aarch64, and this is x86_64")
    assert pip_install("gpu") in advice.remedy


def test_an_onnxruntime_for_the_cpu_only_is_told_on_a_jetson_only(jetpacks_own: Path, tmp_path: Path) -> None:
    arm = wheel(tmp_path / "arm", "onnxruntime", "1.23.2", ARM)
    assert "onnxruntime-gpu" in of(advise(box(ORIN_NANO, jetpacks_own, arm)), "on the CPU only").remedy
    x86 = wheel(tmp_path / "x86", "onnxruntime", "1.23.2", X86)
    assert not any("onnxruntime" in advice.found for advice in advise(box(PC, x86)))


def test_two_onnxruntimes_in_one_python_are_told(tmp_path: Path) -> None:
    wheel(tmp_path, "onnxruntime", "1.23.2", X86)
    wheel(tmp_path, "onnxruntime-gpu", "1.22.0", X86, cuda="12.6")
    assert of(advise(box(PC, tmp_path)), "are both installed")


def test_a_wheel_for_another_cuda_than_the_jetpacks_is_told(jetpacks_own: Path, tmp_path: Path) -> None:
    folder = wheel(tmp_path / "cuda13", "onnxruntime-gpu", "1.31.1", "cp310-cp310-manylinux_2_34_aarch64", cuda="13.0")
    assert of(advise(box(ORIN_NANO, jetpacks_own, folder)), "built for CUDA 13.0, and this JetPack has 12.6.11")


def test_a_tensorrt_that_is_not_the_jetpacks_is_told(nano: Machine, tuned: Machine) -> None:
    newer = dataclasses.replace(tuned, nvidia=dataclasses.replace(tuned.nvidia, tensorrt="10.7.0.23"))
    assert of(advise(newer), "TensorRT is 10.7.0.23, and JetPack 6.2 has 10.3")
    assert of(advise(newer), "TensorRT's Python module is 10.3.0, its library 10.7.0.23")


def test_tensorrts_python_module_must_be_there_and_seen(tuned: Machine) -> None:
    unseen = dataclasses.replace(tuned, wheels=())
    assert "--system-site-packages" in of(advise(unseen), "this Python does not see it").remedy
    missing = dataclasses.replace(unseen, nvidia=dataclasses.replace(tuned.nvidia, tensorrt_python=None))
    assert of(advise(missing), "without its Python module").remedy == "sudo apt-get install python3-libnvinfer"


def test_another_python_than_the_jetpacks_is_told(tuned: Machine) -> None:
    advice = of(advise(dataclasses.replace(tuned, python="3.12.1")), "this is Python 3.12.1")
    assert "/usr/bin/python3.10 -m venv --system-site-packages" in advice.remedy


def test_a_bare_jetson_is_told_to_install_jetpack() -> None:
    advice = advise(box(AGX_ORIN))
    assert "nvidia-jetpack" in of(advice, "neither CUDA nor TensorRT is installed").remedy


@pytest.mark.parametrize(
    ("jetpack", "word"), [("5.1.2", "a Python before 3.10"), ("8", "JetPack 8 with Jetson Linux 36.4.3")]
)
def test_a_jetpack_that_is_too_old_or_unknown_is_told(tuned: Machine, jetpack: str, word: str) -> None:
    assert tuned.jetson is not None
    other = dataclasses.replace(tuned, jetson=dataclasses.replace(tuned.jetson, jetpack=jetpack))
    assert of(advise(other), word)


def test_a_driver_below_what_the_engines_cuda_needs_is_told(tmp_path: Path) -> None:
    folder = wheel(tmp_path / "13", "onnxruntime-gpu", "1.31.1", X86, cuda="13.0")
    advice = of(advise(box(PC, folder)), "a driver from 580.65; NVIDIA GeForce RTX 4070 has 550.120")
    assert "newer driver" in advice.remedy
    fits = wheel(tmp_path / "12", "onnxruntime-gpu", "1.22.0", X86, cuda="12.6")
    assert not any("driver from" in advice.found for advice in advise(box(PC, fits)))


def test_persistence_mode_that_is_off_is_told_on_a_pc() -> None:
    assert "nvidia-smi -pm 1" in of(advise(box(PC)), "persistence mode is off").remedy


def test_a_machine_of_which_nothing_is_known_gets_no_advice(tmp_path: Path) -> None:
    from clipspect.host.machine import read_machine

    assert advise(read_machine(tmp_path, [])) == ()
