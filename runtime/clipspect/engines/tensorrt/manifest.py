"""What a compiled engine says of itself, typed: all facts that it depends on, and the file that it is."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clipspect.base.document import MismatchError, from_json
from clipspect.base.errors import BackendError
from clipspect.base.files import FileEntry
from clipspect.engines.tensorrt.cuda import Device

ENGINE_SCHEMA_VERSION = 1
SUFFIX = ".json"
_SHORT = 12  # of a hash in a message


@dataclass(frozen=True)
class Range:
    """Shapes of an input: the smallest and largest that an engine takes, and the one that it is made fast for."""

    least: tuple[int, ...]
    best: tuple[int, ...]
    most: tuple[int, ...]

    def holds(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == len(self.least) and all(
            low <= side <= high for low, side, high in zip(self.least, shape, self.most)
        )

    def covers(self, other: Range) -> bool:
        """Whether all of the other's shapes are taken, too."""
        return self.holds(other.least) and self.holds(other.most)

    def __str__(self) -> str:
        return " x ".join(f"{low}" if low == high else f"{low} to {high}" for low, high in zip(self.least, self.most))


Ranges = dict[str, Range]  # by the input's name


@dataclass(frozen=True)
class Facts:
    """All that an engine depends on besides its shapes."""

    files: dict[str, str]  # SHA-256 of the graph and of its weights, by the file's name
    precision: str  # of the matrix products
    package: str  # "tensorrt" or "tensorrt_rtx"
    version: str  # of the package
    cuda: str  # the CUDA runtime's version
    device: Device | None  # None: built without a GPU, for compute capabilities; or not known yet
    compute_capabilities: tuple[str, ...]  # that it was built for

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that stand for all of them."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def differences(self, here: Facts) -> Iterator[str]:
        """What of an engine with these facts is not as it is here, each in a few words.

        The device is compared where `here` has one: with an engine that was built on a device, in name, capability and
        driver; with one that was built for compute capabilities, in these.
        """
        for name, digest in here.files.items():
            if self.files.get(name) != digest:
                compiled = self.files.get(name, "nothing")[:_SHORT]
                yield f"{name} is another file ({digest[:_SHORT]}) than the one that was compiled ({compiled})"
        for what, then, now in (
            ("precision", self.precision, here.precision),
            ("", f"{self.package} {self.version}", f"{here.package} {here.version}"),
            ("CUDA", self.cuda, here.cuda),
        ):
            if then != now:
                yield f"it was compiled with {what} {then}, here is {now}".replace("  ", " ")
        if here.device is None:
            return
        if self.device is not None:
            for field in dataclasses.fields(Device):
                then, now = getattr(self.device, field.name), getattr(here.device, field.name)
                if then != now:
                    yield f"it was compiled on a GPU with {field.name.replace('_', ' ')} {then}, here is {now}"
        elif here.device.compute_capability not in self.compute_capabilities:
            yield (
                f"it was compiled for compute capability {', '.join(self.compute_capabilities)}, "
                f"here is {here.device.compute_capability}"
            )


@dataclass(frozen=True)
class EngineManifest:
    """The JSON file beside an engine."""

    schema_version: int
    clipspect: str  # the version that compiled it
    graph: str  # the path of the graph when it was compiled
    facts: Facts
    inputs: Ranges
    file: str  # the engine's, beside the manifest
    engine: FileEntry
    build_seconds: float

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def read_engine_manifest(path: Path) -> EngineManifest:
    """Raises BackendError for a file that is not one of these."""
    try:
        manifest = from_json(EngineManifest, path.read_bytes(), path.name)
    except (OSError, MismatchError) as error:
        raise BackendError(f"{path}: not a readable engine manifest ({error})") from error
    if manifest.schema_version != ENGINE_SCHEMA_VERSION:
        raise BackendError(f"{path}: engine manifest of version {manifest.schema_version}, not {ENGINE_SCHEMA_VERSION}")
    if Path(manifest.file).name != manifest.file:
        raise BackendError(f"{path}: names {manifest.file!r:.80}, which is no file beside it")
    return manifest
