"""The built wheel, installed as users install it: what is in it, and that it works away from the repository."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipspect_models import DEMO_COOKIES
from support.installed import ROOT, CommandError, Environment, build_wheel, create, make_bundle

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """With onnxruntime, as `pip install "clipspect[cpu]"` has it."""
    environment = create(tmp_path_factory.mktemp("environment") / "venv", sys.executable)
    environment.install(f"clipspect[cpu,text] @ {wheel.as_uri()}", "pytest")
    return environment


@pytest.fixture(scope="module")
def editable(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """As `make` installs it."""
    environment = create(tmp_path_factory.mktemp("environment") / "venv", sys.executable)
    environment.install("--editable", f"{ROOT}[cpu]")
    return environment


def test_the_wheel_holds_every_file_of_its_packages_and_nothing_else(wheel: Path) -> None:
    roots = ("runtime/clipspect", "runtime/clipspect_lab", "export/clipspect_export", "models/clipspect_models")
    expected = {
        path.relative_to((ROOT / root).parent)
        for root in roots
        for path in (ROOT / root).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {Path(name) for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected
    needed = "presets/winclip.toml", "demo.bundle/bundle.json", "demo.bundle/model.onnx", "demo_images/index.json"
    assert {Path("clipspect_models", name) for name in needed} <= held
    assert {Path(name, "py.typed") for name in ("clipspect", "clipspect_lab", "clipspect_export")} <= held
    assert Path("clipspect/recipes/ensembles/winclip.toml") in held


def test_its_commands_are_there_and_the_exporters_too(installed: Environment, tmp_path: Path) -> None:
    said = installed.command("clipspect", "--help", cwd=tmp_path)
    for command in (
        "recipe",
        "run",
        "watch",
        "info",
        "compile",
        "verify",
        "doctor",
        "export",
        "eval",
        "study",
        "advise",
        "bench",
        "demo",
    ):
        assert f"\n    {command} " in said, command
    assert "does not load" not in said


def test_it_brings_no_torch_and_says_what_export_needs(installed: Environment, tmp_path: Path) -> None:
    code = "import importlib.util as u; print([name for name in ('torch', 'open_clip', 'onnx') if u.find_spec(name)])"
    assert installed.run("-c", code, cwd=tmp_path).strip() == "[]"
    said = installed.command("clipspect", "export", "winclip", "--out", "a.bundle", cwd=tmp_path, status=1)
    assert "clipspect[export]" in said
    assert said.count("\n") == 1


@pytest.fixture
def without_the_clone(installed: Environment) -> Iterator[Environment]:
    """An environment whose programs end when they open a file of the repository, or list a folder of it."""
    (packages,) = installed.root.glob("lib/python*/site-packages")
    hook = f"""import sys
def refuse(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith({f"{ROOT}/"!r}):
        raise RuntimeError(f"read of the clone: {{arguments[0]}}")
sys.addaudithook(refuse)
"""
    (packages / "sitecustomize.py").write_text(hook)
    yield installed
    (packages / "sitecustomize.py").unlink()


def test_photographs_become_verdicts_without_anything_of_the_clone(
    without_the_clone: Environment, tmp_path: Path
) -> None:
    command = without_the_clone.command
    with pytest.raises(CommandError, match="read of the clone"):
        without_the_clone.run("-c", f"open({str(ROOT / 'README.md')!r})", cwd=tmp_path)
    shutil.copytree(DEMO_COOKIES, tmp_path / "cookies", ignore=shutil.ignore_patterns("broken-*", "*.json", "*.md"))
    command("clipspect", "teach", "demo", "cookies", "--good", "cookies", cwd=tmp_path)
    given = "cookies", "--recipe", "cookies.safetensors", "--report", "report.html", "--out", "results"
    command("clipspect", "run", "demo", *given, cwd=tmp_path)
    records = [json.loads(line) for line in (tmp_path / "results" / "results.jsonl").read_text().splitlines()]
    assert len(records) == 30
    assert all(record["verdict"] in ("pass", "uncertain", "fail") for record in records)
    assert (tmp_path / "report.html").is_file()
    for words in (
        ["demo"],
        ["verify", "demo"],
        ["triton", "demo", "--out", "models"],
        ["doctor"],
        ["export", "--help"],
    ):
        command("clipspect", *words, cwd=tmp_path)
    assert (tmp_path / "clipspect-demo" / "index.html").is_file()


def test_the_runtime_passes_its_tests_there(installed: Environment, tmp_path: Path) -> None:
    said = installed.test(make_bundle(tmp_path / "tiny.bundle"))
    assert " passed" in said
    assert "skipped" not in said


@pytest.mark.parametrize("kind", ["installed", "editable"])
def test_a_clone_beside_the_working_folder_does_not_shadow_it(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    environment: Environment = request.getfixturevalue(kind)
    clone = tmp_path / "clipspect"  # as git clone names it; the package itself lies deeper
    (clone / "runtime").mkdir(parents=True)
    (clone / "runtime" / "clipspect").symlink_to(ROOT / "runtime" / "clipspect")
    (clone / "README.md").write_text("a clone")
    code = 'import clipspect; clipspect.load("demo").close(); print(clipspect.__file__)'
    home = ROOT / "runtime" if kind == "editable" else environment.root
    for cwd in (tmp_path, clone):
        found = Path(environment.run("-c", code, cwd=cwd).strip().splitlines()[-1])
        assert found.is_relative_to(home), cwd
