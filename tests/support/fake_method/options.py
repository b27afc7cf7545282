"""One option of its own, besides words."""

from __future__ import annotations

from dataclasses import dataclass

from clipspect_export.methods.method import Method, WordOptions, option


@dataclass(frozen=True)
class FakeOptions(WordOptions):
    """How sharp the decision is."""

    sharpness: float = option(10.0, "what the difference of the cosines is multiplied by", metavar="X")


METHOD = Method("fake", FakeOptions)
