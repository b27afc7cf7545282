"""aarch64 userlands under user-mode emulation: real ARM binaries of a distribution, run on this machine's processor.

Needs root, and Debian's packages debootstrap, qemu-user-static and binfmt-support. Every step is done once: a run goes
on where the last one was cut.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.installed import CommandError, call

BINFMT = Path("/proc/sys/fs/binfmt_misc")
PACKAGES = ("python3", "cmake", "g++", "make", "libpng-dev", "libssl-dev", "nlohmann-json3-dev", "ca-certificates")
SITE = "/opt/site"  # where Python packages lie; nothing of the userland's own Python is touched
_CORTEX_A78AE = "0x00000000410fd421"  # the main ID register of an Orin's cores
# In a mount namespace of its own, so that nothing stays mounted when the command ends, however it ends.
_ENTER = 'mount -t proc proc "$0/proc" && exec chroot "$0" /usr/bin/env -i "$@"'


@dataclass(frozen=True)
class Userland:
    """A distribution's release and the folder that holds it."""

    suite: str
    python: str
    stands_for: str
    root: Path
    mirror: str | None = None  # None: the one that debootstrap knows

    def prepare(self) -> None:
        """Download and set up, some minutes; then quick."""
        jpeg = "libjpeg-turbo8-dev" if self.mirror else "libjpeg62-turbo-dev"  # Ubuntu's name and Debian's
        options = ["--arch=arm64", "--foreign", "--variant=minbase", f"--include={','.join((*PACKAGES, jpeg))}"]
        if self.mirror:
            options.append("--components=main,universe")
        self._once("downloaded", lambda: self._download(options))
        self._once("configured", lambda: self._call("/debootstrap/debootstrap", "--second-stage"))
        self._describe_processor()

    def install(self, key: str, *requirements: object) -> None:
        """Put wheels for aarch64 into SITE; again only when the key is another one than the last time."""
        site, done = self.root / SITE.lstrip("/"), self.root / "opt" / "installed"
        if done.exists() and done.read_text() == key:
            return
        shutil.rmtree(site, ignore_errors=True)
        call(
            *("uv", "pip", "install", "--quiet", "--only-binary", ":all:", "--target", site),
            *("--python-platform", "aarch64-manylinux_2_35", "--python-version", self.python),
            *requirements,
        )
        done.write_text(key)

    def run(self, *command: object) -> str:
        """What a command in the userland writes; raises `CommandError`."""
        return self._call(*command)

    def copy(self, source: Path, to: str) -> None:
        """Put a folder of ours into it, in place of the one there."""
        target = self.root / to.lstrip("/")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))

    def _describe_processor(self) -> None:
        """Put two cores into /sys as an Orin's kernel has them: engines read it, and OpenVINO crashes without."""
        cpus = self.root / "sys/devices/system/cpu"
        files = dict.fromkeys(("possible", "present", "online"), "0-1")
        for core in range(2):
            files[f"cpu{core}/regs/identification/midr_el1"] = _CORTEX_A78AE
            files |= {f"cpu{core}/topology/{name}": str(core) for name in ("core_id", "thread_siblings_list")}
            files[f"cpu{core}/topology/physical_package_id"] = "0"
        for name, content in files.items():
            (cpus / name).parent.mkdir(parents=True, exist_ok=True)
            (cpus / name).write_text(content + "\n")

    def _download(self, options: list[str]) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        call("debootstrap", *options, self.suite, self.root, *([self.mirror] if self.mirror else []))

    def _call(self, *command: object) -> str:
        return call(*self._command(*command))

    def _command(self, *command: object) -> list[str]:
        settings = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", f"PYTHONPATH={SITE}"]
        words = [str(part) for part in command]
        return ["unshare", "--mount", "--fork", "bash", "-c", _ENTER, str(self.root), *settings, *words]

    def _once(self, name: str, step: Callable[[], object]) -> None:
        stamp = self.root.with_name(f"{self.suite}.{name}")
        if stamp.exists():
            return
        step()
        stamp.touch()


def register() -> None:
    """Make the kernel start aarch64 programs with qemu; raises `CommandError` with what to do."""
    missing = [name for name in ("debootstrap", "qemu-aarch64-static", "update-binfmts") if shutil.which(name) is None]
    if missing:
        raise CommandError("apt-get install debootstrap qemu-user-static binfmt-support: no " + ", ".join(missing))
    if os.geteuid() != 0:
        raise CommandError("only root can set up a userland: run it as root")
    if not (BINFMT / "register").exists():
        call("mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT)
    entry = BINFMT / "qemu-aarch64"
    if not entry.exists() or not entry.read_text().startswith("enabled"):
        call("update-binfmts", "--enable", "qemu-aarch64")
