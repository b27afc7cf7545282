"""The arithmetic of windows on demand against that of the static graphs, in torch, over the same embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipspect.bundle.inspection_graph import Parity
from clipspect.bundle.windows_graph import FEATURES_OF_PATCHES, WindowsGraph
from clipspect.engines.graph import TensorSpec
from clipspect.frame.spec import ImageSpec
from clipspect.inspection.window_layout import layout_of, layout_of_graph
from clipspect.inspection.window_scores import Embedded, by_words, by_words_and_references

torch = pytest.importorskip("torch", reason="needs the exporter: pip install clipspect[export]")

PARITY = Parity(0, 0, 1e-5, 2, "onnxruntime")
IMAGE = ImageSpec(32, 48)  # SMALL's patches are of 8 pixels: a grid of 4 x 6


def described(setting: Any, scales: tuple[int, ...]) -> WindowsGraph:
    return WindowsGraph(
        "windows.onnx",
        18,
        {},
        {FEATURES_OF_PATCHES: TensorSpec("float32", ("N", 24, 64))},
        0,
        grid=(4, 6),
        scales=scales,
        stride=setting.window_stride,
        fusion=setting.scale_fusion,
        multi_crop=setting.multi_crop,
        temperature=0.07,
        parity=PARITY,
    )


@pytest.mark.parametrize("multi_crop", [False, True])
@pytest.mark.parametrize("fusion", ["harmonic", "arithmetic", "max"])
@pytest.mark.parametrize("stride", [1, 2])
def test_score_and_map_are_those_of_the_static_graphs(stride: int, fusion: str, multi_crop: bool) -> None:
    from clipspect_export.methods.winclip.graph import FewShotWinClip
    from clipspect_export.methods.winclip.options import Setting
    from clipspect_export.towers.positions import of_size
    from support.small_clip import SMALL, seeded

    scales = (2, 3)
    setting = Setting(stride, fusion, multi_crop)
    clip = seeded(SMALL)
    rng = np.random.default_rng(stride)
    wide = of_size(clip.config, (IMAGE.height, IMAGE.width))
    static = FewShotWinClip(clip.visual, wide, scales, setting)
    layout = layout_of_graph(described(setting, scales), IMAGE)
    assert [scale.windows for scale in layout.scales] == static.windows
    groups = 1 + sum(static.windows)
    embeddings = torch.from_numpy(rng.normal(size=(2, groups, 16)).astype(np.float32))
    text = torch.from_numpy(rng.normal(size=(2, 3, 16)).astype(np.float32))
    patches = torch.from_numpy(rng.normal(size=(2, 24, 64)).astype(np.float32))

    def unit(x: Any) -> Any:
        return torch.nn.functional.normalize(x, dim=-1)

    rows = [unit(patches), *torch.split(unit(embeddings[:, 1:]), static.windows, dim=1)]
    known = [own[0, ::2] for own in rows]  # of the first image, so that some distances are 0
    with torch.inference_mode():
        score, by_text = static.compare_with_text(embeddings, text)
        by_references = static.compare_with_references(rows, known)
    embedded = Embedded(
        unit(embeddings[:, 0]).numpy(), [own.numpy() for own in rows[1:]], layout.all(2), rows[0].numpy()
    )
    found = by_words(described(setting, scales), layout, embedded, text.numpy())
    np.testing.assert_allclose(found.score, score, atol=1e-6)
    np.testing.assert_allclose(found.patches.reshape(2, -1), by_text, atol=1e-6)
    np.testing.assert_allclose(
        layout.enlarged(found.patches), static.upsample(by_text), atol=1e-6, err_msg="the upsampling"
    )
    galleries = {f"reference_{name}": own.numpy() for name, own in zip(("patches", "windows_2", "windows_3"), known)}
    both = by_words_and_references(described(setting, scales), layout, embedded, galleries, found)
    np.testing.assert_allclose(both.score, (score + by_references.amax(dim=1)) / 2, atol=1e-6)
    np.testing.assert_allclose(both.patches.reshape(2, -1), (by_text + by_references) / 2, atol=1e-6)


@given(st.data())
def test_a_patch_is_the_mean_of_the_windows_that_are_there(data: st.DataObject) -> None:
    """Against a loop over windows and patches."""
    rows, columns = data.draw(st.integers(2, 6)), data.draw(st.integers(2, 6))
    scales = tuple(data.draw(st.sets(st.integers(1, min(rows, columns)), min_size=1, max_size=3)))
    stride = data.draw(st.integers(1, min(scales)))
    layout = layout_of((rows, columns), scales, stride, (rows * 4, columns * 4))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    values = [rng.random((1, scale.windows)) for scale in layout.scales]
    there = [rng.random((1, scale.windows)) < 0.6 for scale in layout.scales]
    for scale, own, chosen in zip(layout.scales, values, there):
        sums, counts = np.zeros(rows * columns), np.zeros(rows * columns)
        for window in np.flatnonzero(chosen[0]):
            sums[scale.tokens[window, 1:] - 1] += own[0, window]
            counts[scale.tokens[window, 1:] - 1] += 1
        np.testing.assert_allclose(scale.over_patches(np.where(chosen, own, 0)).ravel(), sums)
        np.testing.assert_array_equal(scale.over_patches(chosen.astype(float)).ravel(), counts)
        lone = np.zeros((1, rows, columns), bool)
        lone[0, rng.integers(rows), rng.integers(columns)] = True
        patch = 1 + int(np.flatnonzero(lone)[0])
        np.testing.assert_array_equal(scale.covering(lone)[0], (scale.tokens[:, 1:] == patch).any(axis=1))
