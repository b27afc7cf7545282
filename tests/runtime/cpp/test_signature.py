"""What clipspect sign signs C++ accepts; whatever else a hostile hand puts there it refuses, as Python does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipspect.base.errors import SignatureError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import MANIFEST, RECIPES
from clipspect.bundle.signature import signature_path
from clipspect.recipes.shelf import open_recipe
from support import handmade
from support.command_line import run
from support.cpp_programs import call
from support.signed import needs_openssl, openssl_keys

RECIPE = f"{RECIPES}/object.safetensors"
Read = Callable[[Path], str]


@pytest.fixture
def read(built: Path, tiny_bundle: Path, tmp_path: Path) -> Read:
    """What C++ says of the signed bundle; it and Python are of one mind."""
    assert run("sign", tiny_bundle, "--new-key", tmp_path / "key.pem") == 0

    def said(public: Path) -> str:
        out, _ = call(built / "readers", "--require-signature", public, tiny_bundle)
        try:
            open_recipe(Bundle.open(tiny_bundle, require_signature=public))
        except SignatureError:
            assert out != b"read\n"
        return out.decode().strip()

    assert said(tmp_path / "key.public.pem") == "read"
    return said


def test_without_a_signature_or_with_one_of_another_key_a_file_is_refused(
    read: Read, tiny_bundle: Path, tmp_path: Path
) -> None:
    public = tmp_path / "key.public.pem"
    for file in (tiny_bundle / MANIFEST, tiny_bundle / RECIPE):
        signature = signature_path(file)
        own = signature.read_bytes()
        signature.unlink()
        assert f"{file}: is not signed" in read(public)
        for wrong in (b"", own[:-1], own + b"\n", bytes(64)):
            signature.write_bytes(wrong)
            assert "is no signature of these bytes" in read(public)
        signature.write_bytes(own)
        assert run("sign", tiny_bundle, "--new-key", tmp_path / f"{file.name}.pem") == 0
        assert "another key signed it" in read(public)
        assert run("sign", tiny_bundle, "--key", tmp_path / "key.pem") == 0
    assert read(public) == "read"


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_refused_though_the_digests_fit(
    read: Read, tiny_bundle: Path, tmp_path: Path, data: st.DataObject
) -> None:
    path = tiny_bundle / data.draw(st.sampled_from([MANIFEST, f"{MANIFEST}.sig", RECIPE, f"{RECIPE}.sig"]))
    original, digest = path.read_bytes(), (tiny_bundle / f"{MANIFEST}.sha256").read_bytes()
    changed = bytearray(original)
    changed[data.draw(st.integers(0, len(original) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(changed)
    if path.name == MANIFEST:
        handmade.seal(tiny_bundle, bytes(changed))
    try:
        assert "is no signature of these bytes" in read(tmp_path / "key.public.pem")
    finally:
        path.write_bytes(original)
        (tiny_bundle / f"{MANIFEST}.sha256").write_bytes(digest)


@needs_openssl
def test_what_is_no_public_key_of_ed25519_is_refused(built: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_bytes(b"")
    private, public = openssl_keys(tmp_path)
    (tmp_path / "both.pem").write_bytes(public.read_bytes() + private.read_bytes())
    _, other = openssl_keys(tmp_path, "other", "ed448")
    for key, said in (
        (tmp_path / "none.pem", "cannot be read"),
        (tmp_path / "empty.pem", "no public key in PEM"),
        (private, "holds a private key"),
        (tmp_path / "both.pem", "holds a private key"),
        (other, "a key of another kind than ed25519"),
    ):
        out, _ = call(built / "readers", "--require-signature", key, tiny_bundle)
        assert said in out.decode()


def test_inspect_takes_the_key(built: Path, read: Read, tiny_bundle: Path, tmp_path: Path) -> None:
    signature_path(tiny_bundle / RECIPE).unlink()
    for key, expected in ((tmp_path / "key.public.pem", "is not signed"), ("", "cannot be read")):
        out, said = call(built / "inspect", "none.png", "--bundle", tiny_bundle, "--require-signature", key, status=1)
        assert expected in said + out.decode()
