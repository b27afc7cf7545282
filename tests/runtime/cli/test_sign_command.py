"""`clipspect sign`, and `--require-signature` of every command that opens a bundle."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from clipspect.bundle.manifest import MANIFEST, RECIPES
from clipspect.bundle.signature import make_keys, read_private_key, write_signature
from clipspect.cli import all_commands, build_parser
from clipspect.line.plan import OWN
from clipspect.recipes.recipe import write_recipe
from support import handmade
from support.command_line import error_of, run
from support.lined import quick, write_plan

Capture = pytest.CaptureFixture[str]
RECIPE = f"{RECIPES}/object.safetensors"
# These write bundles, or read logs alone: none judges by a bundle that came.
WITHOUT = {"sign", "upgrade", "export", "audit", "drift", "feedback", "doctor", "demo", "line"}


@pytest.fixture
def private(tmp_path: Path, tiny_bundle: Path, capsys: Capture) -> Path:
    """The key that signed the bundle; the public one lies beside it."""
    assert run("sign", tiny_bundle, "--new-key", tmp_path / "key.pem") == 0
    capsys.readouterr()
    return tmp_path / "key.pem"


@pytest.fixture
def public(private: Path) -> Path:
    return private.with_name("key.public.pem")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(handmade.grey(50)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_sign_says_what_it_signed_with_the_digests(private: Path, tiny_bundle: Path, capsys: Capture) -> None:
    assert run("sign", tiny_bundle, "--key", private) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        f"signed: {tiny_bundle / MANIFEST}",
        f"signed: {tiny_bundle / RECIPE}",
    ]
    assert run("info", tiny_bundle, "--json") == 0
    known = json.loads(capsys.readouterr().out)
    assert lines[0].endswith(f"(manifest {known['digest']})")
    assert lines[1].endswith(f"(recipe {known['recipes'][0]['digest']})")
    assert run("sign", tiny_bundle, "--key", private, "--json") == 0
    signed = json.loads(capsys.readouterr().out)["signed"]
    assert signed[str(tiny_bundle / RECIPE)] == f"recipe {known['recipes'][0]['digest']}"


def test_a_calibrated_recipe_is_refused_until_it_is_signed_again(
    private: Path, public: Path, tiny_bundle: Path, photo: Path, capsys: Capture
) -> None:
    inspect = ("run", tiny_bundle, photo, "--backend", "onnxruntime", "--require-signature", public)
    assert run(*inspect) == 0
    limits = ("--review", 0.3, "--reject", 0.6)
    assert run("calibrate", tiny_bundle, "object", *limits, "--require-signature", public) == 0
    assert "is not signed any more" in capsys.readouterr().err
    assert run(*inspect) == 1
    assert "object.safetensors: is not signed" in error_of(capsys)
    assert run("sign", tiny_bundle, "--recipe", "object", "--key", private) == 0
    assert str(tiny_bundle / MANIFEST) not in capsys.readouterr().out
    assert run(*inspect) == 0


def test_making_a_recipe_again_over_an_unsigned_one_is_refused_where_signatures_are_required(
    public: Path, tiny_bundle: Path, capsys: Capture
) -> None:
    (tiny_bundle / f"{RECIPE}.sig").unlink()
    again = ("recipe", tiny_bundle, "object", "--like", "object", "--force", "--require-signature", public)
    assert run(*again) == 1
    assert "is not signed" in error_of(capsys)


def test_a_damaged_bundle_or_recipe_is_not_signed(private: Path, tiny_bundle: Path, capsys: Capture) -> None:
    (tiny_bundle / MANIFEST).with_suffix(".json.sig").unlink()
    whole = (tiny_bundle / RECIPE).read_bytes()
    (tiny_bundle / RECIPE).write_bytes(whole[:-1] + b"!")
    assert run("sign", tiny_bundle, "--key", private) == 1
    assert "does not match its digest" in error_of(capsys)
    (tiny_bundle / RECIPE).write_bytes(whole)
    (tiny_bundle / "model.onnx").write_bytes(b"x")
    assert run("sign", tiny_bundle, "--key", private) == 1
    assert "the file was cut or changed" in error_of(capsys)
    assert not (tiny_bundle / f"{MANIFEST}.sig").exists()


def test_what_cannot_be_signed_is_refused_in_one_line(private: Path, tiny_bundle: Path, capsys: Capture) -> None:
    assert run("sign", "demo", "--key", private) == 1
    assert "copy the folder" in error_of(capsys)
    assert run("sign", tiny_bundle, "--new-key", private) == 1
    assert "never replaced" in error_of(capsys)
    assert run("sign", "--key", private) == 1
    assert "name the BUNDLE" in error_of(capsys)
    assert run("sign", tiny_bundle, "--key", "") == run("sign", "--new-key", "") == 1
    assert "no name for a key's file" in capsys.readouterr().err
    assert run("sign", tiny_bundle, "--recipe", "absent", "--key", private) == 1
    assert "no recipe 'absent'" in error_of(capsys)


def test_what_changes_while_it_is_signed_keeps_no_signature(
    private: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    whole = (tiny_bundle / RECIPE).read_bytes()

    changed: list[bytes] = []

    def write_and_change(path: Path, data: bytes, key: Ed25519PrivateKey) -> None:
        write_signature(path, data, key)
        (tiny_bundle / RECIPE).write_bytes(changed[-1])

    monkeypatch.setattr("clipspect.bundle.signature.write_signature", write_and_change)
    write_recipe(other := tiny_bundle.with_name("object.safetensors"), handmade.make_recipe(object="another"))
    for data, said in ((other.read_bytes(), "was changed while it was signed"), (b"", "not a readable recipe")):
        changed.append(data)
        (tiny_bundle / RECIPE).write_bytes(whole)
        assert run("sign", tiny_bundle, "--key", private) == 1
        assert said in error_of(capsys)
        assert not list(tiny_bundle.rglob("*.sig"))


def test_keys_are_made_without_a_bundle(tmp_path: Path, capsys: Capture) -> None:
    assert run("sign", "--new-key", tmp_path / "line.pem", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert made == {"key": str(tmp_path / "line.pem"), "public": str(tmp_path / "line.public.pem"), "signed": {}}
    assert b"PRIVATE" not in (tmp_path / "line.public.pem").read_bytes()


def test_every_command_that_opens_a_bundle_takes_a_key() -> None:
    actions = build_parser(all_commands())._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    having = {name for name, parser in actions.items() if "--require-signature" in parser._option_string_actions}  # type: ignore[union-attr]
    assert having | WITHOUT == set(actions)
    assert not having & WITHOUT


@pytest.mark.parametrize(
    "command",
    [
        ("run", "BUNDLE", "PHOTO"),
        ("info", "BUNDLE"),
        ("verify", "BUNDLE"),
        ("compile", "BUNDLE"),
        ("calibrate", "BUNDLE", "object", "--good", "PHOTO"),
        ("teach", "BUNDLE", "new", "--good", "PHOTO"),
        ("recipe", "BUNDLE", "new", "--references", "PHOTO"),
        ("roi", "BUNDLE", "object", "--show"),
        ("reuse", "BUNDLE", "object"),
        ("learn", "BUNDLE", "object", "LOG"),
        ("watch", "FOLDER", "--bundle", "BUNDLE", "--out", "OUT"),
        ("eval", "BUNDLE", "FOLDER", "--layout", "folder"),
        ("bench", "BUNDLE"),
        ("advise", "PHOTO", "--bundle", "BUNDLE"),
        ("study", "BUNDLE", "object", "FOLDER"),
        ("lot", "BUNDLE", "FOLDER"),
        ("triton", "BUNDLE", "--out", "OUT"),
    ],
    ids=lambda command: command[0],
)
def test_a_command_refuses_what_another_key_signed(
    command: tuple[str, ...], public: Path, tiny_bundle: Path, photo: Path, tmp_path: Path, capsys: Capture
) -> None:
    make_keys(tmp_path / "other.pem", tmp_path / "other.public.pem")
    manifest = tiny_bundle / MANIFEST
    write_signature(manifest, manifest.read_bytes(), read_private_key(tmp_path / "other.pem"))
    (tmp_path / "folder").mkdir()
    shutil.copy(photo, tmp_path / "folder")
    places = {"BUNDLE": tiny_bundle, "PHOTO": photo, "FOLDER": tmp_path / "folder", "OUT": tmp_path / "out"}
    given = [places.get(word, word) for word in command]
    assert run(*given, "--require-signature", public) == 1
    assert "bundle.json.sig is no signature of these bytes" in error_of(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("run", "BUNDLE", "PHOTO", "--recipe", "RECIPE"),
        ("info", "BUNDLE"),
        ("compile", "BUNDLE"),
        ("calibrate", "BUNDLE", "RECIPE", "--good", "PHOTO"),
        ("recipe", "BUNDLE", "new", "--like", "RECIPE"),
        ("roi", "BUNDLE", "RECIPE", "--show"),
        ("reuse", "BUNDLE", "RECIPE"),
        ("learn", "BUNDLE", "RECIPE", "LOG"),
        ("watch", "FOLDER", "--bundle", "BUNDLE", "--out", "OUT", "--recipe", "RECIPE"),
        ("bench", "BUNDLE", "--recipe", "RECIPE"),
        ("study", "BUNDLE", "RECIPE", "FOLDER"),
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("given", ["object", "outside"])
def test_a_command_refuses_a_recipe_that_is_not_signed_of_a_bundle_that_is(
    command: tuple[str, ...], given: str, public: Path, tiny_bundle: Path, photo: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "folder").mkdir()
    outside = shutil.copy(tiny_bundle / RECIPE, tmp_path / "object.safetensors")
    (tiny_bundle / f"{RECIPE}.sig").unlink()
    places = {"BUNDLE": tiny_bundle, "PHOTO": photo, "FOLDER": tmp_path / "folder", "OUT": tmp_path / "out"}
    places["RECIPE"] = Path(outside if given == "outside" else "object")
    assert run(*[places.get(word, word) for word in command], "--require-signature", public) == 1
    assert "object.safetensors: is not signed" in error_of(capsys)


def test_a_line_takes_the_key_from_its_file_and_its_check_names_the_recipe_that_is_not_signed(
    public: Path, tiny_bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "camera").mkdir()
    plan = write_plan(
        tmp_path / "line.toml",
        {"camera": quick(tmp_path / "camera")},
        bundle=tiny_bundle,
        out=tmp_path / "out",
        backend="onnxruntime",
        require_signature=public,
    )
    assert run("line", plan, "--check") == 0
    (tiny_bundle / f"{RECIPE}.sig").unlink()
    capsys.readouterr()
    assert run("line", plan, "--check") == 1
    assert "WRONG  camera: recipe: " in (said := capsys.readouterr().out)
    assert "is not signed" in said
    assert run("line", plan) == 1
    assert "is not signed" in error_of(capsys)


def test_without_cryptography_the_extra_is_named(
    public: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert run("info", tiny_bundle, "--require-signature", public) == 1
    assert "[sign]" in error_of(capsys)
    assert run("info", tiny_bundle) == 0


def test_a_recipe_that_a_message_switched_to_and_is_not_signed_is_refused_with_the_way_back(
    public: Path, tiny_bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    write_recipe(tiny_bundle / RECIPES / "other.safetensors", handmade.make_recipe("other"))
    (tmp_path / "camera").mkdir()
    kept = tmp_path / "out" / "camera" / OWN / "recipe.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"recipe": "other", "instead_of": "object"}))
    settings = {"bundle": tiny_bundle, "out": tmp_path / "out", "require_signature": public}
    plan = write_plan(tmp_path / "line.toml", {"camera": quick(tmp_path / "camera", recipe="object")}, **settings)
    assert run("line", plan) == 1
    said = error_of(capsys)
    assert "other.safetensors: is not signed" in said
    assert "to go back to the line's own" in said


def test_what_cannot_be_signed_makes_no_keys(tiny_bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    key = tmp_path / "line.pem"
    for refused in (["demo"], [tiny_bundle / "nothing"], [tiny_bundle, "--recipe", "nothing"]):
        assert run("sign", *refused, "--new-key", key) == 1
        error_of(capsys)
    assert list(tmp_path.glob("*.pem")) == []
