"""Built engines lie in one folder: the one that an option names, else the environment's, else the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipspect.base.errors import BackendError
from clipspect.engines.cache import cache_folder, files_of


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CLIPSPECT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_option_goes_before_the_variable_and_that_before_the_users_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder("x") == home / ".cache" / "clipspect" / "x"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    assert cache_folder("x") == home / "xdg" / "clipspect" / "x"
    monkeypatch.setenv("CLIPSPECT_CACHE", str(home / "ours"))
    assert cache_folder("x") == home / "ours" / "x"
    assert cache_folder("x", "~/named") == home / "named" / "x"
    assert list(home.iterdir()) == []


def test_the_files_of_a_graph_are_itself_and_its_weights(tiny_bundle: Path) -> None:
    from clipspect_models import DEMO_BUNDLE

    assert [path.name for path in files_of(Path(DEMO_BUNDLE) / "model.onnx")] == ["model.onnx", "model.onnx.data"]
    assert files_of(tiny_bundle / "model.onnx") == [tiny_bundle / "model.onnx"]


def test_a_user_without_a_home_folder_is_told_to_name_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def unknown(number: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {number}")  # as in a container that runs as any number

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(BackendError, match=r"no folder to keep engines in \(.*\): name one in CLIPSPECT_CACHE$"):
        cache_folder("x")
    assert cache_folder("x", home) == home / "x"
