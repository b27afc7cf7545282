"""What a message to a line can ask for: another recipe for one of its sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clipspect.base import clock
from clipspect.base.document import MismatchError, from_json
from clipspect.base.errors import ClipspectError
from clipspect.recipes.recipe import is_recipe_name

Switch = Callable[[str, str], dict[str, Any]]  # a source and a recipe; raises ClipspectError

_MOST_BYTES = 10_000


@dataclass(frozen=True)
class Command:
    """The JSON document of a message."""

    recipe: str  # a name of the bundle's
    source: str = ""  # the name of one; without it the line's only one
    id: str = ""  # whatever tells the answer


def obeyed(message: bytes, switch: Switch) -> dict[str, Any]:
    """Do what a message says; the answer. A message that cannot be understood changes nothing."""
    command: Command | None = None
    try:
        if len(message) > _MOST_BYTES:
            raise ClipspectError(f"a command of {len(message)} bytes: expected {_MOST_BYTES} at most")
        command = from_json(Command, message, "command")
        if not is_recipe_name(command.recipe):  # a path would be a file of whoever can send a message
            raise ClipspectError(f"{command.recipe!r:.80} is no name of a recipe")
        said = {"done": True, "recipe": switch(command.source, command.recipe), "error": None}
    except (ClipspectError, MismatchError) as error:
        said = {"done": False, "recipe": None, "error": str(error)}
    names = {"id": "", "source": ""} if command is None else {"id": command.id, "source": command.source}
    return {"time": clock.now(), **names, **said}
