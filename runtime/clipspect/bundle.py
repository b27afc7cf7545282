"""The bundle: a folder whose manifest, `bundle.json`, accounts for every other file by hash.

`Bundle.open` is the only way in. It verifies everything before it returns, so that no
engine ever sees a file that the exporter did not write.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from clipspect.errors import BundleError, RecipeError
from clipspect.manifest import IMAGE, MANIFEST, FileEntry, Graph, Manifest, read_manifest
from clipspect.onnx_file import external_locations
from clipspect.recipe import RECIPE_SUFFIX, Recipe, choose_recipe, is_recipe_name, read_recipe

RECIPES = "recipes"
DEMO = "demo"  # the word that stands for the embedded bundle
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HASH_BLOCK = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """A verified bundle on disk."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Bundle:
        """Read and verify a bundle folder; the word "demo" opens the embedded one (write ./demo for a folder).

        Every file is hashed here, once. Raises BundleError with the one thing that is wrong.
        """
        root = _demo_bundle() if path == DEMO else Path(path)
        try:
            manifest = read_manifest(root)
            _check_accounts(root, manifest)
            for name, entry in manifest.files.items():
                _verify_file(root, name, entry)
            _check_weights(root, manifest)
        except OSError as error:
            raise BundleError(
                f"{root}: cannot be read ({error.strerror or error}): check the path and its rights"
            ) from error
        return cls(root, manifest)

    @property
    def graph_path(self) -> Path:
        """Of the zero-shot graph."""
        return self.path / self.manifest.graph.file

    def serving(self, recipe: Recipe) -> tuple[Graph, tuple[float, float]]:
        """The graph that takes the recipe's tensors, and the range of its map. Raises RecipeError."""
        few_shot = self.manifest.few_shot
        if not recipe.has_references:
            graph, map_range = self.manifest.graph, self.manifest.map_range
        elif few_shot is not None:
            graph, map_range = few_shot.graph, few_shot.map_range
        else:
            raise RecipeError(
                f"recipe {recipe.name!r} has references, the bundle has no few-shot graph: export it with --few-shot"
            )
        expected = {name: spec.shape for name, spec in graph.inputs.items() if name != IMAGE}
        if set(recipe.tensors) != set(expected):
            raise RecipeError(
                f"recipe {recipe.name!r} holds {', '.join(sorted(recipe.tensors))}, but the graph takes "
                f"{', '.join(sorted(expected))}: make the recipe again for this bundle"
            )
        for name, shape in expected.items():
            found = recipe.tensors[name].shape
            if not _fits(found, shape):
                raise RecipeError(
                    f"recipe {recipe.name!r}: {name} has the shape {found}, the graph takes "
                    f"({', '.join(map(str, shape))}): make the recipe again for this bundle"
                )
        return graph, map_range

    def recipe_names(self) -> list[str]:
        """Names of the recipes in the bundle, sorted."""
        names = [path.name[: -len(RECIPE_SUFFIX)] for path in (self.path / RECIPES).glob(f"*{RECIPE_SUFFIX}")]
        return sorted(name for name in names if is_recipe_name(name))

    def recipe(self, name: str | None = None) -> Recipe:
        """The recipe of that name; without a name, the only one. Raises RecipeError."""
        chosen = choose_recipe(self.recipe_names(), name, self.path)
        return self.own(read_recipe(self.path / RECIPES / f"{chosen}{RECIPE_SUFFIX}"))

    def own(self, recipe: Recipe) -> Recipe:
        """The recipe itself, if it was made for this bundle. Raises RecipeError."""
        recipe.require(
            method=self.manifest.method,
            encoder_sha256=self.manifest.backbone.weights.encoder_sha256,
            dim=self.manifest.text.dim,
            parameters=self.manifest.parameters,
        )
        return recipe


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _demo_bundle() -> Path:
    try:
        from clipspect_models import DEMO_BUNDLE
    except ImportError as error:
        raise BundleError(
            "the embedded demo bundle is not in this installation: install clipspect again, from a wheel or a clone"
        ) from error
    return Path(DEMO_BUNDLE)


def _fits(found: tuple[int, ...], shape: tuple[int | str, ...]) -> bool:
    """Whether an array's shape is one of those that a tensor can have; a name stands for any length from 1."""
    return len(found) == len(shape) and all(
        length >= 1 if isinstance(side, str) else length == side for length, side in zip(found, shape)
    )


def _check_accounts(root: Path, manifest: Manifest) -> None:
    """Everything that is read besides recipes has its hash in the manifest."""
    encoder = manifest.text_encoder
    others = {"tokenizer": encoder.tokenizer if encoder else None, "check images": manifest.check}
    named = [("graph", graph.file) for graph in manifest.graphs]
    named += [(what, file) for what, file in others.items() if file is not None]
    for what, file in named:
        if file not in manifest.files:
            raise BundleError(f"{root}: {MANIFEST} names the {what} {file!r} but not its hash: export the bundle again")
        if file.startswith(f"{RECIPES}/"):
            raise BundleError(f"{root}: {MANIFEST} names a recipe as its {what}: export the bundle again")


def _check_weights(root: Path, manifest: Manifest) -> None:
    """The graphs, already verified, name no file for their weights that the manifest does not account for."""
    for graph in manifest.graphs:
        _check_locations(root, PurePosixPath(graph.file), manifest)


def _check_locations(root: Path, graph: PurePosixPath, manifest: Manifest) -> None:
    try:
        locations = external_locations((root / graph).read_bytes())
    except ValueError as error:
        raise BundleError(f"{root / graph}: not an ONNX model ({error}): export the bundle again") from error
    for location in sorted(locations):
        if str(graph.parent / location) not in manifest.files:
            raise BundleError(
                f"{root / graph}: reads its weights from {location!r:.200}, for which {MANIFEST} has no hash: "
                "export the bundle again"
            )


def _verify_file(root: Path, name: str, entry: FileEntry) -> None:
    pure = PurePosixPath(name)
    outside = not pure.parts or pure.is_absolute() or ".." in pure.parts or any(sign in name for sign in "\\:")
    if outside or not name.isprintable() or pure.as_posix() != name or name == MANIFEST:
        raise BundleError(f"{root}: {MANIFEST} names {name!r:.200}, which is no path inside the bundle: do not use it")
    if not _SHA256.fullmatch(entry.sha256):
        raise BundleError(f"{root}: {MANIFEST} holds no SHA-256 for {name!r}: export the bundle again")
    path = root / pure
    if path.is_symlink() or not path.resolve().is_relative_to(root.resolve()):
        raise BundleError(f"{path}: is a link, and a bundle holds its files itself: copy the bundle again")
    if not path.is_file():
        raise BundleError(f"{path}: the file is missing: copy or export the bundle again")
    if pure.parts[0] == RECIPES:
        return  # recipes are rewritten on the box and carry their own digest
    size = path.stat().st_size
    if size != entry.size:
        raise BundleError(
            f"{path}: {size} bytes, expected {entry.size}: the file was cut or changed; copy the bundle again"
        )
    if sha256_of(path) != entry.sha256:
        raise BundleError(f"{path}: the content does not match its hash: the file was changed; copy the bundle again")
