from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from clipspect.base.errors import ExportError
from clipspect.bundle.bundle import Bundle
from clipspect.frame.spec import ImageSpec
from clipspect.recipes.shelf import open_recipe
from clipspect_export.check.answers import CHECK_IMAGES, Check, ask_reference, check_images
from clipspect_export.check.parity import measure_parity
from clipspect_export.methods.model import GraphForm
from clipspect_export.methods.winclip.reference import WinClipReference
from clipspect_export.towers.clip import Clip


def test_check_images_are_the_same_everywhere_and_each_has_a_blemish() -> None:
    images = check_images(64)
    assert (images.shape, images.dtype) == ((CHECK_IMAGES, 64, 64, 3), np.uint8)
    np.testing.assert_array_equal(images, check_images(64))
    assert all(np.abs(np.diff(image.astype(int), axis=0)).max() > 30 for image in images)


@pytest.mark.parametrize("golden_bundle", [(2, 3)], indirect=True, ids=["23"])
@pytest.mark.parametrize("error", [2e-5, float("nan")])
def test_a_graph_that_differs_from_the_reference_is_refused(
    golden_bundle: tuple[str, Bundle], clip: Clip, error: float
) -> None:
    bundle = golden_bundle[1]
    form = GraphForm(nn.Identity, WinClipReference(clip.visual, clip.config, (2, 3)), map_range=(0, 1))
    check = ask_reference(form, ImageSpec(240, 240), open_recipe(bundle).text_features)
    assert measure_parity(bundle.graph_path, check, 1e-5).images == CHECK_IMAGES
    wrong = {**check.expected, "anomaly_map": check.expected["anomaly_map"] + np.float32(error)}
    with pytest.raises(ExportError, match=r"model.onnx in onnxruntime differs from the torch reference by .* in score"):
        measure_parity(bundle.graph_path, Check(check.given, wrong), 1e-5)


@pytest.mark.parametrize("golden_bundle", [(2, 3)], indirect=True, ids=["23"])
def test_a_graph_that_answers_another_shape_is_refused(golden_bundle: tuple[str, Bundle]) -> None:
    bundle = golden_bundle[1]
    given = {"image": check_images(240), "text_features": open_recipe(bundle).text_features}
    with pytest.raises(ExportError, match=r"answered score of shape \(1,\), the torch reference \(1, 1\)"):
        measure_parity(bundle.graph_path, Check(given, {"score": np.zeros((CHECK_IMAGES, 1), np.float32)}), 1e-5)
