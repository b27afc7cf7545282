from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from clipspect.base.errors import ExportError
from clipspect_export.towers.clip import Clip, build_clip
from clipspect_export.towers.config import GELU, QUICK_GELU, ClipConfig, config_from_document, read_backbone
from clipspect_export.towers.weights import encoder_sha256, load_weights
from support.golden_clip import document, golden, golden_weights, weights

State = dict[str, torch.Tensor]


@pytest.fixture
def state() -> State:
    return {name: torch.from_numpy(np.asarray(value)) for name, value in weights().items()}


def digest(path: Path, config: ClipConfig) -> str:
    loaded, completed = load_weights(path, config)
    return encoder_sha256(loaded.tensors, completed.activation)


def custom_text(state: State) -> State:
    """open_clip's CustomTextCLIP: everything outside the image tower has a prefix, the scale excepted."""
    return {
        name if name.startswith("visual.") or name == "logit_scale" else f"text.{name}": value
        for name, value in state.items()
    }


CONTAINERS: dict[str, Callable[[State, Path], None]] = {
    "plain.safetensors": save_file,
    "plain.pt": torch.save,
    "nested.pth": lambda state, path: torch.save({"epoch": 3, "state_dict": state}, path),
    "parallel.bin": lambda state, path: torch.save({f"module.{key}": value for key, value in state.items()}, path),
    "custom_text.safetensors": lambda state, path: save_file(custom_text(state), path),
    "custom_text_parallel.pt": lambda state, path: torch.save(
        {"state_dict": {f"module.{key}": value for key, value in custom_text(state).items()}}, path
    ),
    "old_format.pt": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "without_scale.safetensors": lambda state, path: save_file(
        {key: value for key, value in state.items() if key != "logit_scale"}, path
    ),
    "double.safetensors": lambda state, path: save_file({key: value.double() for key, value in state.items()}, path),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_encoders_digest_does_not_depend_on_the_container(
    name: str, state: State, tmp_path: Path, config: ClipConfig, files: tuple[Path, Path]
) -> None:
    CONTAINERS[name](state, tmp_path / name)
    assert digest(tmp_path / name, config) == digest(files[1], config)


def test_an_fp16_file_has_the_digest_of_its_values(state: State, tmp_path: Path, config: ClipConfig) -> None:
    half = {key: value.half() for key, value in state.items()}
    save_file(half, tmp_path / "half.safetensors")
    save_file({key: value.float() for key, value in half.items()}, tmp_path / "float.safetensors")
    loaded, _ = load_weights(tmp_path / "half.safetensors", config)
    assert {value.dtype for value in loaded.tensors.values()} == {torch.float32}
    assert digest(tmp_path / "half.safetensors", config) == digest(tmp_path / "float.safetensors", config)


def test_the_digest_names_values_and_activation(state: State) -> None:
    before = encoder_sha256(state, GELU)
    assert encoder_sha256(state, QUICK_GELU) != before
    state["visual.proj"] = state["visual.proj"].clone()
    state["visual.proj"][3, 5] += 1e-3
    assert encoder_sha256(state, GELU) != before


def test_the_image_embedding_is_the_references(clip: Clip) -> None:
    pixels = torch.from_numpy(golden_weights.normalised(golden()["images"]))
    torch.testing.assert_close(
        clip.encode_image(pixels), torch.from_numpy(golden()["image_embedding"]), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("quick_gelu", [False, True])
def test_both_towers_agree_with_open_clip(state: State, quick_gelu: bool) -> None:
    form = document(quick_gelu=quick_gelu)
    theirs = open_clip.model.CLIP(**form).eval()
    theirs.load_state_dict(state)
    del state["logit_scale"]
    ours = build_clip(config_from_document("tiny", form), state)
    pixels = torch.from_numpy(golden_weights.normalised(golden()["images"]))
    tokens = open_clip.tokenize(["a photo of a nut", "a damaged nut"])
    with torch.inference_mode():
        torch.testing.assert_close(ours.encode_image(pixels), theirs.encode_image(pixels), atol=1e-4, rtol=0)
        torch.testing.assert_close(ours.encode_text(tokens), theirs.encode_text(tokens), atol=1e-4, rtol=0)


def without(state: State, *names: str) -> State:
    return {key: value for key, value in state.items() if key not in names}


def renamed(state: State, before: str, after: str) -> State:
    return {key.replace(before, after): value for key, value in state.items()}


def cut(state: State, name: str, rows: int) -> State:
    return {**state, name: state[name][:rows].contiguous()}


WRONG: dict[str, tuple[Callable[[State], State], str]] = {
    "a tensor is missing": (lambda s: without(s, "visual.ln_post.bias"), r"visual\.ln_post\.bias is missing.*\(128,\)"),
    "another width": (lambda s: cut(s, "visual.class_embedding", 64), r"\(64,\), expected \(128,\)"),
    "another grid": (lambda s: cut(s, "visual.positional_embedding", 197), r"\(197, 128\), expected \(226, 128\)"),
    "another embedding": (lambda s: cut(s, "text_projection", 32), r"text_projection has the shape \(32, 64\)"),
    "fewer layers": (
        lambda s: {k: v for k, v in s.items() if "visual.transformer.resblocks.3." not in k},
        r"visual\.transformer has 3 layers, expected 4",
    ),
    "more layers": (
        lambda s: {**s, **{k.replace(".3.", ".4."): v.clone() for k, v in s.items() if k.startswith("transformer")}},
        r"transformer has 5 layers, expected 4",
    ),
    "a timm tower": (lambda s: renamed(s, "visual.", "visual.trunk."), "found a timm image tower"),
    "a ResNet": (lambda s: renamed(s, "visual.transformer", "visual.layer1.0"), "found a ResNet image tower"),
    "Hugging Face names": (
        lambda s: {f"vision_model.{index}": value for index, value in enumerate(s.values())},
        "found Hugging Face transformers' names",
    ),
    "another network": (lambda s: {"fc.weight": s["visual.proj"]}, r"found 'fc\.weight' and no tensor of CLIP"),
    "layer scale": (
        lambda s: {**s, "visual.transformer.resblocks.0.ls_1.gamma": torch.ones(128)},
        r"ls_1\.gamma in the file is not part of tiny",
    ),
    "integers": (lambda s: {**s, "visual.proj": s["visual.proj"].int()}, "expected floating point"),
    "a NaN": (lambda s: {**s, "visual.proj": s["visual.proj"] * float("nan")}, "holds NaN or infinity"),
    "OpenAI's without QuickGELU": (lambda s: {**s, "input_resolution": torch.tensor(240)}, "tiny-quickgelu"),
}


@pytest.mark.parametrize("case", WRONG)
def test_weights_that_do_not_fit_are_refused_with_what_was_expected(
    case: str, state: State, tmp_path: Path, config: ClipConfig
) -> None:
    change, message = WRONG[case]
    save_file(change(state), tmp_path / "wrong.safetensors")
    with pytest.raises(ExportError, match=message):
        load_weights(tmp_path / "wrong.safetensors", config)


class Harmful:
    def __reduce__(self) -> Any:
        return (print, ("code in a pickle was run",))


def test_a_pickle_with_code_is_refused_and_not_run(
    tmp_path: Path, config: ClipConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"visual.proj": Harmful()}, tmp_path / "zip.pt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Harmful()))
    for name in ("zip.pt", "bare.pt"):
        with pytest.raises(ExportError, match="nothing in it is executed"):
            load_weights(tmp_path / name, config)
    assert "was run" not in capsys.readouterr().out


def test_a_torchscript_archive_is_refused_with_how_to_convert_it(tmp_path: Path, config: ClipConfig) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "ViT-L-14.pt")
    with pytest.raises(ExportError, match=r"TorchScript archive.*torch\.jit\.load\('ViT-L-14\.pt'"):
        load_weights(tmp_path / "ViT-L-14.pt", config)


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pt"])
def test_a_truncated_file_is_refused(name: str, state: State, tmp_path: Path, config: ClipConfig) -> None:
    CONTAINERS[f"plain{Path(name).suffix}"](state, tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:100_000])
    with pytest.raises(ExportError, match="cut"):
        load_weights(tmp_path / name, config)


@pytest.mark.parametrize("suffix", ["pt", "pth", "bin", "npz", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"\x80", b"abc", b"PK\3\4", b"\x80\2}q\0.", b"\0" * 99, b"[" * 100_000])
def test_a_file_that_holds_no_weights_is_refused_in_one_line(
    suffix: str, content: bytes, tmp_path: Path, config: ClipConfig
) -> None:
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=rf"^[^\n]*w\.{suffix}: [^\n]*$"):
        load_weights(path, config)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"", b"\xff", b"[]"])
def test_a_configuration_that_is_no_object_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.json").write_bytes(content)
    with pytest.raises(ExportError, match=r"^[^\n]*c\.json: [^\n]*$"):
        read_backbone(tmp_path / "c.json")


def test_a_missing_file_is_refused(tmp_path: Path, config: ClipConfig) -> None:
    with pytest.raises(ExportError, match="no such weights file"):
        load_weights(str(tmp_path / "none.safetensors"), config)


def test_an_unknown_tag_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ExportError, match=r"'laion400m_e99' is no file and no open_clip tag.*laion400m_e32"):
        load_weights("laion400m_e99", read_backbone("ViT-B-16-plus-240"))


def test_a_tag_brings_its_activation(
    monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path], config: ClipConfig
) -> None:
    monkeypatch.setattr("clipspect_export.towers.weights.fetch_weights", lambda record, backbone, tag: files[1])
    sized = config_from_document("ViT-L-14-336", document())  # the name has an `openai` tag
    loaded, completed = load_weights("openai", sized)
    assert (loaded.source, loaded.name) == ("tag", "openai")
    assert completed.activation == QUICK_GELU


def test_a_backbone_by_name_and_by_file_is_the_same(tmp_path: Path) -> None:
    named = read_backbone("ViT-L-14-336-quickgelu")
    assert (named.grid.rows, named.vision.heads, named.text.heads, named.activation) == (24, 16, 12, QUICK_GELU)
    assert read_backbone("ViT-L-14-336").activation == GELU
    assert read_backbone("ViT-B-16-plus-240").vision.heads == 14


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("ViT-B-16-plus-24O", "no backbone of open_clip; close ones: ViT-B-16-plus-240"),
        ("RN50", "found a ResNet image tower"),
        ("ViT-B-16-SigLIP", "found the timm image tower"),
        ("coca_ViT-B-32", "multimodal_cfg"),
        ("missing.json", "no such configuration file"),
    ],
)
def test_a_backbone_that_is_no_plain_clip_is_refused(backbone: str, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        read_backbone(backbone)


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("vision_cfg", {"image_size": [240, 320]}, "expected a square"),
        ("vision_cfg", {"image_size": 250}, "does not divide into patches of 16"),
        ("vision_cfg", {"ls_init_value": 1e-4}, "ls_init_value"),
        ("vision_cfg", {"pool_type": "avg"}, "pool_type"),
        ("vision_cfg", {"width": 100, "head_width": 30}, "cannot have 3 heads"),
        ("vision_cfg", {"width": "wide"}, "width is 'wide', expected a whole number"),
        ("vision_cfg", {"layers": 10**9}, "layers is 1000000000, expected a whole number from 1 to 256"),
        ("vision_cfg", {"layers": 200, "width": 8192}, "2e\\+11 parameters, at most 1e\\+10"),
        ("vision_cfg", {"image_size": 1 << 40}, "image_size is 1099511627776"),
        ("vision_cfg", {"head_width": 0}, "head_width is 0"),
        ("vision_cfg", {"mlp_ratio": float("inf")}, "mlp_ratio is inf"),
        ("vision_cfg", {"mlp_ratio": float("nan")}, "mlp_ratio is nan"),
        ("vision_cfg", {"patch_size": []}, "expected a square"),
        ("vision_cfg", {"patch_size": [[]]}, "not a CLIP configuration"),
        ("text_cfg", {"width": -(1 << 70)}, "width is -1180591620717411303424"),
        ("text_cfg", {"heads": True}, "heads is True"),
        ("text_cfg", {"vocab_size": 1e300}, "vocab_size is 1e\\+300"),
        ("text_cfg", {"context_length": 10**12}, "context_length is 1000000000000"),
        ("text_cfg", {"hf_model_name": "roberta-base"}, "found the Hugging Face text tower"),
        ("text_cfg", {"pool_type": "last"}, "pool_type"),
    ],
)
def test_an_option_that_changes_a_tower_is_refused(section: str, change: dict[str, Any], message: str) -> None:
    form = document()
    form[section] |= change
    with pytest.raises(ExportError, match=message):
        config_from_document("custom", form)
