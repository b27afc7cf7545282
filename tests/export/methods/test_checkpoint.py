"""What a method's checkpoint may be, and how anything else is refused: in one line that says what was expected."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer

from clipspect.base.errors import ExportError
from clipspect_export.methods.aprilgan.linear_stages import linear_stages
from clipspect_export.methods.checkpoint import read_checkpoint
from clipspect_export.methods.learned_prompts import learned_prompts, learned_text_features
from clipspect_export.towers.clip import expected_shapes
from clipspect_export.towers.config import ClipConfig, config_from_document
from seeded.published import CRANE
from support.golden_clip import document
from support.golden_dense import ANOMALYCLIP, LINEAR, PROMPTS, SIZES, golden, golden_clip, learned_features, small_clip

Section = dict[str, Any]


def changed(source: Path, folder: Path, change: Callable[[Section], object]) -> Path:
    """A copy of a checkpoint whose section was changed."""
    content = torch.load(source, weights_only=True)
    (section,) = content.values()
    change(section)
    path = folder / "changed.pth"
    torch.save(content, path)
    return path


def test_the_learned_prompts_text_features_are_the_references() -> None:
    features = learned_features()
    assert features.shape == (2, 1, 64)
    np.testing.assert_allclose(features[:, 0], golden("anomalyclip")["text_features"], atol=1e-6)


def test_a_trained_file_without_the_unused_projections_is_read() -> None:
    clip = small_clip(text_cfg={"width": 768, "heads": 12, "layers": 12})
    checkpoint = read_checkpoint(CRANE, "crane")
    features = learned_text_features(learned_prompts(checkpoint, clip.config), clip)
    np.testing.assert_allclose(np.linalg.norm(features, axis=-1), 1, atol=1e-6)
    assert np.abs(features[0] - features[1]).max() > 1e-4
    words = [f"{'X ' * 12}{state}object." for state in ("", "damaged ")]
    ids = [checkpoint.tensors[f"tokenized_prompts_{state}"].flatten() for state in ("pos", "neg")]
    torch.testing.assert_close(torch.stack(ids), SimpleTokenizer()(words).int())


@pytest.mark.parametrize("value", [0.0, 1e-9])
def test_deep_prompts_are_rounded_to_float16_as_the_reference_does(value: float, tmp_path: Path) -> None:
    def nudge(section: Section) -> None:
        for index in range(8):
            section[f"compound_prompts_text.{index}"] = section[f"compound_prompts_text.{index}"].half().float() + value

    clip = golden_clip("anomalyclip")
    prompts = learned_prompts(read_checkpoint(changed(PROMPTS, tmp_path, nudge), "anomalyclip"), clip.config)
    np.testing.assert_allclose(
        learned_text_features(prompts, clip)[:, 0], golden("anomalyclip")["text_features"], atol=1e-6
    )


def wide(section: Section) -> None:
    section["ctx_neg"] = torch.zeros(1, 1, 12, 96)


def no_end(section: Section) -> None:
    section["tokenized_prompts_pos"] = torch.ones(1, 1, 77, dtype=torch.int32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (wide, r"ctx_neg has the shape \(1, 1, 12, 96\), expected \(1, 1, 12, 64\)"),
        (no_end, "tokenized_prompts_pos has no end of text after 12 context tokens"),
        (lambda section: section.pop("ctx_pos"), r"ctx_pos is missing; expected it with the shape \(1, 1, 12, 64\)"),
        (lambda section: section.pop("compound_prompts_text.7"), "found 7 compound prompts, expected 8"),
        (lambda section: section.update(compound_prompts_vision=torch.zeros(4)), "'compound_prompts_vision' is not"),
        (lambda section: section.update(ctx_pos=torch.full((1, 1, 12, 64), torch.nan)), "holds NaN or infinity"),
        (lambda section: section.update(ctx_pos=[1, 2]), "ctx_pos is a list, expected tensors"),
        (lambda section: section.update(ctx_pos=torch.zeros(12)), r"ctx_pos has the shape \(12,\), expected"),
    ],
)
def test_prompts_of_another_shape_are_refused(
    change: Callable[[Section], object], message: str, tmp_path: Path
) -> None:
    path = changed(PROMPTS, tmp_path, change)
    with pytest.raises(ExportError, match=message) as caught:
        learned_prompts(read_checkpoint(path, "anomalyclip"), golden_clip("anomalyclip").config)
    assert "\n" not in str(caught.value)


def other(**sizes: int) -> ClipConfig:
    config = config_from_document("other", document({**ANOMALYCLIP, **sizes}))
    assert expected_shapes(config)
    return config


def test_prompts_of_another_text_tower_are_refused() -> None:
    checkpoint = read_checkpoint(PROMPTS, "anomalyclip")
    with pytest.raises(ExportError, match=r"expected \(1, 1, 1, 128\)"):
        learned_prompts(checkpoint, other(twidth=128))
    with pytest.raises(ExportError, match="of more than 8 layers; other has 8"):
        learned_prompts(checkpoint, other(tlayers=8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda section: (section.pop("fc.3.weight"), section.pop("fc.3.bias")), "found 3 linear layers, expected 4"),
        (lambda section: section.pop("fc.2.bias"), "fc.2.bias is missing"),
        (lambda section: section.update({"fc.4.weight": torch.zeros(64, 128)}), "found 5 linear layers, expected 4"),
        (lambda section: section.update({"conv.0": torch.zeros(1)}), "'conv.0' is not part of"),
    ],
)
def test_linear_layers_of_another_shape_are_refused(
    change: Callable[[Section], object], message: str, tmp_path: Path
) -> None:
    path = changed(LINEAR, tmp_path, change)
    with pytest.raises(ExportError, match=message) as caught:
        linear_stages(read_checkpoint(path, "aprilgan"), golden_clip("aprilgan").config)
    assert "\n" not in str(caught.value)


def test_linear_layers_of_another_width_are_refused() -> None:
    config = config_from_document("other", document({**SIZES, "tlayers": 4, "vwidth": 192}))
    with pytest.raises(ExportError, match=r"fc.0.weight has the shape \(64, 128\), expected \(64, 192\)"):
        linear_stages(read_checkpoint(LINEAR, "aprilgan"), config)


class Command:
    """A pickle that would run a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch ran",)


def test_the_wrong_file_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files: dict[str, Any] = {
        "code.pth": {"prompt_learner": Command()},
        "list.pth": [1],
        "clip.pth": {"proj": torch.ones(1)},
    }
    for name, content in files.items():
        torch.save(content, name)
    Path("text.pth").write_text("no checkpoint")
    for path, method, message in (
        (LINEAR, "anomalyclip", "found a checkpoint of aprilgan; expected anomalyclip's"),
        (PROMPTS, "aprilgan", "found a checkpoint of anomalyclip; expected aprilgan's, with the section 'trainable_l"),
        (Path("none.pth"), "aprilgan", "no such checkpoint file"),
        (Path("code.pth"), "anomalyclip", "holds more than tensors"),
        (Path("list.pth"), "aprilgan", "found a list"),
        (Path("clip.pth"), "aprilgan", "found 'proj', no method's checkpoint"),
        (Path("text.pth"), "aprilgan", "text.pth: "),
    ):
        with pytest.raises(ExportError, match=message) as caught:
            read_checkpoint(path, method)
        assert "\n" not in str(caught.value)
    assert not Path("ran").exists()
