"""The demo model's labelled data sets are what `clipspect eval` reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipspect_lab.evaluation.datasets import draw_references, open_dataset
from clipspect_lab.evaluation.truth import check_files, truth_at
from demo import defects, surfaces
from demo.batches import IMAGE
from demo.data_sets import TRAINING, write_families, write_products, write_textiles
from demo.textile import textile_auroc


@pytest.mark.parametrize("write", [write_families, write_products])
def test_held_out_drawings_are_a_data_set_in_mvtecs_layout_with_photos_for_references(
    write: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    classes = open_dataset(write(tmp_path / "set", 1), "mvtec")
    assert {item.name for item in classes} == set(surfaces.HELD_OUT)
    for item in classes:
        check_files(item.test)
        assert {sample.defect for sample in item.test} == {None, *defects.HELD_OUT}
        assert len(draw_references(item, TRAINING, seed=0).references) == TRAINING
        sample = next(sample for sample in item.test if sample.defect)
        with Image.open(sample.path) as image:
            assert image.size == (IMAGE, IMAGE)
        assert 0 < np.count_nonzero(truth_at(sample, (IMAGE, IMAGE), (IMAGE, IMAGE))) < IMAGE * IMAGE / 2


def test_a_data_set_that_is_there_is_not_drawn_again(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    write_families(tmp_path / "set", 1)
    assert not any((tmp_path / "set").iterdir())


@pytest.mark.slow
def test_textiles_are_a_plain_folder_and_the_demo_model_scores_them(tmp_path: Path) -> None:
    (item,) = open_dataset(write_textiles(tmp_path / "local", "local", 3), "folder")
    assert (len(item.test), item.masks) == (6, False)
    found = textile_auroc("demo", 2)
    assert set(found) == {"local", "global"}
    assert all(value is not None and 0 <= value <= 1 for value in found.values())
