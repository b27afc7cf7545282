"""Where a signature is required, nothing is opened that the key did not sign, whatever a hostile hand puts there."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clipspect
from clipspect.base.errors import BackendError, ClipspectError, RecipeError, SignatureError
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.local_records import local_record, write_local_record
from clipspect.bundle.manifest import MANIFEST, RECIPES
from clipspect.bundle.precision_record import PrecisionRecord
from clipspect.bundle.signature import make_keys, read_private_key, signature_path, write_signature
from clipspect.recipes.recipe import write_recipe
from clipspect.recipes.shelf import open_recipe
from support import handmade
from support.command_line import run
from support.signed import needs_openssl, openssl_keys, openssl_signs, openssl_verifies

RECIPE = f"{RECIPES}/object.safetensors"


@pytest.fixture
def signed(tiny_bundle: Path, keys: tuple[Path, Path]) -> Path:
    """A bundle that opens, all of it signed."""
    sign(keys[0], tiny_bundle / MANIFEST, tiny_bundle / RECIPE)
    opened(tiny_bundle, keys)
    return tiny_bundle


def sign(private: Path, *files: Path) -> None:
    for file in files:
        write_signature(file, file.read_bytes(), read_private_key(private))


def opened(root: Path, keys: tuple[Path, Path], recipe: str | Path | None = None) -> object:
    return open_recipe(Bundle.open(root, require_signature=keys[1]), recipe)


def refusal(root: Path, keys: tuple[Path, Path], recipe: str | Path | None = None) -> str:
    with pytest.raises(SignatureError) as caught:
        opened(root, keys, recipe)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@needs_openssl
def test_openssl_verifies_what_is_signed_here(signed: Path, keys: tuple[Path, Path]) -> None:
    for file in (signed / MANIFEST, signed / RECIPE):
        assert signature_path(file).stat().st_size == 64
        assert openssl_verifies(keys[1], file)
        file.write_bytes(file.read_bytes() + b" ")
        assert not openssl_verifies(keys[1], file)


@needs_openssl
def test_what_openssl_signs_with_its_own_key_is_accepted(tiny_bundle: Path, tmp_path: Path) -> None:
    keys = openssl_keys(tmp_path)
    openssl_signs(keys[0], tiny_bundle / MANIFEST)
    openssl_signs(keys[0], tiny_bundle / RECIPE)
    opened(tiny_bundle, keys)
    sign(keys[0], tiny_bundle / MANIFEST, tiny_bundle / RECIPE)  # with the key in openssl's PEM
    opened(tiny_bundle, keys)


def test_without_a_required_signature_nobody_looks_at_one(signed: Path) -> None:
    signature_path(signed / MANIFEST).write_bytes(b"anything")
    assert Bundle.open(signed).key is None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_any_file_is_refused_though_all_digests_are_made_to_fit(
    signed: Path, keys: tuple[Path, Path], data: st.DataObject
) -> None:
    path = signed / data.draw(st.sampled_from([MANIFEST, f"{MANIFEST}.sig", RECIPE, f"{RECIPE}.sig"]))
    original, digest = path.read_bytes(), (signed / f"{MANIFEST}.sha256").read_bytes()
    changed = bytearray(original)
    changed[data.draw(st.integers(0, len(original) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(changed))
    if path.name == MANIFEST:
        handmade.seal(signed, bytes(changed))
    try:
        with pytest.raises(ClipspectError):  # mostly a SignatureError; a length that cannot be is refused before it
            opened(signed, keys)
    finally:
        path.write_bytes(original)
        (signed / f"{MANIFEST}.sha256").write_bytes(digest)


@pytest.mark.parametrize("file", [MANIFEST, RECIPE])
@pytest.mark.parametrize("length", [0, 63, 65, 4096])
def test_a_signature_of_another_length_is_refused(
    signed: Path, keys: tuple[Path, Path], file: str, length: int
) -> None:
    signature_path(signed / file).write_bytes(bytes(length))
    assert "not 64 bytes" in refusal(signed, keys)


@pytest.mark.parametrize("file", [MANIFEST, RECIPE])
def test_without_its_signature_a_file_is_refused_by_name(signed: Path, keys: tuple[Path, Path], file: str) -> None:
    signature_path(signed / file).unlink()
    assert f"{signed / file}: is not signed" in refusal(signed, keys)


@pytest.mark.parametrize("file", [MANIFEST, RECIPE])
def test_a_signature_that_is_a_link_a_folder_or_a_pipe_is_refused(
    signed: Path, keys: tuple[Path, Path], file: str, tmp_path: Path
) -> None:
    signature = signature_path(signed / file)
    elsewhere = signature.rename(tmp_path / "elsewhere.sig")
    signature.symlink_to(elsewhere)
    assert "is a link" in refusal(signed, keys)
    signature.unlink()
    signature.mkdir()
    assert "is not signed" in refusal(signed, keys)
    signature.rmdir()
    os.mkfifo(signature)
    assert "is not signed" in refusal(signed, keys)


@pytest.mark.parametrize("file", [MANIFEST, RECIPE])
def test_the_signature_of_another_key_is_refused(
    signed: Path, keys: tuple[Path, Path], file: str, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    make_keys(other, tmp_path / "other.public.pem")
    sign(other, signed / file)
    assert "another key signed it" in refusal(signed, keys)


def test_the_signature_of_another_file_is_refused(signed: Path, keys: tuple[Path, Path]) -> None:
    shutil.copy(signature_path(signed / RECIPE), signature_path(signed / MANIFEST))
    assert "is no signature of these bytes" in refusal(signed, keys)


def test_a_signed_recipe_of_another_bundle_is_refused_though_the_key_signed_it(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    foreign = tmp_path / "object.safetensors"
    write_recipe(foreign, dataclasses.replace(handmade.make_recipe(), encoder_sha256="f" * 64))
    sign(keys[0], foreign)
    with pytest.raises(RecipeError, match="made for other encoder weights"):
        opened(signed, keys, foreign)


def test_a_signed_recipe_under_another_name_is_refused(signed: Path, keys: tuple[Path, Path]) -> None:
    for suffix in ("", ".sig"):
        shutil.copy(signed / f"{RECIPE}{suffix}", signed / RECIPES / f"other.safetensors{suffix}")
    with pytest.raises(RecipeError, match="holds the recipe 'object'"):
        opened(signed, keys, "other")


def test_a_recipe_outside_the_bundle_needs_its_signature_too(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    outside = tmp_path / "object.safetensors"
    shutil.copy(signed / RECIPE, outside)
    assert "is not signed" in refusal(signed, keys, outside)
    sign(keys[0], outside)
    opened(signed, keys, outside)


def test_a_file_that_the_manifest_lists_is_covered_by_the_manifests_signature(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    graph = signed / "model.onnx"
    data = bytearray(graph.read_bytes())
    data[-1] ^= 1
    graph.write_bytes(data)
    handmade.rewritten(signed)  # every hash fits again, and the old signature is gone
    assert not signature_path(signed / MANIFEST).exists()
    assert "is not signed" in refusal(signed, keys)


def test_a_manifest_that_is_no_json_is_not_even_parsed_without_a_signature(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    handmade.seal(signed, b"[" * 100_000)
    assert "is no signature of these bytes" in refusal(signed, keys)


def test_a_recipe_that_is_written_again_loses_its_signature_and_says_so(
    signed: Path, keys: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    write_recipe(signed / RECIPE, handmade.make_recipe(object="another"))
    assert not signature_path(signed / RECIPE).exists()
    assert "is not signed any more" in caplog.text
    assert "is not signed" in refusal(signed, keys)


def test_the_signature_that_was_left_beside_a_recipe_written_by_another_program_is_refused(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    old = signature_path(signed / RECIPE).read_bytes()
    write_recipe(signed / RECIPE, handmade.make_recipe(object="another"))
    signature_path(signed / RECIPE).write_bytes(old)
    assert "was changed or written again" in refusal(signed, keys)


def test_what_was_measured_on_the_box_needs_a_signature(signed: Path, keys: tuple[Path, Path]) -> None:
    bundle = Bundle.open(signed, require_signature=keys[1])
    record = PrecisionRecord("bf16", "onnxruntime", passed=True, detail="measured")
    path = write_local_record(bundle, "cpu", record)
    with pytest.raises(SignatureError, match="is not signed"):
        local_record(bundle, "onnxruntime", "bf16")
    assert run("sign", signed, "--key", keys[0]) == 0
    kept = local_record(bundle, "onnxruntime", "bf16")
    assert kept is not None
    assert kept.record == record
    path.write_bytes(path.read_bytes().replace(b"measured", b"m3asured"))
    with pytest.raises(SignatureError, match="is no signature of these bytes"):
        local_record(bundle, "onnxruntime", "bf16")
    path.write_bytes(b"{")
    with pytest.raises(BackendError, match="not readable as JSON"):
        local_record(Bundle.open(signed), "onnxruntime", "bf16")


def test_a_record_of_the_box_that_is_a_pipe_a_link_or_huge_is_refused_and_never_waited_for(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    path = write_local_record(bundle, "cpu", PrecisionRecord("bf16", "onnxruntime", passed=True, detail="measured"))
    whole = path.rename(tiny_bundle / "kept.json")
    for make in (os.mkfifo, Path.mkdir, lambda place: place.symlink_to(whole), lambda place: place.symlink_to("none")):
        make(path)
        with pytest.raises(BackendError, match="or a link"):
            local_record(bundle, "onnxruntime", "bf16")
        path.rmdir() if path.is_dir() else path.unlink()
    with path.open("wb") as sparse:
        sparse.truncate(1 << 34)
    with pytest.raises(BackendError, match="or a link"):
        local_record(bundle, "onnxruntime", "bf16")


def test_a_signature_that_cannot_be_removed_is_told_in_one_line(signed: Path, keys: tuple[Path, Path]) -> None:
    signature_path(signed / RECIPE).unlink()
    signature_path(signed / RECIPE).mkdir()
    with pytest.raises(ClipspectError, match="its old signature"):
        write_recipe(signed / RECIPE, handmade.make_recipe(object="another"))
    assert "is not signed" in refusal(signed, keys)


def test_load_takes_the_key_and_switches_only_to_signed_recipes(signed: Path, keys: tuple[Path, Path]) -> None:
    write_recipe(signed / RECIPES / "other.safetensors", handmade.make_recipe("other"))
    with clipspect.load(signed, "object", "onnxruntime", require_signature=keys[1]) as inspector:
        with pytest.raises(SignatureError, match="is not signed"):
            inspector.use_recipe("other")
        with pytest.raises(SignatureError, match="is not signed"):
            inspector.with_recipe("other")
        assert inspector.recipe.name == "object"
        inspector.use_recipe(handmade.make_recipe("made here"))  # in memory: the caller's own
    another = signed.with_name("another-public.pem")
    make_keys(signed.with_name("another.pem"), another)
    for opened, key in ((Bundle.open(signed), keys[1]), (Bundle.open(signed, require_signature=keys[1]), another)):
        with pytest.raises(ClipspectError, match="the bundle is open already"):
            clipspect.load(opened, "object", "onnxruntime", require_signature=key)


def test_the_demo_is_part_of_the_installation_and_is_refused_where_a_signature_is_required(
    keys: tuple[Path, Path],
) -> None:
    with pytest.raises(SignatureError, match="is not signed"):
        Bundle.open("demo", require_signature=keys[1])


def test_a_bundle_lists_no_signature_among_its_files(signed: Path) -> None:
    handmade.rewritten(signed)
    assert list(json.loads((signed / MANIFEST).read_bytes())["files"]) == ["model.onnx"]
