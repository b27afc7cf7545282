from __future__ import annotations

import numpy as np
import pytest
import torch
from clipspect.bundle import Bundle
from clipspect.errors import ExportError
from clipspect_export.parity import check_images, measure_parity


def test_check_images_are_the_same_everywhere_and_each_has_a_blemish() -> None:
    images = check_images(64)
    assert (images.shape, images.dtype) == ((3, 64, 64, 3), np.uint8)
    np.testing.assert_array_equal(images, check_images(64))
    assert all(np.abs(np.diff(image.astype(int), axis=0)).max() > 30 for image in images)


@pytest.mark.parametrize("error", [2e-5, float("nan")])
def test_a_graph_that_differs_from_the_reference_is_refused(golden_bundle: tuple[str, Bundle], error: float) -> None:
    bundle = golden_bundle[1]
    text = bundle.recipe().text_features

    def wrong(image: torch.Tensor, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        from clipspect.backends import open_backend

        with open_backend("onnxruntime", bundle.graph_path) as session:
            answer = session.run({"image": image.numpy(), "text_features": features.numpy()})
        return torch.from_numpy(answer["score"]), torch.from_numpy(answer["anomaly_map"]) + error

    with pytest.raises(ExportError, match="differs from the torch reference"):
        measure_parity(bundle.graph_path, wrong, 240, text, 1e-5)
