"""How verdicts look, on overlays and pages alike: a word, a sign and a colour, so that no one of them has to be seen.

The colours stay apart under every kind of colour blindness, and their ink can be read on them: the tests compute both.
"""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class VerdictStyle:
    """RGB, 0 to 255."""

    sign: str
    colour: Colour
    ink: Colour  # of words on the colour


_WHITE, _BLACK = (255, 255, 255), (24, 24, 27)
VERDICT_STYLES = {
    "pass": VerdictStyle("\N{CHECK MARK}", (0, 122, 122), _WHITE),
    "uncertain": VerdictStyle("?", (240, 173, 0), _BLACK),
    "fail": VerdictStyle("\N{MULTIPLICATION X}", (196, 52, 10), _WHITE),
    "invalid": VerdictStyle("\N{EN DASH}", (205, 205, 212), _BLACK),
}
