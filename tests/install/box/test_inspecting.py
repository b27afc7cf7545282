"""Pictures in, scores and maps out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipspect

GREY = 153  # 0.6


def test_every_kind_of_picture_is_read_to_the_same_pixels(engine: str, bundle: Path, tmp_path: Path) -> None:
    rows = np.full((32, 32, 3), GREY, np.uint8)
    pictures = {
        "grey.png": Image.fromarray(rows[..., 0]),
        "deep.png": Image.fromarray(np.full((32, 32), GREY * 257, np.uint16)),
        "colour.png": Image.fromarray(rows),
        "colour.bmp": Image.fromarray(rows),
        "colour.tiff": Image.fromarray(rows),
        "colour.jpg": Image.fromarray(rows),
        "colour.webp": Image.fromarray(rows),
    }
    with clipspect.load(bundle, backend=engine) as inspector:
        for name, picture in pictures.items():
            picture.save(tmp_path / name)
            score = inspector.inspect(tmp_path / name).score
            assert score == pytest.approx(GREY / 255, abs=1.5 / 255), name
        assert inspector.inspect(rows).score == pytest.approx(GREY / 255, abs=1e-6)


def test_a_photograph_is_turned_as_its_exif_says_and_its_map_has_its_size(
    engine: str, bundle: Path, tmp_path: Path
) -> None:
    pixels = np.zeros((48, 64), np.uint8)
    pixels[:24] = 255  # bright above; turned by a quarter, clockwise, at the right
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    with clipspect.load(bundle, backend=engine) as inspector:
        found = inspector.inspect(tmp_path / "turned.jpg").anomaly_map
    assert (found.shape, found.dtype) == ((64, 48), np.float32)
    assert found[:, :16].max() < 0.1
    assert found[:, 32:].min() > 0.9


def test_what_is_no_picture_is_refused(engine: str, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "part.jpg").write_bytes(b"no picture")
    with clipspect.load(bundle, backend=engine) as inspector, pytest.raises(clipspect.ImageError, match=r"part\.jpg"):
        inspector.inspect(tmp_path / "part.jpg")


def test_the_demo_finds_the_defect_where_it_is(engine: str) -> None:
    from clipspect_models import DEMO_IMAGES

    with clipspect.load("demo", backend=engine) as inspector:
        good = inspector.inspect(DEMO_IMAGES / "twill-burn-good.jpg")
        bad = inspector.inspect(DEMO_IMAGES / "twill-burn.jpg")
    assert bad.score > good.score
    with Image.open(DEMO_IMAGES / "twill-burn-mask.png") as picture:
        mask = np.asarray(picture) > 0
    assert 0 < mask.mean() < 0.5
    assert bad.anomaly_map[mask].mean() > bad.anomaly_map[~mask].mean() + 0.1
