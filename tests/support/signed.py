"""Keys and signatures by the openssl command, which is not ours."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command")


def openssl(*arguments: object) -> int:
    return subprocess.run([str(OPENSSL), *map(str, arguments)], capture_output=True, check=False).returncode


def openssl_keys(folder: Path, name: str = "key", algorithm: str = "ed25519") -> tuple[Path, Path]:
    """A pair: the private one's file, the public one's."""
    private, public = folder / f"{name}.pem", folder / f"{name}.public.pem"
    assert openssl("genpkey", "-algorithm", algorithm, "-out", private) == 0
    assert openssl("pkey", "-in", private, "-pubout", "-out", public) == 0
    return private, public


def openssl_signs(private: Path, file: Path) -> None:
    signature = f"{file}.sig"
    assert openssl("pkeyutl", "-sign", "-rawin", "-inkey", private, "-in", file, "-out", signature) == 0


def openssl_verifies(public: Path, file: Path) -> bool:
    arguments = ("-pubin", "-inkey", public, "-in", file, "-sigfile", f"{file}.sig")
    return openssl("pkeyutl", "-verify", "-rawin", *arguments) == 0
