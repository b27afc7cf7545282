"""The file of the recipe in use: when it is replaced, the new recipe is taken over between two frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from clipspect.base import clock
from clipspect.base.errors import ClipspectError
from clipspect.bundle.signature import signature_path
from clipspect.inspection.inspector import Inspector
from clipspect.line.background import Background
from clipspect.line.health import Health
from clipspect.recipes.guard import guard_words
from clipspect.recipes.recipe import Recipe, read_recipe

_LOOK_S = 1.0  # between two looks while no frame comes
_SETTLED_NS = 1_000_000_000  # after which a file is not changed again without a new time of change

_State = tuple[tuple[int, int, int, int], ...]  # of each file inode, size, times of change


class FollowedRecipe(Background):
    """Looks at a recipe's file before each frame, and every second. A context manager.

    A file that is no recipe of this bundle, or gone, is a problem that health tells; the recipe in use goes on. Each
    file is read once, one that the system does not give until it does; a frame is scored and judged by one recipe: see
    `Inspector.use_recipe`.
    """

    def __init__(self, path: Path, inspector: Inspector, health: Health, what: str = "recipe") -> None:
        """`what` is its name among the problems."""
        super().__init__("recipe", _LOOK_S)
        self._path, self._inspector, self._health, self._what = path, inspector, health, what
        self._since = clock.now()
        self._seen: _State | None = None  # None: it is to be read
        self._lock = threading.Lock()

    def look(self) -> None:
        """Take over a file that was replaced. Any thread may call."""
        with self._lock:
            try:
                state = self._state()
            except OSError as error:
                self._refused(f"{self._path}: cannot be read ({error.strerror})")
                self._seen = None
                return
            if state == self._seen:
                return
            changed_ago = time.time_ns() - max(max(file[2:]) for file in state)
            self._seen = None if 0 <= changed_ago < _SETTLED_NS else state
            try:
                self._take_over()
            except (ClipspectError, OSError) as error:
                if isinstance(error, OSError) or isinstance(error.__cause__, OSError):
                    self._seen = None  # nothing is known of the file yet
                self._refused(str(error))
            else:
                self._health.problem(self._what, None)

    def switch(self, path: Path, keep: Callable[[], None]) -> None:
        """Take over the recipe of another file, and follow that. `keep` remembers it. Any thread may call.

        Raises ClipspectError, also what `keep` raises: the recipe in use then goes on.
        """
        with self._lock:
            recipe, before = read_recipe(path, self._inspector.bundle.key), self._inspector.recipe
            self._inspector.use_recipe(recipe)
            try:
                keep()
            except ClipspectError:
                self._inspector.use_recipe(before)
                raise
            self._path, self._seen, self._since = path, None, clock.now()
            self._health.problem(self._what, None)
            self._tell(f"recipe {recipe.name!r} was switched to", before)

    def report(self) -> dict[str, Any]:
        """For the health document."""
        recipe = self._inspector.recipe
        return {"name": recipe.name, "digest": recipe.digest, "since": self._since}

    def _work(self) -> None:
        while not self._over.wait(_LOOK_S):
            self.look()

    def _state(self) -> _State:
        """Of the recipe's file, and of its signature where one is required, which may come later."""
        found = [self._path.stat()]
        if self._inspector.bundle.key is not None:
            with suppress(FileNotFoundError):
                found.append(signature_path(self._path).lstat())
        return tuple((status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns) for status in found)

    def _take_over(self) -> None:
        """Raises ClipspectError."""
        recipe, before = read_recipe(self._path, self._inspector.bundle.key), self._inspector.recipe
        if recipe.digest == before.digest:
            return
        self._inspector.use_recipe(recipe)
        self._since = clock.now()
        self._tell(f"recipe {recipe.name!r} was replaced", before)

    def _tell(self, what: str, before: Recipe) -> None:
        recipe, limits = self._inspector.recipe, self._inspector.limits
        said = guard_words(recipe, limits)
        self._health.say(
            f"{what}: {recipe.digest[:12]} from the next image on, before {before.digest[:12]}; "
            f"{'no limits' if limits is None else limits.words}{f'; {said}' if said else ''}"
        )

    def _refused(self, reason: str) -> None:
        recipe = self._inspector.recipe
        self._health.problem(self._what, f"{reason}; until then {recipe.name!r} {recipe.digest[:12]} goes on")
