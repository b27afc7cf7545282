"""The recipes of one source: that of its frames, and those of its subfolders; followed, and switched by a message."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from clipspect.base.document import MismatchError, from_json
from clipspect.base.errors import AnswerError, ImageError, RecipeError, SignatureError
from clipspect.base.files import atomic_file
from clipspect.bundle.bundle import Bundle
from clipspect.frame.decode import FrameLike
from clipspect.frame.prepare import Frame
from clipspect.inspection.answer import Answer
from clipspect.inspection.inspector import Inspector
from clipspect.inspection.result import Result
from clipspect.line.followed_recipe import FollowedRecipe
from clipspect.line.health import Health
from clipspect.line.plan import OWN, SourcePlan
from clipspect.recipes.recipe import Recipe
from clipspect.recipes.shelf import recipe_for, recipe_path

_SWITCHED = Path(OWN, "recipe.json")  # in a source's place
_ALL = ""  # the subfolder of frames that no other is given for


@dataclass(frozen=True)
class Chosen:
    """A recipe and the file that is followed."""

    path: Path
    recipe: Recipe


@dataclass(frozen=True)
class _Switched:
    """What a message switched to, and what the plan said then: another plan takes it back."""

    recipe: str
    instead_of: str | None


def chosen_recipes(bundle: Bundle, source: SourcePlan, place: Path) -> dict[str, Chosen]:
    """By subfolder, what a source begins with: the recipe that a message switched to, else the plan's.

    Raises RecipeError.
    """
    switched = _read_switched(place / _SWITCHED)
    default = source.recipe
    if switched is not None and switched.instead_of == source.recipe:
        default = switched.recipe
    names = {_ALL: default, **{str(Path(folder)): name for folder, name in source.recipes.items()}}
    try:
        return {folder: Chosen(recipe_path(bundle, name), recipe_for(bundle, name)) for folder, name in names.items()}
    except (RecipeError, SignatureError) as error:
        if default == source.recipe:
            raise
        raise type(error)(
            f"{error} (a message switched to {default!r}: remove {place / _SWITCHED} to go back to the line's own)"
        ) from error


class RecipesInUse:
    """A context manager over inspectors that share an engine. As an inspector it takes the frames of a stream: which
    of its recipes a frame is for follows from the frame's path.
    """

    def __init__(
        self, inspectors: Mapping[str, Inspector], chosen: Mapping[str, Chosen], source: SourcePlan, place: Path,
        health: Health, workers: int,
    ) -> None:  # fmt: skip
        """`workers` threads prepare the source's frames; so many are fetched ahead."""
        self.workers = workers
        self._source, self._place, self._health = source, place, health
        self._inspectors = dict(inspectors)
        self._followed = {
            folder: FollowedRecipe(
                chosen[folder].path, inspector, health, "recipe" if folder == _ALL else f"recipe of {folder}"
            )
            for folder, inspector in inspectors.items()
        }
        root = source.folder
        longest_first = sorted((folder for folder in inspectors if folder != _ALL), key=len, reverse=True)
        self._below = [] if root is None else [(str(root / folder) + "/", folder) for folder in longest_first]

    @property
    def first(self) -> Inspector:
        """The inspector of frames that no subfolder's recipe is for."""
        return self._inspectors[_ALL]

    @property
    def followed(self) -> list[FollowedRecipe]:
        return list(self._followed.values())

    def of(self, path: str | None) -> Inspector:
        """The inspector of the frame with that path."""
        if path is not None:
            for start, folder in self._below:
                if path.startswith(start):
                    return self._inspectors[folder]
        return self.first

    def look(self) -> None:
        """Take over recipes that were replaced: before each item, so that what was there before it came judges it."""
        for followed in self._followed.values():
            followed.look()

    def switch(self, name: str) -> dict[str, Any]:
        """Another recipe of the bundle for the frames of this source but for those of subfolders with their own.

        The report of the new one. It stays through a restart, until the line's file names another. Raises
        ClipspectError: nothing has changed.
        """
        switched = json.dumps({"recipe": name, "instead_of": self._source.recipe}).encode()
        followed = self._followed[_ALL]
        followed.switch(recipe_path(self.first.bundle, name), lambda: _keep(self._place / _SWITCHED, switched))
        return followed.report()

    def report(self) -> dict[str, Any]:
        """For the health document."""
        others = {folder: followed.report() for folder, followed in self._followed.items() if folder != _ALL}
        return {"recipe": self._followed[_ALL].report(), **({"recipes": others} if others else {})}

    # as an inspector

    @property
    def tiled(self) -> bool:
        return any(inspector.tiled for inspector in self._inspectors.values())

    def prepare_alone(self, frame: FrameLike) -> Frame:
        return self.of(str(frame) if isinstance(frame, (str, Path)) else None).prepare_alone(frame)

    def answer(self, frames: Sequence[Frame]) -> list[Answer | AnswerError | ImageError]:
        return [answer for frame in frames for answer in self.of(frame.source).answer([frame])]

    def finish(self, answer: Answer) -> Result:
        return self.of(answer.frame.source).finish(answer)

    def __enter__(self) -> RecipesInUse:
        with ExitStack() as stack:
            for followed in self._followed.values():
                stack.enter_context(followed)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)


def _read_switched(path: Path) -> _Switched | None:
    try:
        return from_json(_Switched, path.read_bytes(), path.name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, MismatchError) as error:
        raise RecipeError(
            f"{path}: it says to which recipe a message switched, and cannot be read ({error}): remove it to go "
            "back to the line's own"
        ) from error


def _keep(path: Path, content: bytes) -> None:
    with atomic_file(path) as file:
        file.write(content)
