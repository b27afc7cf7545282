"""What the records of an archive are decided by: the same in all processes, and in all runs over one folder."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from clipspect.inspection.inspector import Inspector
from clipspect.inspection.record import BundleRecord, EngineRecord, RecipeRecord


@dataclass(frozen=True)
class Decided:
    """Bundle, recipe, engine and the limit on the map."""

    bundle: BundleRecord
    recipe: RecipeRecord
    engine: EngineRecord
    map_limit: float

    @classmethod
    def by(cls, inspector: Inspector) -> Decided:
        bundle, recipe = inspector.bundle, inspector.recipe
        return cls(
            BundleRecord(bundle.path.resolve().name, bundle.manifest.method, bundle.digest),
            RecipeRecord(recipe.name, recipe.digest),
            EngineRecord(inspector.backend, inspector.device, inspector.precision),
            inspector.map_limit,
        )

    def difference(self, other: Decided) -> str:
        """The first thing that another one has otherwise, as "its bundle is ..., here it is ..."; empty for none.

        Names of bundles may differ: their digests tell them apart.
        """
        mine, others = self._told(), other._told()
        for what, value in mine.items():
            if value != others[what]:
                return f"its {what} is {value}, here it is {others[what]}"
        return ""

    def _told(self) -> dict[str, str]:
        return {
            "bundle": f"{self.bundle.method} {self.bundle.digest:.12}",
            "recipe": f"{self.recipe.name} {self.recipe.digest:.12}",
            "engine": " ".join(dataclasses.astuple(self.engine)),
            "map limit": f"{self.map_limit:.9g}",
        }
