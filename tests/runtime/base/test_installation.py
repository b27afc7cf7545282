import sys
from pathlib import Path

import pytest

from clipspect.base.installation import pip_install
from support.installed import ROOT


def recorded(site: Path, direct_url: str | None) -> str:
    """The command for the extra `video` of a distribution that pip has installed into `site`, with what it recorded."""
    folder = site / "measured_parts-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: measured-parts\nVersion: 1.0\n")
    if direct_url is not None:
        (folder / "direct_url.json").write_text(direct_url)
    return pip_install("video", "measured-parts")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def test_from_an_index_it_is_the_packages_name(site: Path) -> None:
    assert recorded(site, None) == 'pip install "measured-parts[video]"'


def test_from_an_editable_clone_it_is_the_clones_folder(site: Path, tmp_path: Path) -> None:
    clone = tmp_path / "the clone"
    clone.mkdir()
    url = f'{{"dir_info": {{"editable": true}}, "url": "{clone.as_uri()}"}}'
    assert recorded(site, url) == f'pip install -e "{clone}[video]"'


def test_from_a_copied_clone_it_is_the_clones_folder(site: Path, tmp_path: Path) -> None:
    assert recorded(site, f'{{"dir_info": {{}}, "url": "{tmp_path.as_uri()}"}}') == f'pip install "{tmp_path}[video]"'


def test_from_a_clone_that_is_gone_it_says_that_one_is_needed(site: Path, tmp_path: Path) -> None:
    url = f'{{"dir_info": {{}}, "url": "{(tmp_path / "gone").as_uri()}"}}'
    assert recorded(site, url) == 'pip install ".[video]", in a clone of measured-parts'


def test_from_a_wheel_it_is_the_wheel(site: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "measured_parts-1.0-py3-none-any.whl"
    wheel.touch()
    url = f'{{"archive_info": {{}}, "url": "{wheel.as_uri()}"}}'
    assert recorded(site, url) == f'pip install "measured-parts[video] @ {wheel.as_uri()}"'


def test_from_a_repository_it_is_the_same_commit(site: Path) -> None:
    url = '{"url": "https://example.org/parts", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}'
    assert recorded(site, url) == 'pip install "measured-parts[video] @ git+https://example.org/parts@c0ffee"'


def test_in_a_clone_that_is_not_installed_and_without_pip_it_is_the_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "runtime")])  # no distribution is found: neither clipspect nor pip
    said = pip_install("video")
    assert said.startswith("pip --python ")  # an environment without pip is told to any other
    assert said.endswith(f'install -e "{ROOT}[video]"')


def test_no_hint_names_the_package_anywhere_else() -> None:
    own = ROOT / "runtime" / "clipspect" / "base" / "installation.py"
    files = [path for folder in ("runtime", "export", "models") for path in (ROOT / folder).rglob("*.py")]
    assert own in files
    assert [path for path in files if path != own and "clipspect[" in path.read_text(encoding="utf-8")] == []
