"""A method from outside: its own package and one line of the registry are all that it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import clipspect
from clipspect.base.errors import ExportError
from clipspect.cli import build_parser
from clipspect_export import export_bundle
from clipspect_export.methods import registry
from clipspect_models import DEMO_IMAGES


@pytest.fixture
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.METHODS, "fake", "support.fake_method")


@pytest.mark.usefixtures("_registered")
def test_a_method_of_its_own_folder_and_one_line_of_the_registry_exports_and_inspects(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "fake.bundle"
    export_bundle("fake", out, backbone=files[0], weights=files[1], objects=["metal nut"], sharpness=20)
    with clipspect.load(out, backend="onnxruntime") as inspector:
        result = inspector.inspect(DEMO_IMAGES / "gear-burn.jpg")
        assert inspector.bundle.manifest.parameters == {"sharpness": 20.0}
    assert 0 < result.score < 1
    np.testing.assert_allclose(result.anomaly_map, result.score)


@pytest.mark.usefixtures("_registered")
def test_its_option_is_a_flag_and_other_methods_refuse_it(files: tuple[Path, Path], tmp_path: Path) -> None:
    assert build_parser().parse_args(["export", "winclip", "--sharpness", "3"]).sharpness == 3.0
    with pytest.raises(ExportError, match="winclip has no sharpness: leave --sharpness out"):
        export_bundle("winclip", tmp_path / "x", backbone=files[0], weights=files[1], sharpness=3.0)
    with pytest.raises(ExportError, match=r"fake has no few-shot form \(winclip and aprilgan have\)"):
        export_bundle("fake", tmp_path / "x", backbone=files[0], weights=files[1], few_shot=True)
    assert list(tmp_path.iterdir()) == []
