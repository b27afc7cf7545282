"""The text encoder as exported: words on the box make the text features that the exporter makes, without torch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from clipspect.base.errors import ExportError, RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import TextSpec
from clipspect.engines import open_backend
from clipspect.engines.graph import PROMPTS_AT_ONCE
from clipspect.recipes.prompts import read_ensemble, text_features
from clipspect.recipes.shelf import open_recipe
from clipspect.recipes.text_encoder import TextEncoder
from clipspect_export import export_bundle
from clipspect_export.graph.graph_check import check_graph
from clipspect_export.methods.winclip.reference import WinClipReference
from clipspect_export.towers.clip import Clip, build_clip
from clipspect_export.towers.config import ClipConfig
from clipspect_export.towers.prompts import embed_prompts, method_prompts, tokenize
from clipspect_export.towers.text_encoder import measure_text_parity, write_text_encoder
from support import handmade, handmade_graphs
from support.golden_clip import golden
from support.golden_dense import PROMPTS, golden_clip
from support.golden_dense import golden as golden_dense
from support.rtx import require_parsed

OBJECT = "metal nut"
PARTS = {"text.onnx", "text.onnx.data", "tokenizer.json"}


@pytest.fixture(scope="module")
def bundle(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The golden WinCLIP with its text encoder; its recipe keeps every prompt of the paper's templates."""
    out = tmp_path_factory.mktemp("text") / "nuts.bundle"
    export_bundle(
        "winclip",
        out,
        backbone=files[0],
        weights=files[1],
        objects=[OBJECT],
        scales=(3,),
        ensemble="winclip-paper",
        prompt_fusion="max",
        with_text_encoder=True,
    )
    return Bundle.open(out)


def test_words_on_the_box_give_winclips_reference_and_the_exporters_features(bundle: Bundle, clip: Clip) -> None:
    text = bundle.manifest.text
    assert (text.ensemble, text.mean) == ("winclip", "embeddings")
    with TextEncoder.open(bundle) as encoder:
        mean = text_features(read_ensemble("winclip"), OBJECT, encoder.embed, mean=text.mean)
        kept = text_features(read_ensemble("winclip-paper"), OBJECT, encoder.embed, fusion="max", mean=text.mean)
    np.testing.assert_allclose(mean[:, 0], golden()["text_features"], atol=1e-5)
    exporters = method_prompts("winclip", text.mean, ensemble=None).features(OBJECT, clip)
    np.testing.assert_allclose(mean, exporters, atol=1e-5)
    recipe = open_recipe(bundle, OBJECT)
    np.testing.assert_allclose(kept, recipe.text_features, atol=1e-5)
    assert recipe.text_features.shape == (2, 7 * 22, 64)
    assert recipe.prompts == read_ensemble("winclip-paper").words("max")


def test_words_on_the_box_give_aprilgans_reference(tmp_path: Path) -> None:
    clip = golden_clip("aprilgan")
    root = handmade.write_bundle(tmp_path / "april.bundle")
    (root / "model.onnx").write_bytes(handmade_graphs.brightness(handmade.SIDE, clip.config.embed_dim))
    made = handmade.make_manifest()
    words = made.graphs["words"]
    features = dataclasses.replace(words.inputs["text_features"], shape=(2, "P", clip.config.embed_dim))
    manifest = dataclasses.replace(
        made,
        graphs={"words": dataclasses.replace(words, inputs={**words.inputs, "text_features": features})},
        text=TextSpec(clip.config.embed_dim, ensemble="aprilgan", mean="unit embeddings"),
        text_encoder=write_text_encoder(clip, root),
    )
    handmade.write_manifest(root, manifest)
    with TextEncoder.open(Bundle.open(root), "onnxruntime", threads=1) as encoder:
        found = text_features(read_ensemble("aprilgan"), OBJECT, encoder.embed, mean="unit embeddings")
    np.testing.assert_allclose(found[:, 0], golden_dense("aprilgan")["text_features"], atol=1e-5)
    exporters = method_prompts("aprilgan", "unit embeddings", ensemble=None).features(OBJECT, clip)
    np.testing.assert_allclose(found, exporters, atol=1e-5)


def test_fusion_max_through_the_graph_is_the_torch_references_and_not_the_means(
    bundle: Bundle, clip: Clip, config: ClipConfig
) -> None:
    images, kept = golden()["images"], open_recipe(bundle, OBJECT).text_features
    mean = golden()["text_features"][:, None]
    with open_backend("onnxruntime", bundle.graph_path) as backend:
        found = backend.run({"image": images, "text_features": kept})
        averaged = backend.run({"image": images, "text_features": mean})
    expected = WinClipReference(clip.visual, config, (3,))(torch.from_numpy(images), torch.from_numpy(kept))
    for name, value in zip(("score", "anomaly_map"), expected):
        np.testing.assert_allclose(found[name], value, atol=1e-5)
        assert np.abs(found[name] - averaged[name]).max() > 1e-3


def test_embeddings_are_torchs_for_prompts_of_any_length_in_any_number(bundle: Bundle, clip: Clip) -> None:
    prompts = [" ".join(["nut"] * (1 + index % 75)) for index in range(2 * PROMPTS_AT_ONCE + 1)]
    progress = []
    with TextEncoder.open(bundle) as encoder:
        found = encoder.embed(prompts, lambda *told: progress.append(told))
        assert encoder.embed([]).shape == (0, 64)
        with pytest.raises(RecipeError, match="has 78 tokens, the text encoder reads 77"):
            encoder.embed(["nut " * 76])
    np.testing.assert_allclose(found, embed_prompts(prompts, clip), atol=1e-5)
    assert found.dtype == np.float32
    assert progress == [
        ("prompts", PROMPTS_AT_ONCE, len(prompts)),
        ("prompts", 2 * PROMPTS_AT_ONCE, len(prompts)),
        ("prompts", len(prompts), len(prompts)),
    ]


def test_the_manifest_accounts_for_the_text_encoder(bundle: Bundle) -> None:
    manifest = bundle.manifest
    described = manifest.text_encoder
    assert described is not None
    assert set(manifest.files) > PARTS
    assert described.context_length == 77
    assert 0 <= described.parity <= 1e-5
    assert described.graph.inputs["tokens"].shape == ("B", "T")
    assert (described.graph.inputs["tokens"].dtype, described.graph.outputs["embeddings"].dtype) == ("int64", "float32")
    assert described.graph.outputs["embeddings"].shape == ("B", 64)
    width, tokens, layers = 64, 77, 4
    block = 2 * 12 * tokens * width**2 + 4 * tokens**2 * width
    assert described.graph.flops == layers * block + 2 * tokens * width + 2 * width * 64


def test_the_text_graph_is_plain_onnx(bundle: Bundle) -> None:
    path = bundle.path / "text.onnx"
    report = check_graph(path, {"tokens": {0: "B", 1: "T"}}, patch_embedding=False)
    assert report.operators["Conv"] == 0
    assert {item.domain: item.version for item in onnx.load(path, load_external_data=False).opset_import} == {"": 18}
    with pytest.raises(ExportError, match="holds 0 convolutions, expected the patch embedding alone"):
        check_graph(path, {})
    with pytest.raises(ExportError, match="holds 1 convolutions, expected none"):
        check_graph(bundle.graph_path, {}, patch_embedding=False)


def test_openvino_embeds_the_same(bundle: Bundle, clip: Clip) -> None:
    openvino = pytest.importorskip("openvino", reason="needs OpenVINO: pip install openvino")
    prompts = ["nut", "a photo of a damaged metal nut."]
    with TextEncoder.open(bundle) as encoder:
        expected = encoder.embed(prompts)
    compiled = openvino.Core().compile_model(bundle.path / "text.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = compiled({"tokens": tokenize(prompts, clip).numpy()})
    np.testing.assert_allclose(answer["embeddings"], expected, atol=1e-4)


def test_tensorrt_rtx_parses_the_text_graph(bundle: Bundle) -> None:
    assert require_parsed(bundle.path / "text.onnx") == ["embeddings"]


def test_a_text_graph_that_differs_from_the_reference_is_refused(
    bundle: Bundle, clip: Clip, config: ClipConfig
) -> None:
    assert measure_text_parity(bundle.path / "text.onnx", clip) <= 1e-5
    for change in (0.01, torch.nan):
        projection = clip.text_projection.clone()
        projection[0, 0] += change
        other = build_clip(config, {**clip.state_dict(), "text_projection": projection})
        with pytest.raises(ExportError, match="the text encoder in onnxruntime differs from the torch reference by"):
            measure_text_parity(bundle.path / "text.onnx", other)


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"ensemble": "winclip"}, "--ensemble"),
        ({"prompt_fusion": "max"}, "--prompt-fusion"),
        ({"with_text_encoder": True}, "--with-text-encoder"),
    ],
)
def test_learned_prompts_take_no_words(options: dict[str, object], option: str, tmp_path: Path) -> None:
    message = f"anomalyclip has learned prompts and reads no words: leave {option} out"
    with pytest.raises(ExportError, match=message):
        export_bundle(
            "anomalyclip", tmp_path / "x", backbone="ViT-L-14-336", weights="openai", checkpoint=PROMPTS, **options
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ensemble": "windclip"}, "windclip: no such ensemble"),
        ({"prompt_fusion": "median"}, "prompt fusion 'median': expected mean or max"),
        ({"objects": ["x" + " nut" * 19], "ensemble": "own.toml"}, "has 82 tokens, the text encoder reads 77"),
    ],
)
def test_words_that_do_not_fit_are_refused_and_nothing_is_left(
    options: dict[str, object],
    message: str,
    files: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text('normal = ["{} {} {} {}"]\nanomalous = ["bad {}"]\ntemplates = ["{}"]\n')
    with pytest.raises(RecipeError, match=message):
        export_bundle("winclip", "out/x", backbone=files[0], weights=files[1], **options)
    assert not list(Path().glob("out/*"))
