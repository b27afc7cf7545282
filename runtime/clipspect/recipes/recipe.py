"""The recipe: what makes one bundle inspect one product. A small safetensors file that proves itself.

The tensors are the graph's inputs besides the image. The header's metadata holds one JSON
document under the key `clipspect`; its `sha256` covers the rest of the document and the tensors.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.document import MismatchError, build
from clipspect.base.errors import RecipeError
from clipspect.base.files import atomic_file
from clipspect.engines.graph import REFERENCE, TEXT_FEATURES
from clipspect.recipes.limits import Limits

RECIPE_SUFFIX = ".safetensors"
RECIPE_SCHEMA_VERSION = 1
_MAX_NAME_BYTES = 200  # leaves room for suffixes in the 255 of a file system
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{digit}" for port in ("COM", "LPT") for digit in "123456789")}
_METADATA, _DIGEST = "clipspect", "sha256"
_NAME = re.compile(r"[^\W_][\w .,()+-]{0,79}")
MAX_BYTES = 1 << 30
_AGAIN = "make the recipe again, or copy it again"

Tensors = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Recipe:
    """Text features and what they mean. `tensors["text_features"]` is float32 (2, P, D)."""

    name: str
    method: str
    object: str
    encoder_sha256: str
    tensors: Tensors = field(repr=False)
    prompts: dict[str, Any] = field(default_factory=dict, repr=False)  # states, templates or prompts, fusion
    limits: Limits | None = None
    calibration: dict[str, Any] | None = None  # what the limits were calibrated on
    references: dict[str, Any] | None = field(default=None, repr=False)  # the photos, and how their rows were thinned
    parameters: dict[str, Any] = field(default_factory=dict, repr=False)  # of the bundle's method: its manifest's

    def __post_init__(self) -> None:
        """Freeze the tensors: a read-only array is a constant to an engine, and need not travel with every frame."""
        frozen = MappingProxyType({name: _read_only(value) for name, value in self.tensors.items()})
        object.__setattr__(self, "tensors", frozen)

    @property
    def text_features(self) -> npt.NDArray[np.float32]:
        return self.tensors[TEXT_FEATURES]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over what the recipe says and its tensors, by which records name it."""
        return _digest(_document(self), self.tensors)

    @property
    def has_references(self) -> bool:
        """Whether it is a few-shot recipe."""
        return any(name.startswith(REFERENCE) for name in self.tensors)

    def require(self, *, method: str, encoder_sha256: str, dim: int, parameters: dict[str, Any]) -> None:
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
        if self.text_features.shape[-1] != dim:
            raise RecipeError(
                f"recipe {self.name!r}: text features of width {self.text_features.shape[-1]}, expected {dim}"
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
    if wanted not in names:
        raise RecipeError(f"{bundle}: no recipe {wanted!r}; there are: {listing}")
    return wanted


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe file whole or not at all."""
    from safetensors.numpy import save

    check_recipe_name(recipe.name)
    document = _document(recipe)
    tensors = {key: np.ascontiguousarray(value, np.float32) for key, value in recipe.tensors.items()}
    document[_DIGEST] = _digest(document, tensors)
    # One key only: safetensors writes several in no certain order, and the same recipe must be the same bytes.
    data = save(tensors, metadata={_METADATA: _canonical(document)})
    with atomic_file(path) as file:
        file.write(data)


def _document(recipe: Recipe) -> dict[str, Any]:
    document = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe) if f.name != "tensors"}
    document["limits"] = dataclasses.asdict(recipe.limits) if recipe.limits else None
    return {**document, "schema_version": RECIPE_SCHEMA_VERSION}


def read_recipe(path: Path) -> Recipe:
    """Read and verify a recipe file. Raises RecipeError with the one thing that is wrong."""
    document, tensors = _read_verified(path)
    try:
        version = document.get("schema_version")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise MismatchError(f"schema_version is {version!r:.80}, expected a number from 1")
        if version > RECIPE_SCHEMA_VERSION:
            raise RecipeError(f"{path}: recipe version {version} is newer than this clipspect reads: upgrade clipspect")
        recipe = build(Recipe, document, "recipe", tensors=tensors)
    except MismatchError as error:
        raise RecipeError(f"{path}: {error}: {_AGAIN}") from error
    _check_tensors(path, tensors)
    if f"{recipe.name}{RECIPE_SUFFIX}" != path.name:
        raise RecipeError(f"{path}: holds the recipe {recipe.name!r}: give the file that name again")
    return recipe


def _read_verified(path: Path) -> tuple[dict[str, Any], Tensors]:
    """The JSON document, without its digest, and the tensors of a file whose digest covers both."""
    from safetensors import SafetensorError, safe_open

    if path.is_symlink() or not path.is_file():
        raise RecipeError(f"{path}: no such recipe file (a link does not count): copy the recipe into the bundle")
    if path.stat().st_size > MAX_BYTES:
        raise RecipeError(f"{path}: {path.stat().st_size} bytes is too large for a recipe: {_AGAIN}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, not a dict
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        # AttributeError: a dtype that this NumPy does not have
        raise RecipeError(f"{path}: not a readable recipe ({error}): {_AGAIN}") from error
    try:
        document = json.loads(metadata.get(_METADATA, ""))
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path}: not a readable recipe ({error}): {_AGAIN}") from error
    if not isinstance(document, dict) or document.pop(_DIGEST, None) != _digest(document, tensors):
        raise RecipeError(f"{path}: the content does not match its digest, the file was changed: {_AGAIN}")
    return document, tensors


def _check_tensors(path: Path, tensors: Tensors) -> None:
    text = tensors.get(TEXT_FEATURES)
    if text is None or text.ndim != 3 or text.shape[0] != 2 or 0 in text.shape:
        found = "none" if text is None else str(text.shape)
        raise RecipeError(f"{path}: {TEXT_FEATURES} must have the shape (2, prompts, dim), found {found}: {_AGAIN}")
    for key, value in tensors.items():
        if value.dtype != np.float32 or not np.isfinite(value).all():
            raise RecipeError(f"{path}: {key} must be finite float32: {_AGAIN}")


def _canonical(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _digest(document: dict[str, Any], tensors: Tensors) -> str:
    digest = hashlib.sha256(_canonical(document).encode())
    for key in sorted(tensors):
        value = tensors[key]
        digest.update(f"\n{key} {value.dtype.str} {value.shape}\n".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
