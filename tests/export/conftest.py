"""The golden CLIPs, each exported once for every test that reads a bundle."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clipspect.bundle.bundle import Bundle
from clipspect.cli import main
from clipspect_export import export_bundle
from clipspect_export.towers.clip import Clip, build_clip
from clipspect_export.towers.config import ClipConfig, config_from_document
from clipspect_export.towers.weights import load_weights
from seeded.weights import write_weights
from support import golden_dense
from support.exports import demo_command
from support.golden_clip import document, weights, write_config
from support.shared import made_once


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


@pytest.fixture(scope="session")
def winclip_bundle(
    files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[tuple[int, ...]], Bundle]:
    """By scales, the golden WinCLIP as a bundle, few-shot graph included; of scales 2, 3 also windows on demand."""

    @cache
    def exported(scales: tuple[int, ...]) -> Bundle:
        source: dict[str, Any] = {"backbone": files[0], "weights": files[1], "objects": ["metal nut"]}
        name = f"winclip {''.join(map(str, scales))}.bundle"
        return Bundle.open(
            made_once(
                tmp_path_factory,
                name,
                lambda out: export_bundle(
                    "winclip", out, **source, scales=scales, few_shot=True, windows=scales == (2, 3)
                ),
            )
        )

    return exported


@pytest.fixture(params=[(2, 3), (2, 3, 5)], ids=["23", "235"])
def golden_bundle(
    request: pytest.FixtureRequest, winclip_bundle: Callable[[tuple[int, ...]], Bundle]
) -> tuple[str, Bundle]:
    """The scales as the golden file names them, and the exported bundle."""
    return "".join(map(str, request.param)), winclip_bundle(request.param)


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> golden_dense.Files:
    """By method, what an export reads; APRIL-GAN's weights as OpenAI's own files have them."""
    folder = tmp_path_factory.mktemp("dense")
    openai = folder / "openai.pt"
    marks = {"input_resolution": 336, "context_length": 77, "vocab_size": 49408}
    state = weights(golden_dense.APRILGAN, golden_dense.SEEDS["aprilgan"])
    state.update({name: np.array(value) for name, value in marks.items()})
    torch.save({name: torch.from_numpy(np.asarray(value)) for name, value in state.items()}, openai)
    plain = {
        method: write_weights(
            folder / f"{method}.safetensors", weights(golden_dense.ANOMALYCLIP, golden_dense.SEEDS[method])
        )
        for method in ("anomalyclip", "crane")
    }
    return {
        method: {
            "backbone": golden_dense.write_config(folder / f"{method}.json", method),
            "weights": file,
            "checkpoint": golden_dense.TRAINED[method],
        }
        for method, file in (*plain.items(), ("aprilgan", openai))
    }


@pytest.fixture(scope="session")
def aprilgan_bundle(sources: golden_dense.Files, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The golden APRIL-GAN from the command line, few-shot graph included."""

    def export(out: Path) -> None:
        command = golden_dense.command("aprilgan", sources["aprilgan"], out)
        assert main([*command, "--object", "metal nut", "--few-shot"]) == 0

    return Bundle.open(made_once(tmp_path_factory, "aprilgan.bundle", export))


@pytest.fixture(scope="session")
def int8_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The demo model from the command line with an int8 copy, few-shot graphs included."""

    def export(out: Path) -> None:
        assert main([*demo_command(out), "--int8", "--few-shot"]) == 0

    return Bundle.open(made_once(tmp_path_factory, "demo int8.bundle", export))
