"""Which keys are taken: what is no ed25519 key in PEM is refused, and a private key is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipspect.base.errors import ClipspectError
from clipspect.bundle.signature import make_keys, read_private_key, read_public_key
from support.signed import needs_openssl, openssl, openssl_keys


@needs_openssl
@pytest.mark.parametrize("algorithm", ["ed448", "x25519"])
def test_a_key_of_another_kind_is_refused(tmp_path: Path, algorithm: str) -> None:
    private, public = openssl_keys(tmp_path, algorithm=algorithm)
    for read, path in ((read_public_key, public), (read_private_key, private)):
        with pytest.raises(ClipspectError, match="a key of another kind than ed25519"):
            read(path)


@needs_openssl
def test_an_encrypted_private_key_is_refused_with_the_command_that_signs_with_it(
    tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    locked = tmp_path / "locked.pem"
    assert openssl("pkey", "-in", keys[0], "-aes256", "-passout", "pass:word", "-out", locked) == 0
    with pytest.raises(ClipspectError, match="openssl pkeyutl -sign -rawin"):
        read_private_key(locked)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "no public key in PEM"), (b"\xff" * 100, "no public key in PEM"), (b"a" * 70_000, "too large for a key")],
)
def test_what_is_no_public_key_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "public.pem").write_bytes(content)
    with pytest.raises(ClipspectError, match=said):
        read_public_key(tmp_path / "public.pem")


def test_a_private_key_in_the_place_of_a_public_one_is_refused_and_not_shown(keys: tuple[Path, Path]) -> None:
    with pytest.raises(ClipspectError, match="holds a private key") as caught:
        read_public_key(keys[0])
    assert keys[0].read_text(encoding="ascii").splitlines()[1] not in str(caught.value)


def test_a_key_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for read in (read_public_key, read_private_key):
        with pytest.raises(ClipspectError, match="the key cannot be read"):
            read(tmp_path / "no.pem")
    with pytest.raises(ClipspectError, match="the key cannot be read"):
        read_public_key(tmp_path)


def test_keys_are_never_replaced_and_the_private_one_is_its_owners_alone(
    keys: tuple[Path, Path], tmp_path: Path
) -> None:
    assert keys[0].stat().st_mode & 0o777 == 0o600
    before = [key.read_bytes() for key in keys]
    for pair in (keys, (tmp_path / "new.pem", keys[1]), (keys[0], tmp_path / "new.public.pem")):
        with pytest.raises(ClipspectError, match="a key is never replaced"):
            make_keys(*pair)
    assert [key.read_bytes() for key in keys] == before
