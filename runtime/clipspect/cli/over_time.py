"""Options of commands for frames that follow each other: parts at a gate, verdicts that do not flicker, smoothing."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipspect.base.errors import ClipspectError
from clipspect.cli.arguments import count, number

if TYPE_CHECKING:
    from clipspect.frame.item import Item
    from clipspect.inspection.outcome import Outcome
    from clipspect.inspection.over_time import Hysteresis, Smoothing
    from clipspect.sources.gate import Gate


def add_over_time(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gate",
        metavar="X,Y,W,H",
        help="judge parts that pass this rectangle of the frame, in pixels, somewhat larger than a part: one record a "
        "part, of its best frame",
    )
    parser.add_argument(
        "--gate-empty", metavar="IMAGE", type=Path, help="a frame with no part at the gate (default: the first one)"
    )
    parser.add_argument(
        "--steady", metavar="N", type=count, help="a verdict changes only after N frames in a row (default: with each)"
    )
    parser.add_argument(
        "--smooth",
        metavar="WEIGHT",
        type=number,
        help="filter scores and maps over time, the newest frame counting WEIGHT, up to 1; the map moves with the "
        "picture, as on a belt (default: each frame for itself)",
    )


@dataclass(frozen=True)
class OverTime:
    """What these options ask for."""

    gate: Gate | None
    smoothing: Smoothing | None
    hysteresis: Hysteresis | None

    @classmethod
    def of(cls, args: argparse.Namespace) -> OverTime:
        """Raises ClipspectError."""
        from clipspect.inspection.over_time import Hysteresis, Smoothing
        from clipspect.sources.gate import parse_gate

        if args.gate is None and args.gate_empty is not None:
            raise ClipspectError("--gate-empty: there is no gate: add --gate X,Y,W,H")
        if args.gate is not None and (args.steady is not None or args.smooth is not None):
            raise ClipspectError("--gate judges each part by itself: leave --steady and --smooth out")
        if args.smooth is not None and args.explain:
            raise ClipspectError("--smooth: reasons are those of single frames: leave --explain or --smooth out")
        return cls(
            None if args.gate is None else parse_gate(args.gate, args.gate_empty),
            None if args.smooth is None else Smoothing(args.smooth),
            None if args.steady is None else Hysteresis(args.steady),
        )

    @property
    def needs_pictures(self) -> bool:
        return self.smoothing is not None

    def items(self, items: Iterable[Item]) -> Iterable[Item]:
        """What is inspected."""
        from clipspect.sources.parts import parts

        return items if self.gate is None else parts(items, self.gate)

    def outcomes(self, outcomes: Iterable[Outcome]) -> Iterable[Outcome]:
        """What is recorded."""
        from clipspect.inspection.over_time import smoothed, steady

        if self.smoothing is not None:
            outcomes = smoothed(outcomes, self.smoothing)
        return outcomes if self.hysteresis is None else steady(outcomes, self.hysteresis)
