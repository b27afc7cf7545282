"""`clipspect triton`: what is written, read by Triton's own protobuf, and what its parts compute in onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clipspect.base.errors import BackendError, BundleError, ClipspectError
from clipspect.base.lock import only_writer_in
from clipspect.bundle.bundle import Bundle
from clipspect.engines.graph import IMAGE
from clipspect.engines.onnx_split import split
from clipspect.recipes import triton_repository
from clipspect.recipes.triton_repository import write_triton_repository
from support import handmade
from support.command_line import error_of, run
from support.kserve import read_config
from support.two_parts import require_two_parts


def written(bundle: Path | str, out: Path, **options: Any) -> dict[str, Any]:
    """The configurations by the models' names without the bundle's."""
    write_triton_repository(bundle, out, **options)
    prefix = f"clipspect-{Bundle.open(bundle).digest[:12]}-"
    configs = {path.name: read_config(path) for path in out.iterdir()}
    assert all(name == config.name and name.startswith(prefix) for name, config in configs.items())
    return {name.removeprefix(prefix): config for name, config in configs.items()}


def test_the_encoder_joins_requests_and_the_head_does_not(tmp_path: Path) -> None:
    configs = written("demo", tmp_path / "repository", batch=4, instances=2)
    roles = ["photos", "words"]
    assert sorted(configs) == sorted(
        [*(f"{role}{part}" for role in roles for part in ("", "-encoder", "-head")), "windows"]
    )
    for role in roles:
        encoder, head, whole = configs[f"{role}-encoder"], configs[f"{role}-head"], configs[role]
        assert encoder.max_batch_size == 4
        assert encoder.HasField("dynamic_batching")
        assert [tensor.name for tensor in encoder.input] == [IMAGE]
        assert list(encoder.input[0].dims) == [240, 240, 3]
        assert [warm.batch_size for warm in encoder.model_warmup] == [1, 4]
        assert (head.max_batch_size, whole.max_batch_size) == (0, 0)
        assert not head.HasField("dynamic_batching")
        assert IMAGE not in {tensor.name for tensor in head.input}
        assert whole.platform == "ensemble"
        assert list(whole.input[0].dims) == [-1, 240, 240, 3]
        assert [step.model_name for step in whole.ensemble_scheduling.step] == [head.name, encoder.name]
        for config in (encoder, head):
            assert [(group.kind, group.count) for group in config.instance_group] == [(group_kind("CPU", config), 2)]
            assert config.backend == "onnxruntime"
    assert configs["windows"].max_batch_size == 0
    for config in configs.values():
        said = {key: value.string_value for key, value in config.parameters.items()}
        assert said["clipspect_bundle"] == Bundle.open("demo").digest
        assert said["clipspect_most_images"] == "4"
        assert list(config.version_policy.specific.versions) == [1]


def group_kind(name: str, config: Any) -> int:
    return int(config.instance_group[0].Kind.Value(f"KIND_{name}"))


def test_a_gpu_computes_in_the_digits_of_the_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    configs = written(tiny_bundle, tmp_path / "repository", device="cuda")
    for part in ("words-encoder", "words-head"):
        config = configs[part]
        assert config.instance_group[0].kind == group_kind("GPU", config)
        (cuda,) = config.optimization.execution_accelerators.gpu_execution_accelerator
        assert (cuda.name, dict(cuda.parameters)) == ("cuda", {"use_tf32": "0"})
    assert list(configs["words"].version_policy.specific.versions) == [2]
    assert (tmp_path / "repository" / configs["words"].name / "2").is_dir()


def test_every_model_of_a_bundle_shares_one_file_of_weights(tmp_path: Path) -> None:
    write_triton_repository("demo", tmp_path)
    weights = list(tmp_path.glob("*/*/*.data"))
    assert len(weights) == 3
    assert len({path.stat().st_ino for path in weights}) == 1


@pytest.mark.parametrize("role", ["words", "both", "photos"])
def test_the_two_parts_answer_as_the_whole_and_images_are_apart(role: str, tmp_path: Path) -> None:
    bundle = Bundle.open(handmade.write_memory_bundle(tmp_path / "b"))
    require_two_parts(bundle, bundle.manifest.graphs[role], tmp_path)


def test_a_graph_whose_images_are_not_apart_is_not_split() -> None:
    bundle = Bundle.open("demo")
    assert bundle.manifest.windows is not None
    assert split(bundle.path / bundle.manifest.windows.file, bundle.manifest.windows) is None


def test_what_is_there_is_replaced_by_force_alone(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "repository"
    (out / "resnet" / "1").mkdir(parents=True)
    assert run("triton", tiny_bundle, "--out", out) == 0
    said = capsys.readouterr().out
    assert "words    clipspect-" in said
    assert f"tritonserver --model-repository {out}" in said
    assert run("triton", tiny_bundle, "--out", out) == 1
    assert "is there already: replace it with --force" in error_of(capsys)
    assert run("triton", tiny_bundle, "--out", out, "--batch", 3, "--force", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    (graph,) = document["graphs"]
    assert (graph["most_images"], graph["role"], graph["version"]) == (3, "words", 1)
    assert read_config(out / f"{graph['name']}-encoder").max_batch_size == 3
    assert sorted(path.name for path in out.iterdir()) == sorted([*graph["models"], "resnet"])


def test_a_server_that_starts_meanwhile_finds_no_folder_that_is_no_model(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, seen = tmp_path / "repository", list[list[Path]]()

    def looking(*arguments: Any) -> Any:
        seen.append([path for path in out.iterdir() if path.is_dir()])
        return split(*arguments)

    monkeypatch.setattr(triton_repository, "split", looking)
    write_triton_repository(tiny_bundle, out)
    assert seen == [[]]
    assert len(list(out.iterdir())) == 3


def test_a_second_command_in_the_repository_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    with (
        only_writer_in(tmp_path),
        pytest.raises(ClipspectError, match=r"another clipspect \(process \d+\) writes there"),
    ):
        write_triton_repository(tiny_bundle, tmp_path)


def test_another_bundle_goes_beside_the_first(tiny_bundle: Path, full_bundle: Path, tmp_path: Path) -> None:
    write_triton_repository(tiny_bundle, tmp_path / "repository")
    before = len([*(tmp_path / "repository").iterdir()])
    write_triton_repository(full_bundle, tmp_path / "repository")
    assert len([*(tmp_path / "repository").iterdir()]) > before


def test_a_half_precision_bundle_is_for_a_gpu_alone(tmp_path: Path) -> None:
    bundle = handmade.rewritten(handmade.write_bundle(tmp_path / "b"), precision="fp16")
    with pytest.raises(BackendError, match="does not run an fp16 graph on the CPU: take --device cuda"):
        write_triton_repository(bundle, tmp_path / "repository")
    assert not (tmp_path / "repository").exists()
    write_triton_repository(bundle, tmp_path / "repository", device="cuda")


def test_what_cannot_be_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="device: a Triton server has cpu, cuda, tensorrt, found 'gpu'"):
        write_triton_repository(tiny_bundle, tmp_path, device="gpu")
    with pytest.raises(BackendError, match="batch: expected a number from 1"):
        write_triton_repository(tiny_bundle, tmp_path, batch=0)
    with pytest.raises(BundleError, match="no such bundle"):
        write_triton_repository(tmp_path / "none", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ClipspectError, match=r"file: cannot be written .*: choose another --out"):
        write_triton_repository(tiny_bundle, tmp_path / "file")
