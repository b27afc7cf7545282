"""WinCLIP's options besides the scales: the packed graphs against the eager reference, and what is refused."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import clipspect
from clipspect.base.errors import ExportError, RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.windows_graph import window_count, window_starts
from clipspect.cli import main
from clipspect.inspection.window_layout import scale_of
from clipspect.recipes.recipe import read_recipe
from clipspect.recipes.shelf import open_recipe
from clipspect_export.methods.winclip.graph import FewShotWinClip, WinClip, galleries
from clipspect_export.methods.winclip.options import SCALE_FUSIONS, Setting, require_setting
from clipspect_export.methods.winclip.reference import FewShotWinClipReference, WinClipReference, covered_patches
from clipspect_export.towers.clip import Clip
from clipspect_export.towers.config import Grid
from support.command_line import error_of
from support.small_clip import SMALL, images_and_text, seeded

SETTINGS = st.builds(
    Setting,
    window_stride=st.integers(1, 2),
    scale_fusion=st.sampled_from(SCALE_FUSIONS),
    multi_crop=st.booleans(),
)
SCALES = st.lists(st.integers(2, 4), min_size=1, max_size=3, unique=True)


@given(setting=SETTINGS, scales=SCALES, prompts=st.integers(1, 2))
@settings(max_examples=20)
def test_packed_and_eager_agree_for_any_setting(setting: Setting, scales: list[int], prompts: int) -> None:
    clip = seeded(SMALL)
    pixels, text = images_and_text(clip, 2, prompts)
    with torch.inference_mode():
        found = WinClip(clip.visual, clip.config, scales, setting)(pixels, text)[:3]
    expected = WinClipReference(clip.visual, clip.config, scales, setting)(pixels, text)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@given(setting=SETTINGS, scales=SCALES)
@settings(max_examples=10)
def test_packed_and_eager_agree_for_any_setting_and_references(setting: Setting, scales: list[int]) -> None:
    clip = seeded(SMALL)
    pixels, text = images_and_text(clip, 2, 1)
    photos, _ = images_and_text(clip, 2, 2)
    model = FewShotWinClip(clip.visual, clip.config, scales, setting)
    with torch.inference_mode():
        blank = [torch.zeros(1, width) for width in galleries(clip.config, scales).values()]
        remembered = [rows.flatten(0, 1) for rows in model(photos, text, *blank)[3:-2]]
        score, anomaly_map, embedding, *rows, _, _ = model(pixels, text, *remembered)
    expected = FewShotWinClipReference(clip.visual, clip.config, scales, setting)(pixels, photos, text)
    torch.testing.assert_close((score, anomaly_map, embedding, rows), expected, atol=1e-5, rtol=0)


def answer(clip: Clip, setting: Setting) -> tuple[torch.Tensor, torch.Tensor]:
    pixels, text = images_and_text(clip, 2, 1)
    with torch.inference_mode():
        score, anomaly_map, *_ = WinClip(clip.visual, clip.config, (2, 3), setting)(pixels, text)
    return score, anomaly_map


def test_the_means_over_scales_are_in_the_order_of_means_and_no_fusion_changes_a_score() -> None:
    clip = seeded(SMALL)
    scores, maps = zip(*(answer(clip, Setting(scale_fusion=name)) for name in ("harmonic", "arithmetic", "max")))
    for other in scores[1:]:
        torch.testing.assert_close(other, scores[0])
    assert (maps[0] <= maps[1] + 1e-6).all()
    image = scores[0][:, None, None]
    assert (maps[1] <= torch.maximum(maps[2], image) + 1e-6).all()
    assert not torch.allclose(maps[0], maps[2], atol=1e-4)


def test_multi_crop_counts_the_image_and_each_scale_alike() -> None:
    clip = seeded(SMALL)
    pixels, text = images_and_text(clip, 2, 1)
    reference = WinClipReference(clip.visual, clip.config, (2, 3))
    full, _, by_scale = reference.embeddings(reference.normalise(pixels))
    unit = [torch.nn.functional.normalize(part, dim=-1) for part in (full[:, None], *by_scale)]
    mean = sum(part.mean(dim=1) for part in unit) / 3
    expected = WinClipReference.anomalous(mean, text)
    score, anomaly_map = answer(clip, Setting(multi_crop=True))
    torch.testing.assert_close(score, expected, atol=1e-5, rtol=0)
    plain_score, plain_map = answer(clip, Setting())
    assert not torch.allclose(score, plain_score, atol=1e-5)
    torch.testing.assert_close(anomaly_map, plain_map)


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), scale=st.integers(1, 9), stride=st.integers(1, 4))
def test_windows_of_any_stride_cover_every_patch_and_end_at_the_edge(
    rows: int, columns: int, scale: int, stride: int
) -> None:
    grid = Grid(rows, columns)
    scale = min(scale, *grid)
    stride = min(stride, scale)
    patches = scale_of(grid, scale, stride).tokens[:, 1:] - 1
    assert patches.tolist() == covered_patches(grid, scale, stride)
    assert len(patches) == window_count(grid, scale, stride)
    assert set(patches.flatten().tolist()) == set(range(grid.patches))
    starts = window_starts(rows, scale, stride)
    assert (starts[0], starts[-1]) == (0, rows - scale)
    assert all(later - one <= stride for one, later in pairwise(starts))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (Setting(window_stride=3), "window stride 3 with scales 2,3: expected 1 to 2, the smallest scale"),
        (Setting(window_stride=0), "window stride 0 with scales 2,3: expected 1 to 2"),
        (Setting(scale_fusion="median"), "scale fusion 'median': expected harmonic, arithmetic, max"),
    ],
)
def test_a_setting_that_leaves_patches_out_is_refused(setting: Setting, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        require_setting(setting, (2, 3))


def test_a_bundle_records_its_setting_answers_like_the_reference_and_takes_no_recipe_of_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    form = {**SMALL, "text_cfg": {"width": 64, "heads": 1, "layers": 1}}
    clip, out = seeded(form), tmp_path / "b"
    (tmp_path / "small.json").write_text(json.dumps(form))
    save_file(clip.state_dict(), tmp_path / "small.safetensors")
    command = ["export", "winclip", "--out", str(out), "--backbone", str(tmp_path / "small.json")]
    command += ["--weights", str(tmp_path / "small.safetensors")]
    command += ["--scales", "2,3", "--window-stride", "2", "--scale-fusion", "max", "--multi-crop"]
    assert main([*command, "--object", "metal nut"]) == 0
    setting = {"window_stride": 2, "scale_fusion": "max", "multi_crop": True}
    bundle = Bundle.open(out)
    assert bundle.manifest.parameters == {"scales": [2, 3], "temperature": 0.07, **setting}
    assert main(["info", str(out)]) == 0
    assert "window_stride 2, scale_fusion max, multi_crop True" in capsys.readouterr().out

    pixels, _ = images_and_text(clip, 2, 1)
    text = torch.from_numpy(np.array(open_recipe(bundle).text_features))
    reference = WinClipReference(clip.visual, clip.config, (2, 3), Setting(**setting))
    score, anomaly_map, _ = reference(pixels, text)
    with clipspect.load(out) as inspector:
        for index, image in enumerate(pixels.numpy()):
            result = inspector.inspect(image)
            assert result.score == pytest.approx(float(score[index]), abs=1e-5)
            np.testing.assert_allclose(result.anomaly_map, anomaly_map[index], atol=1e-5)
        other = read_recipe(out / "recipes/metal nut.safetensors")
        other.parameters.pop("window_stride")
        with pytest.raises(RecipeError, match="made for a bundle with window_stride None, this one has 2"):
            inspector.use_recipe(other)


def test_methods_without_windows_refuse_their_options(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ["--backbone", str(files[0]), "--weights", str(files[1]), "--checkpoint", "none.pth"]
    assert main(["export", "aprilgan", "--out", str(tmp_path / "b"), *source, "--multi-crop"]) == 1
    assert "aprilgan has no multi_crop: leave --multi-crop out" in error_of(capsys)
