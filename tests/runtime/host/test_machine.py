"""What a benchmark says of a machine, read from recorded trees."""

from __future__ import annotations

from pathlib import Path

from clipspect.host.machine import read_machine
from clipspect.host.power import read_power


def record(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_power_mode_and_governor_of_a_recorded_jetson_are_read(tmp_path: Path) -> None:
    cpus = {
        f"sys/devices/system/cpu/cpu{core}/cpufreq/{name}": text
        for core, now in enumerate((729600, 1510400, 1510400))
        for name, text in (
            ("scaling_cur_freq", f"{now}\n"),
            ("cpuinfo_max_freq", "2201600\n"),
            ("scaling_governor", "schedutil\n"),
        )
    }
    modes = "< POWER_MODEL ID=0 NAME=MAXN >\nCPU_ONLINE 1\n< POWER_MODEL ID=2 NAME=15W>\n"
    root = record(
        tmp_path,
        {
            **cpus,
            "var/lib/nvpmodel/status": "pmode:0002 fmode:fanNull",
            "etc/nvpmodel.conf": modes,
            "proc/loadavg": "0.50 0.40 0.30 1/200 999",
            "proc/device-tree/model": "NVIDIA Jetson Orin NX\0",
        },
    )
    power = read_power(root)
    assert (power.mhz, power.max_mhz, power.governor, power.mode, power.load) == (
        1510.4,
        2201.6,
        "schedutil",
        "15W",
        0.5,
    )
    assert read_machine(root).device == "NVIDIA Jetson Orin NX"


def test_the_clock_and_profile_of_a_recorded_computer_are_read(tmp_path: Path) -> None:
    root = record(
        tmp_path,
        {
            "proc/cpuinfo": "cpu MHz\t\t: 2400.000\ncpu MHz\t\t: 3000.000\n",
            "sys/firmware/acpi/platform_profile": "balanced\n",
            "sys/class/dmi/id/sys_vendor": "ACME\n",
            "sys/class/dmi/id/product_name": "Box 9\n",
        },
    )
    power = read_power(root)
    assert (power.mhz, power.max_mhz, power.governor, power.mode, power.load) == (2700.0, None, None, "balanced", None)
    assert read_machine(root).device == "ACME Box 9"
