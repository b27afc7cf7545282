"""Detached signatures: ed25519 over a file's bytes, 64 bytes in FILE.sig, as `openssl pkeyutl -rawin` makes them."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clipspect.base.errors import ClipspectError, SignatureError
from clipspect.base.files import atomic_file
from clipspect.base.installation import pip_install

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_SUFFIX = ".sig"
_SIGNATURE_BYTES = 64
_MOST_KEY_BYTES = 1 << 16
_MAKE = "clipspect sign --new-key KEY.pem"
_PRIVATE = re.compile(rb"-----BEGIN (ENCRYPTED )?[A-Z ]*PRIVATE KEY-----")


@dataclass(frozen=True, eq=False)
class PublicKey:
    """What signatures are checked with. `path` is the file that it was read from."""

    path: Path
    key: Ed25519PublicKey = field(repr=False)

    def require(self, path: Path, data: bytes) -> None:
        """Refuse the bytes that were read from a file, unless the key's owner signed them. Raises SignatureError."""
        from cryptography.exceptions import InvalidSignature

        try:
            self.key.verify(_read_signature(path), data)
        except InvalidSignature as error:
            raise SignatureError(
                f"{path}: {signature_path(path).name} is no signature of these bytes by {self.path}: the file was "
                "changed or written again, or another key signed it; get a signed copy, or sign it again with: "
                "clipspect sign"
            ) from error


def signature_path(path: Path) -> Path:
    """Where the signature of a file lies: beside it."""
    return path.with_name(path.name + SIGNATURE_SUFFIX)


def read_public_key(path: str | os.PathLike[str]) -> PublicKey:
    """An ed25519 key in PEM (SubjectPublicKeyInfo). Raises ClipspectError."""
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    file = Path(path)
    data = _read_key(file)
    if _PRIVATE.search(data):
        raise ClipspectError(
            f"{file}: holds a private key, which only who signs may have; give the public one: "
            f"openssl pkey -in {file} -pubout"
        )
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ClipspectError(f"{file}: no public key in PEM that is read here: make a pair with {_MAKE}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ClipspectError(f"{file}: a key of another kind than ed25519: make a pair with {_MAKE}")
    return PublicKey(file, key)


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """An ed25519 key in PEM (PKCS #8), not encrypted. Raises ClipspectError."""
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_read_key(path), password=None)
    except TypeError as error:  # it is encrypted
        raise ClipspectError(
            f"{path}: the key is encrypted; sign each file with openssl, which asks for the password: openssl pkeyutl "
            f"-sign -rawin -inkey {path} -in FILE -out FILE{SIGNATURE_SUFFIX}"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ClipspectError(f"{path}: no private key in PEM that is read here: make a pair with {_MAKE}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ClipspectError(f"{path}: a key of another kind than ed25519: make a pair with {_MAKE}")
    return key


def make_keys(private: Path, public: Path) -> None:
    """Write a new pair in PEM; the private one is for its owner's eyes. Raises ClipspectError where a file is there."""
    _require_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key, pem = Ed25519PrivateKey.generate(), serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    open_one = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    if os.path.lexists(public):
        raise ClipspectError(f"{public} exists, and a key is never replaced: choose another name")
    for path, data, mode in ((private, secret, 0o600), (public, open_one, 0o644)):
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(data)
        except FileExistsError as error:
            raise ClipspectError(f"{path} exists, and a key is never replaced: choose another name") from error


def write_signature(path: Path, data: bytes, key: Ed25519PrivateKey) -> None:
    """Sign the bytes of a file, beside it. Raises ClipspectError."""
    with atomic_file(signature_path(path)) as file:
        file.write(key.sign(data))


def drop_signature(path: Path) -> None:
    """Remove the signature of a file that was written again, and say so. Raises ClipspectError."""
    file = signature_path(path)
    if os.path.lexists(file):
        try:
            file.unlink()
        except OSError as error:  # whoever requires a signature refuses the file, in the meantime too
            raise ClipspectError(
                f"{path} was written, and its old signature {file.name} cannot be removed ({error.strerror}): remove it"
            ) from error
        logging.getLogger("clipspect").warning(
            f"{path}: was written again, and is not signed any more: sign it with: clipspect sign"
        )


def _read_signature(path: Path) -> bytes:
    file = signature_path(path)
    if file.is_symlink():
        raise SignatureError(f"{file}: is a link: copy it with cp -L")
    if not file.is_file():
        raise SignatureError(
            f"{path}: is not signed (there is no {file.name}), and a signature is required: get a signed copy, or sign "
            "it with: clipspect sign"
        )
    try:
        with file.open("rb") as opened:
            signature = opened.read(_SIGNATURE_BYTES + 1)
    except OSError as error:
        raise SignatureError(f"{file}: cannot be read ({error.strerror}): check its rights") from error
    if len(signature) != _SIGNATURE_BYTES:
        raise SignatureError(f"{file}: not {_SIGNATURE_BYTES} bytes, as a signature has: copy it again, or sign again")
    return signature


def _read_key(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_KEY_BYTES + 1)
    except OSError as error:
        raise ClipspectError(f"{path}: the key cannot be read ({error.strerror}): check the path") from error
    if len(data) > _MOST_KEY_BYTES:
        raise ClipspectError(f"{path}: too large for a key in PEM: make a pair with {_MAKE}")
    return data


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise ClipspectError(f"signatures need cryptography: {pip_install('sign')}") from error
