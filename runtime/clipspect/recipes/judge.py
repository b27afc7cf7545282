"""What a recipe is to be judged by: words, photos of good parts, or both, as the bundle can and as it is asked."""

from __future__ import annotations

from clipspect.base.errors import RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.engines.graph import BOTH, PHOTOS, WORDS

JUDGES = (WORDS, PHOTOS, BOTH)

_ADD = {PHOTOS: "--memory", BOTH: "--few-shot"}  # options of the export that add the graph of a role


def choose_judge(bundle: Bundle, asked: str | None, *, words: bool, photos: bool) -> str:
    """The role of the graph for a recipe; `words` and `photos` say what is given for it. Raises RecipeError.

    By default the words judge where there are no photos, and with photos both where the bundle can, else the photos.
    """
    able = bundle.manifest.graphs
    if asked is not None and asked not in JUDGES:
        raise RecipeError(f"judge {asked!r}: expected {', '.join(JUDGES)}")
    if asked is None:
        usual = BOTH if BOTH in able or PHOTOS not in able else PHOTOS
        asked = usual if photos else WORDS
        if WORDS not in able:
            asked = PHOTOS
    if asked == PHOTOS and words:
        why = "photos alone are to judge" if WORDS in able else "this bundle reads no words, it goes by photos alone"
        raise RecipeError(f"{bundle.path}: {why}: leave the words out")
    if asked != WORDS and not photos:
        raise RecipeError(f"{bundle.path}: to judge by {asked} takes photos of good parts: add --references PATH")
    if asked == WORDS and photos:
        raise RecipeError("references are given, and words alone are to judge: leave one of the two out")
    if asked not in able:
        _refuse(bundle, asked)
    return asked


def _refuse(bundle: Bundle, role: str) -> None:
    if role == WORDS:
        raise RecipeError(f"{bundle.path}: this bundle reads no words: judge by photos, with --references PATH")
    others = f"; it can judge by {PHOTOS}" if role == BOTH and PHOTOS in bundle.manifest.graphs else ""
    if WORDS not in bundle.manifest.graphs:
        raise RecipeError(f"{bundle.path}: this bundle reads no words, so that it cannot judge by {role}{others}")
    raise RecipeError(
        f"{bundle.path}: the bundle has no {'few-shot' if role == BOTH else 'memory'} graph to compare with "
        f"references{others}: export it with {_ADD[role]}"
    )
