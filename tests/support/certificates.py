"""A plant's own authority, by the openssl command: certificates for a broker on this machine and for its clients."""

from __future__ import annotations

from pathlib import Path

from support.signed import openssl


class Authority:
    def __init__(self, folder: Path, name: str = "plant") -> None:
        self._folder = folder
        self._key, self.certificate = folder / f"{name}.key", folder / f"{name}.crt"
        made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self._key)
        subject = ("-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE")
        assert openssl("req", "-x509", *made, "-out", self.certificate, "-days", 30, *subject) == 0

    def issue(self, name: str, host: str = "127.0.0.1") -> tuple[Path, Path]:
        """A certificate, and its private key."""
        request, key, certificate = (self._folder / f"{name}.{suffix}" for suffix in ("csr", "key", "crt"))
        (self._folder / f"{name}.ext").write_text(f"subjectAltName=IP:{host}\n", encoding="ascii")
        made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key)
        assert openssl("req", *made, "-out", request, "-subj", f"/CN={name}") == 0
        signed = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", 30)
        assert (
            openssl(
                "x509", "-req", "-in", request, "-out", certificate, *signed, "-extfile", f"{self._folder / name}.ext"
            )
            == 0
        )
        return certificate, key
