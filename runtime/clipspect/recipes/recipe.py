"""The recipe: what makes one bundle inspect one product. Its tensors are a graph's inputs besides the image."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from clipspect.base.document import MismatchError, build
from clipspect.base.errors import RecipeError
from clipspect.base.files import atomic_file
from clipspect.bundle.signature import PublicKey, drop_signature
from clipspect.engines.graph import BOTH, MEAN, PHOTOS, REFERENCE, TEXT_FEATURES, WORDS
from clipspect.frame.region_of_interest import RegionOfInterest
from clipspect.frame.tiling import Tiling
from clipspect.frame.viewing import Viewing
from clipspect.recipes.calibration import Calibration, LimitsChange
from clipspect.recipes.limits import Limits
from clipspect.recipes.on_demand import OnDemand
from clipspect.recipes.recipe_file import AGAIN, NEWER, Tensors, pack, unpack

RECIPE_SUFFIX = ".safetensors"
_MAX_NAME_BYTES = 200  # leaves room for suffixes in the 255 of a file system
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{digit}" for port in ("COM", "LPT") for digit in "123456789")}
_NAME = re.compile(r"[^\W_][\w .,()+-]{0,79}")


@dataclass(frozen=True)
class Recipe:
    """A graph's inputs and what they mean. Where words are read, `tensors["text_features"]` is float32 (2, P, D)."""

    name: str
    method: str
    object: str
    encoder_sha256: str
    tensors: Tensors = field(repr=False)
    prompts: dict[str, Any] = field(default_factory=dict, repr=False)  # states, templates or prompts, fusion
    limits: Limits | None = None
    calibration: Calibration | None = None  # what limits were made of; None: nothing was calibrated
    history: tuple[LimitsChange, ...] = ()  # of the limits, the oldest first
    references: dict[str, Any] | None = field(default=None, repr=False)  # the photos, and how their rows were thinned
    parameters: dict[str, Any] = field(default_factory=dict, repr=False)  # of the bundle's method: its manifest's
    region_of_interest: RegionOfInterest | None = field(default=None, repr=False)  # None: all of a frame is judged
    tiling: Tiling | None = None  # None: a frame is seen as a whole
    windows: OnDemand | None = None  # None: all windows of a frame are encoded

    def __post_init__(self) -> None:
        """Freeze the tensors: a read-only array is a constant to an engine, and need not travel with every frame."""
        frozen = MappingProxyType({name: _read_only(value) for name, value in self.tensors.items()})
        object.__setattr__(self, "tensors", frozen)

    @property
    def text_features(self) -> npt.NDArray[np.float32]:
        return self.tensors[TEXT_FEATURES]

    @property
    def has_references(self) -> bool:
        """Whether it was made of photos of good parts."""
        return any(name == MEAN or name.startswith(REFERENCE) for name in self.tensors)

    @property
    def judge(self) -> str:
        """What it is judged by, which is the role of the graph that it needs: words, both, or photos alone."""
        if TEXT_FEATURES not in self.tensors:
            return PHOTOS
        return BOTH if self.has_references else WORDS

    @property
    def viewing(self) -> Viewing:
        """What of a frame it looks at, and in which views."""
        return Viewing(self.region_of_interest, self.tiling)

    @cached_property
    def digest(self) -> str:
        """SHA-256 by which records name it: that of its file, or of the file that `write_recipe` would write."""
        return pack(self.document(), self.tensors)[0]

    @cached_property
    def tensors_digest(self) -> str:
        """SHA-256 of the tensors, and of the tiles that they are read for: limits belong to them.

        docs/bundle-format.md says how it is made.
        """
        digest = hashlib.sha256()
        for name, value in sorted(self.tensors.items()):
            digest.update(f"{' '.join([name, *map(str, value.shape)])}\n".encode())
            digest.update(np.ascontiguousarray(value, "<f4").tobytes())
        if self.tiling is not None:
            digest.update(f"tiling {self.tiling.digits}\n".encode())
        return digest.hexdigest()

    def document(self) -> dict[str, Any]:
        """What its file says of it in JSON: everything but the tensors, and of NEWER what it has."""
        return {
            item.name: msgspec.to_builtins(value)
            for item in dataclasses.fields(self)
            if item.name != "tensors" and not ((value := getattr(self, item.name)) is None and item.name in NEWER)
        }

    def require(self, *, method: str, encoder_sha256: str, dim: int | None, parameters: dict[str, Any]) -> None:
        """Refuse a recipe that was made for another bundle. Raises RecipeError."""
        if self.method != method:
            raise RecipeError(
                f"recipe {self.name!r} was made for {self.method}, this bundle is {method}: make it again here"
            )
        if self.encoder_sha256 != encoder_sha256:
            raise RecipeError(
                f"recipe {self.name!r} was made for other encoder weights ({self.encoder_sha256[:12]}) "
                f"than this bundle's ({encoder_sha256[:12]}): make it again for this bundle"
            )
        for name in sorted(parameters.keys() | self.parameters.keys()):
            own, expected = self.parameters.get(name), parameters.get(name)
            if own != expected:
                raise RecipeError(
                    f"recipe {self.name!r} was made for a bundle with {name} {_short(own)}, this one has "
                    f"{_short(expected)}: make it again for this bundle"
                )
        if TEXT_FEATURES in self.tensors and self.text_features.shape[-1] != dim:
            expected = "this bundle reads no words" if dim is None else f"expected {dim}"
            raise RecipeError(
                f"recipe {self.name!r}: text features of width {self.text_features.shape[-1]}, {expected}"
            )


def _read_only(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The array itself where nobody can write it, else a copy of its own: another could still write the caller's."""
    owner = array
    while isinstance(owner.base, np.ndarray) and not owner.flags.writeable:
        owner = owner.base
    if not owner.flags.writeable:
        return array
    copy = np.array(array)
    copy.flags.writeable = False
    return copy


def _short(value: Any) -> str:
    """A parameter as an error names it; of a checkpoint the name and the start of the hash."""
    if isinstance(value, dict):
        return " ".join(str(part)[:32] for part in value.values())
    return f"{value!r:.40}"


def is_recipe_name(name: str) -> bool:
    """Whether a recipe can have this name: it is also its file's name, on every file system."""
    fits = len(name.encode("utf-8", "surrogatepass")) <= _MAX_NAME_BYTES
    reserved = name.split(".", maxsplit=1)[0].strip().upper() in _RESERVED
    return fits and not reserved and _NAME.fullmatch(name) is not None and name == name.strip() and name[-1] != "."


def check_recipe_name(name: str) -> str:
    """The name itself. Raises RecipeError when it cannot be a recipe's."""
    if not is_recipe_name(name):
        raise RecipeError(
            f"{name!r} cannot be a recipe's name: up to 80 letters, digits, spaces and . , ( ) + - _, "
            "starting with a letter or digit"
        )
    return name


def choose_recipe(names: list[str], wanted: str | None, bundle: Path) -> str:
    """The wanted name if the bundle has it; without one, the only name there is. Raises RecipeError."""
    listing = ", ".join(repr(name) for name in names)
    if not names:
        raise RecipeError(
            f"{bundle}: the bundle has no recipe; make one with: clipspect recipe {bundle} NAME, "
            "or export it again with --object TEXT"
        )
    if wanted is None:
        if len(names) > 1:
            raise RecipeError(f"{bundle}: the bundle has several recipes, name one of: {listing}")
        return names[0]
    same = [name for name in names if same_name(name, wanted)]
    if not same:
        file = f"{wanted}.safetensors"
        hint = f"; or the file {file}, by its whole name" if os.path.isfile(file) else ""
        raise RecipeError(f"{bundle}: no recipe {wanted!r}; there are: {listing}{hint}")
    return wanted if wanted in same else same[0]


def same_name(one: str, other: str) -> bool:
    """Whether a person reads the same: file systems and keyboards write an umlaut as one character or as two."""
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe file whole or not at all. A signature goes, which was of other bytes. Raises RecipeError."""
    check_recipe_name(recipe.name)
    _, data = pack(recipe.document(), recipe.tensors)
    with atomic_file(path) as file:
        file.write(data)
    drop_signature(path)


def read_recipe(path: Path, key: PublicKey | None = None) -> Recipe:
    """Read and verify a recipe file; with a key, only one that this key signed.

    Raises RecipeError with the one thing that is wrong, SignatureError.
    """
    contents = unpack(path, key)
    try:
        document = build(_Document, contents.document, "recipe")
        build(_PhotoSizes, document.references or {}, "recipe: references")
    except MismatchError as error:
        raise RecipeError(f"{path}: {error}: {AGAIN}") from error
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error
    _check_tensors(path, contents.tensors)
    if not same_name(f"{document.name}{RECIPE_SUFFIX}", path.name):
        raise RecipeError(f"{path}: holds the recipe {document.name!r}: give the file that name again")
    recipe = Recipe(tensors=contents.tensors, **vars(document))
    vars(recipe)["digest"] = contents.digest  # the file's own, whoever wrote it
    return recipe


@dataclass(frozen=True)
class _Document:
    """All of a recipe that its file says in JSON."""

    name: str
    method: str
    object: str
    encoder_sha256: str
    prompts: dict[str, Any] = field(default_factory=dict)
    limits: Limits | None = None
    calibration: Calibration | None = None
    history: tuple[LimitsChange, ...] = ()
    references: dict[str, Any] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    region_of_interest: RegionOfInterest | None = None
    tiling: Tiling | None = None
    windows: OnDemand | None = None


@dataclass(frozen=True)
class _PhotoSizes:
    """What is read again of `references`: see `reference_sizes`."""

    sizes: tuple[tuple[int, int], ...] | None = None
    size: tuple[int, int] | None = None


def _check_tensors(path: Path, tensors: Tensors) -> None:
    if not tensors:
        raise RecipeError(f"{path}: holds no tensor: {AGAIN}")
    text = tensors.get(TEXT_FEATURES)
    if text is not None and (text.ndim != 3 or text.shape[0] != 2 or 0 in text.shape):
        raise RecipeError(f"{path}: {TEXT_FEATURES} must have the shape (2, prompts, dim), found {text.shape}: {AGAIN}")
