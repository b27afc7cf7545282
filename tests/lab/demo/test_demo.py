"""`clipspect demo`, on a hand-made model and drawn images."""

from __future__ import annotations

import json
import re
import sys
import types
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipspect.cli import main
from clipspect_models import PRESETS
from support import handmade


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A clipspect_models with the tiny bundle, and images of two families whose defects are bright."""
    images = tmp_path / "images"
    images.mkdir()
    rows = []
    for number in range(8):
        bad = number % 2 == 1
        name = f"{number}.png"
        Image.fromarray(handmade.spotted(64, 48, 120 + 10 * number if bad else 40)).save(images / name)
        mask = handmade.spotted(64, 48, 255)[..., 0] == 255
        if bad:
            Image.fromarray(mask.astype(np.uint8) * 255).save(images / f"{number}_mask.png")
        family = "metal <b>" if number < 4 else "cloth"
        rows.append({"file": name, "mask": f"{number}_mask.png" if bad else None, "family": family, "defect": "spot"})
    (images / "index.json").write_text(json.dumps(rows))
    module = types.ModuleType("clipspect_models")
    bundle = handmade.write_memory_bundle(tmp_path / "demo.bundle")
    cookies = write_cookies(tmp_path / "cookies")
    vars(module).update(PRESETS=PRESETS, DEMO_BUNDLE=bundle, DEMO_IMAGES=images, DEMO_COOKIES=cookies)
    monkeypatch.setitem(sys.modules, "clipspect_models", module)
    return module


def write_cookies(folder: Path) -> Path:
    """Photographs whose bad ones have a red spot, and three to remember."""
    folder.mkdir()
    rows = []
    for number in range(7):
        photo = handmade.spotted(64, 48, 40 + number)
        name = f"reference-{number}.png" if number < 3 else f"photo{number}.png"
        if number >= 5:
            photo[12:24, 16:32] = (200, 0, 0)
            Image.fromarray(handmade.spotted(64, 48, 255)[..., 0] // 255 * 255).save(folder / f"{number}_mask.png")
        Image.fromarray(photo).save(folder / name)
        if number >= 3:
            mask = f"{number}_mask.png" if number >= 5 else None
            rows.append({"file": name, "mask": mask, "family": "cookie", "defect": "broken" if mask else None})
    (folder / "index.json").write_text(json.dumps(rows))
    return folder


@pytest.mark.usefixtures("models")
def test_the_demo_prints_the_table_and_writes_overlays_and_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["demo", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^cloth +2 +2 +100\.0 +\d+\.\d +\d+\.\d$", text, re.MULTILINE)
    assert re.search(r"^mean of families +4 +4 +100\.0 +\d+\.\d +\d+\.\d$", text, re.MULTILINE)
    assert "clipspect export winclip" in text
    assert "not a product for a line" in text
    assert re.search(r"^cookie +2 +2 +100\.0 +\d+\.\d +\d+\.\d$", text, re.MULTILINE)
    assert "judged by 3 of good parts alone" in text
    assert len(list((out / "overlays").iterdir())) == 8 + 4
    assert str(out / "index.html") in text


@pytest.mark.usefixtures("models")
def test_the_page_is_well_formed_self_contained_and_sorted_by_score(tmp_path: Path) -> None:
    main(["demo", "--out", str(tmp_path)])
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=\"(?!data:image/jpeg;base64,)", page)
    assert "http" not in page
    assert "<script" not in page
    assert "metal &lt;b&gt;" in page
    assert "metal <b>" not in page
    scores = [float(score) for score in re.findall(r'<span class="score">([\d.]+)', page)]
    assert len(scores) == 4 + 8
    assert scores == sorted(scores[:4], reverse=True) + sorted(scores[4:], reverse=True)
    parser = _Balance()
    parser.feed(page)
    assert parser.open == []


def test_a_demo_without_its_images_is_one_clear_error(
    models: types.ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models.DEMO_IMAGES = tmp_path / "none"  # type: ignore[attr-defined]
    assert main(["demo", "--out", str(tmp_path / "out")]) == 1
    assert "the demo's images are not in this installation" in capsys.readouterr().err


class _Balance(HTMLParser):
    """Keeps the elements that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None: ...

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
