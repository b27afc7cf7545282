"""The maps and masks of the class in work: in memory as far as they fit, read once, kept for a later run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipspect_lab.evaluation import map_cache, pixel_pairs
from clipspect_lab.evaluation.map_cache import MapCache
from support.eval_command import Capture, evaluated

ONE, OTHER = (np.full((4, 4), value, np.float32) for value in (0.25, 0.5))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def test_what_fits_stays_in_memory_and_what_does_not_goes_to_a_file(tmp_path: Path) -> None:
    cache = MapCache(tmp_path / "maps", lasting=False, most_bytes=ONE.nbytes)
    cache.add("one", ONE)
    assert not (tmp_path / "maps").exists()
    cache.add("other", OTHER)
    assert names_in(tmp_path / "maps") == ["other.npy"]
    for name, expected in (("one", ONE), ("other", OTHER)):
        assert name in cache
        np.testing.assert_array_equal(cache[name], expected)
    cache.drop("one")
    cache.drop("other")
    assert "one" not in cache
    assert not (tmp_path / "maps").exists()
    cache.add("other", OTHER)  # there is room again
    assert not (tmp_path / "maps").exists()


def test_maps_of_a_run_that_ends_early_are_there_for_the_next_one(tmp_path: Path) -> None:
    cache = MapCache(tmp_path, lasting=True)
    cache.add("one", ONE)
    cache.add("other", OTHER)
    assert names_in(tmp_path) == []
    cache.save()
    later = MapCache(tmp_path, lasting=True)
    np.testing.assert_array_equal(later["one"], ONE)
    (tmp_path / ".other.npy-x1y2").write_bytes(b"cut short")
    later.keep_only({"one"})
    assert names_in(tmp_path) == ["one.npy"]


def test_a_long_run_saves_as_it_goes_and_still_reads_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_cache, "SAVE_SECONDS", -1.0)
    cache = MapCache(tmp_path, lasting=True)
    cache.add("one", ONE)
    (tmp_path / "one.npy").write_bytes(b"nobody reads this")
    np.testing.assert_array_equal(cache["one"], ONE)
    MapCache(tmp_path / "temporary", lasting=False).add("one", ONE)
    assert not (tmp_path / "temporary").exists()


@pytest.mark.parametrize("resolution", ["model", "original"])
def test_figures_are_the_same_whether_maps_and_masks_fit_or_not_and_a_mask_that_fits_is_decoded_once(
    tiny_bundle: Path, mvtec: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, resolution: str
) -> None:
    decoded: Counter[Path] = Counter()
    truth_at = pixel_pairs.truth_at

    def counted(sample: Any, *sizes: Any) -> Any:
        for mask in sample.masks:
            decoded[mask] += 1
        return truth_at(sample, *sizes)

    monkeypatch.setattr(pixel_pairs, "truth_at", counted)
    arguments = (tiny_bundle, mvtec, "--layout", "mvtec", "--resolution", resolution, "--backend", "onnxruntime")
    expected = evaluated(capsys, *arguments, "--out", tmp_path / "in-memory")
    assert len(decoded) == 8
    assert set(decoded.values()) == {1}
    monkeypatch.setattr(map_cache, "MOST_BYTES", 0)
    monkeypatch.setattr(pixel_pairs, "MOST_MASK_BYTES", 0)
    assert evaluated(capsys, *arguments, "--out", tmp_path / "spilled") == expected
    assert max(decoded.values()) > 2
    assert not (tmp_path / "spilled/maps").exists()
