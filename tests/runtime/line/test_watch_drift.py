"""`clipspect watch` says once that its images have changed, and its health document keeps saying it."""

from __future__ import annotations

import json
from pathlib import Path

from support.watched import Watching, grey_png

PARTS = 60


def test_a_change_of_the_images_is_told_once_and_health_has_it_after_a_restart(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    for number in range(2 * PARTS):
        (folder / f"{number:03}.png").write_bytes(grey_png(100 + number % 7 + 40 * (number >= PARTS)))
    with Watching(folder, tiny_bundle, out) as watching:
        watching.wait_for_rows(2 * PARTS)
        assert watching.stop() == 0
    told = " ".join(line for line in watching.err.splitlines() if line.startswith("clipspect: drift"))
    assert told.count("brightness rose by") == 1
    assert told.count("score rose by") == 1
    before = json.loads((out / "health.json").read_text())["drift"]
    assert before["alarm"]
    assert abs(before["changes"][0]["part"] - PARTS) < 5
    with Watching(folder, tiny_bundle, out) as watching:
        assert watching.stop() == 0
    assert json.loads((out / "health.json").read_text())["drift"] == before
    assert "clipspect: drift" not in watching.err
