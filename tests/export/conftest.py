"""The golden CLIP, exported once for every test that reads a bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
from clipspect.bundle import Bundle
from clipspect_export import export_bundle
from clipspect_export.clip import Clip, build_clip
from clipspect_export.config import ClipConfig, config_from_document
from clipspect_export.weights import load_weights
from golden_clip import document, weights, write_config, write_weights


@pytest.fixture(scope="session")
def config() -> ClipConfig:
    return config_from_document("tiny", document())


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The golden CLIP's JSON configuration and weights file."""
    folder = tmp_path_factory.mktemp("clip")
    return write_config(folder / "tiny.json"), write_weights(folder / "tiny.safetensors", weights())


@pytest.fixture(scope="session")
def clip(files: tuple[Path, Path], config: ClipConfig) -> Clip:
    return build_clip(config, load_weights(files[1], config)[0].tensors)


@pytest.fixture(scope="session", params=[(2, 3), (2, 3, 5)], ids=["23", "235"])
def golden_bundle(
    request: pytest.FixtureRequest, files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Bundle]:
    """The scales as the golden file names them, and the exported bundle."""
    out = tmp_path_factory.mktemp("bundles") / "metal nut.bundle"
    backbone, weights_file = files
    export_bundle("winclip", out, backbone=backbone, weights=weights_file, objects=["metal nut"], scales=request.param)
    return "".join(map(str, request.param)), Bundle.open(out)
