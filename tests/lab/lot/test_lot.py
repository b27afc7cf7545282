"""`clipspect lot` over a small model's patches: what is ranked, written and refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipspect.base.errors import BundleError, ClipspectError
from clipspect.bundle.bundle import Bundle
from clipspect.frame.spec import ImageSpec
from clipspect_lab.lot.features import grid_of, patch_graph
from clipspect_lab.lot.judge import judge_lot
from support import handmade
from support.lots import run_lot
from support.wide_bundle import wide_bundle

ENGINE = ("--backend", "onnxruntime")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wide_bundle(tmp_path_factory)


@pytest.fixture
def lot(tmp_path: Path) -> Path:
    """Six photographs of one weave; the last has a bright spot. And a file that is no image."""
    folder, random = tmp_path / "lot", np.random.default_rng(5)
    folder.mkdir()
    across = np.sin(np.arange(240) / 4)
    weave = 128 + 50 * across[:, None] * across
    for number in range(6):
        grey = weave[..., None] + random.normal(0, 3, (240, 240, 1))
        pixels = np.repeat(grey, 3, axis=2)
        if number == 5:
            pixels[100:130, 90:140] = (240, 30, 30)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    (folder / "torn.png").write_bytes(b"\x89PNG, and no more")
    return folder


def test_the_odd_one_is_ranked_first_and_a_torn_file_is_an_error_row(
    bundle: Path, lot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, page = tmp_path / "out", tmp_path / "lot.html"
    assert run_lot(bundle, lot, "--out", out, "--report", page, "--json", *ENGINE) == 1
    printed = capsys.readouterr()
    records = [json.loads(line) for line in printed.out.splitlines()]
    assert [record["item"]["name"] for record in records[:1]] == [str(lot / "5.png")]
    scores = [record["score"] for record in records[:6]]
    assert scores == sorted(scores, reverse=True)
    assert [record["explanation"]["lot"]["rank"] for record in records[:6]] == [1, 2, 3, 4, 5, 6]
    assert all(record["verdict"] is None and record["limits"] is None for record in records)
    assert "torn.png" in records[6]["error"]
    assert "6 images ranked, 1 could not be read" in printed.err
    assert printed.out == (out / "results.jsonl").read_text()
    assert len(list((out / "overlays").iterdir())) == 6
    text = page.read_text()
    assert text.index("5.png") < text.index("0.png")
    assert "torn.png" in text


def test_the_map_shows_where_the_odd_one_is_odd(bundle: Path, lot: Path) -> None:
    judged = judge_lot(bundle, sorted(lot.glob("[0-9].png")), "onnxruntime")
    first = judged.ranked[0].require()
    row, column = np.unravel_index(first.anomaly_map.argmax(), first.anomaly_map.shape)
    assert 90 <= row < 140
    assert 80 <= column < 150
    assert judged.heat[1] == pytest.approx(first.model_map.max())


def test_an_array_is_an_image_and_the_order_does_not_matter(bundle: Path, lot: Path) -> None:
    arrays = [np.asarray(Image.open(path)) for path in sorted(lot.glob("[0-9].png"))]
    there = judge_lot(bundle, arrays, "onnxruntime")
    back = judge_lot(bundle, arrays[::-1], "onnxruntime")
    numbers = [outcome.item.number for outcome in there.ranked]
    assert numbers == [5 - outcome.item.number for outcome in back.ranked]


def test_fewer_than_three_images_are_refused(bundle: Path, lot: Path, tmp_path: Path) -> None:
    pair = tmp_path / "pair"
    pair.mkdir()
    for name in ("0.png", "1.png", "torn.png"):
        shutil.copy(lot / name, pair)
    with pytest.raises(
        ClipspectError, match="2 of 3 images could be read: a lot is judged by its images alone"
    ) as caught:
        run_lot(bundle, pair, *ENGINE)
    assert "\n" not in str(caught.value)


def test_a_bundle_without_patches_is_refused(tmp_path: Path, lot: Path) -> None:
    with pytest.raises(BundleError, match="the bundle answers no patches, which a lot is judged by: export it again"):
        run_lot(handmade.write_bundle(tmp_path / "words.bundle"), lot, *ENGINE)


def test_patches_are_the_rows_over_the_finest_grid(bundle: Path) -> None:
    found = patch_graph(Bundle.open(bundle))
    assert found.outputs == ("features_patches",)
    assert found.grid == (4, 6)


@pytest.mark.parametrize(
    ("patches", "size", "grid"), [(225, (240, 240), (15, 15)), (24, (64, 96), (4, 6)), (8, (32, 16), (4, 2))]
)
def test_the_grid_has_the_images_shape(patches: int, size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert grid_of(patches, ImageSpec(*size)) == grid
