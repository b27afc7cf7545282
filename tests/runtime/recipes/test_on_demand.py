"""What a recipe leaves out of WinCLIP's windows: what cannot be is refused, and its file and history keep the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clipspect.base.errors import RecipeError
from clipspect.recipes.history import with_limits
from clipspect.recipes.limits import Limits
from clipspect.recipes.on_demand import Cascade, CascadeEffect, OnDemand, Reuse
from clipspect.recipes.recipe import read_recipe, write_recipe
from support import handmade


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cascade(0.5, stride=1), "a stride of 1 leaves nothing out"),
        (lambda: Reuse(tolerance=256), "a tolerance of 256 grey levels"),
        (lambda: Reuse(refresh=0), "refreshed every 0 frames"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(make: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make()


def test_a_recipes_file_keeps_its_plan_in_a_schema_that_older_readers_refuse(tmp_path: Path) -> None:
    plan = OnDemand(Cascade(0.25, effect=CascadeEffect(20, 0, 0.5, None, 0.0, 0.05, 0.3)), Reuse(2, 50))
    path = tmp_path / "nut.safetensors"
    write_recipe(path, handmade.make_recipe("nut", windows=plan))
    found = read_recipe(path)
    assert found.windows == plan
    assert found.document()["windows"]["reuse"] == {"tolerance": 2, "refresh": 50}
    assert b'\\"schema_version\\":3' in path.read_bytes()


def test_with_other_limits_what_a_cascade_changes_is_not_known_and_the_rest_stays() -> None:
    plan = OnDemand(Cascade(0.25, effect=CascadeEffect(20, 0, 0.5, None, 0.0, 0.05, 0.3)), Reuse(2, 50))
    found = with_limits(handmade.make_recipe("nut", windows=plan), Limits(0.4, 0.6), None, why="given by hand")
    assert found.windows == OnDemand(Cascade(0.25), Reuse(2, 50))
    assert with_limits(handmade.make_recipe("nut"), Limits(0.4, 0.6), None, why="given by hand").windows is None
