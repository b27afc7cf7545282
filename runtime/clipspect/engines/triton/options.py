"""Settings of the Triton engine."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from clipspect.base.errors import BackendError
from clipspect.engines.serving import VERSIONS

_URL = re.compile(r"(grpcs?)://([\w.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})/?")
_EXAMPLE = "grpc://host:8001, or grpcs:// with TLS"


@dataclass(frozen=True)
class TritonOptions:
    """None means the default that is given here."""

    url: str | None = None  # of the server: grpc://host:8001, or grpcs:// with TLS; there is no default
    device: str | None = None  # that the server must compute on: cpu, cuda or tensorrt; default: whichever it does
    precision: str | None = None  # that the server must compute in; default: the bundle's own
    deadline: float = 30.0  # seconds for an answer

    def __post_init__(self) -> None:
        if self.url is None:
            raise BackendError(f"the triton backend needs the server's address: --url {_EXAMPLE}")
        found = _URL.fullmatch(self.url) if isinstance(self.url, str) else None
        if found is None or not 0 < int(found[3]) < 1 << 16:
            raise BackendError(f"url: expected {_EXAMPLE}, found {self.url!r:.200}")
        if self.device not in (None, *VERSIONS):
            raise BackendError(f"device: a Triton server has {', '.join(VERSIONS)}, found {self.device!r}")
        good = isinstance(self.deadline, (int, float)) and math.isfinite(self.deadline) and self.deadline > 0
        if not good or isinstance(self.deadline, bool):
            raise BackendError(f"deadline: expected seconds above 0, found {self.deadline!r}")

    @property
    def address(self) -> tuple[str, bool]:
        """host:port, and whether with TLS."""
        scheme, host, port = _URL.fullmatch(self.url or "").groups()  # type: ignore[union-attr]  # was checked
        return f"{host}:{port}", scheme == "grpcs"
