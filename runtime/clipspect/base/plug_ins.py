"""What other packages add by entry points: found by name, and loaded on use."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from clipspect.base.errors import ClipspectError


def plug_in_names(group: str) -> list[str]:
    """The names that installed packages give in an entry points' group."""
    return sorted(metadata.entry_points(group=group).names)


def load_plug_in(group: str, name: str) -> Any:
    """What a package gives under that name, None when none does. Raises ClipspectError when it cannot be imported."""
    found = list(metadata.entry_points(group=group, name=name))
    if not found:
        return None
    try:
        return found[0].load()
    except Exception as error:
        package = found[0].dist.name if found[0].dist is not None else found[0].value
        raise ClipspectError(
            f"{name}: {found[0].value} of the package {package} does not load ({described(error)}): "
            "mend or uninstall that package"
        ) from error


def described(error: BaseException) -> str:
    """A fault of foreign code in one line."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
