"""Over Ray, in processes that end in the middle: each image once, the driver and workers killed or not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from clipspect.recipes.triton_repository import write_triton_repository
from support import archived, handmade
from support.command_line import run
from support.kserve import Server

pytestmark = pytest.mark.slow
PATIENCE_S = 300


class Archive:
    """A folder with a bundle and images; of 150, one ends any process that opens it, and another the first one."""

    def __init__(self, place: Path, images: int = 150) -> None:
        self.place, self.out = place, place / "out"
        handmade.write_bundle(place / "tiny.bundle")
        paths = archived.write_images(place / "images", images)
        if images == 150:
            paths[70].rename(place / "images" / "fatal.png")
            paths[140].rename(place / "images" / "poison.png")
            paths[20].write_bytes(b"\x89PNG\r\n\x1a\n")
        (place / "site").mkdir()
        (place / "site" / "sitecustomize.py").write_text(archived.SITE)
        self.errors = place / "errors"

    @contextlib.contextmanager
    def started(self, *backend: str) -> Iterator[subprocess.Popen[bytes]]:
        words = ["archive", "tiny.bundle", "images", "--ray", "local", "--out", "out", "--workers", "2"]
        words += ["--records", "50", "--json", "--backend", *(backend or ["onnxruntime"])]
        before = os.pathsep.join([str(self.place / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": before, "FATAL_ONCE": str(self.place / "fatal")}
        with (self.place / "said").open("wb") as said, self.errors.open("wb") as errors:
            driver = subprocess.Popen(
                [sys.executable, "-m", "clipspect", *words],
                cwd=self.place,
                env={**environment, "TMPDIR": "/tmp"},  # names of sockets are short
                stdout=said,
                stderr=errors,
            )
        try:
            yield driver
        finally:
            driver.kill()
            driver.wait()

    def require(self, driver: subprocess.Popen[bytes]) -> None:
        """That it goes on."""
        assert driver.poll() is None, self.errors.read_text()

    @property
    def said(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.place / "said").read_text())
        return found


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(tmp_path_factory.mktemp("archive"))


def test_a_killed_driver_leaves_whole_files_and_ends_its_workers_and_a_second_run_meanwhile_is_refused(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(archive.place)
    with archive.started() as driver:
        wait_until(lambda: any((archive.out / "records").glob("*.parquet")), lambda: archive.require(driver))
        assert run("archive", "tiny.bundle", "images", "--ray", "local", "--out", "out") == 1
        assert f"another clipspect (process {driver.pid}) writes there" in capfd.readouterr().err
        workers = [pid for pid in processes() if command(pid).startswith("ray::") and descends(pid, driver.pid)]
        assert workers
        driver.send_signal(signal.SIGKILL)
        assert driver.wait(PATIENCE_S) == -signal.SIGKILL
    wait_until(lambda: not any(command(pid).startswith("ray::Map") for pid in workers))
    assert len(archived.read_archive(archive.out)) >= 50


def test_started_again_it_goes_on_and_each_image_is_there_once_though_workers_died(archive: Archive) -> None:
    before = archived.read_archive(archive.out)
    with archive.started() as driver:
        assert driver.wait(PATIENCE_S) == 1, archive.errors.read_text()
    found = archived.read_archive(archive.out).sort_by("number")
    assert found["number"].to_pylist() == list(range(150))
    assert len(set(found["name"].to_pylist())) == 150
    said = archive.said
    assert (said["images"], said["inspected"], said["errors"]) == (150, 150 - len(before), 2)
    assert (said["workers"], said["threads"]) == (2, 1)
    ids = dict(zip(found["name"].to_pylist(), found["id"].to_pylist()))
    assert all(ids[name] == id for name, id in zip(before["name"].to_pylist(), before["id"].to_pylist()))
    errors = {name: error for name, error in zip(found["name"].to_pylist(), found["error"].to_pylist()) if error}
    assert errors.keys() == {"images/part20.png", "images/poison.png"}
    assert "3 processes ended while they inspected it" in errors["images/poison.png"]


def test_the_records_are_those_of_run(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(archive.place)
    expected = archived.records_of_run(Path("tiny.bundle"), "images", archive.place / "run.jsonl")
    found = archived.records_of(archived.read_archive(archive.out))
    assert [record["item"]["name"] for record in found] == [record["item"]["name"] for record in expected]
    poison = [record["item"]["name"] for record in found].index("images/poison.png")
    del found[poison], expected[poison]
    assert found == expected


def test_what_is_finished_is_not_inspected_again_and_another_recipe_is_refused(archive: Archive) -> None:
    with archive.started() as driver:
        assert driver.wait(PATIENCE_S) == 1, archive.errors.read_text()
    assert (archive.said["images"], archive.said["inspected"]) == (150, 0)
    recipe = handmade.make_recipe("object", limits=Limits(0.1, 0.2))
    write_recipe(archive.place / "tiny.bundle/recipes/object.safetensors", recipe)
    with archive.started() as driver:
        assert driver.wait(PATIENCE_S) == 1
    assert "is the archive of something else (its recipe is object" in archive.errors.read_text()


def test_workers_ask_a_triton_server_and_give_the_same_records(tmp_path: Path) -> None:
    place = Archive(tmp_path, images=20)
    write_triton_repository(tmp_path / "tiny.bundle", tmp_path / "repository")
    with Server(tmp_path / "repository") as server, place.started("triton", "--url", server.url) as driver:
        assert driver.wait(PATIENCE_S) == 0, place.errors.read_text()
    found = archived.read_archive(place.out).sort_by("number")
    assert set(found["backend"].to_pylist()) == {"triton"}
    local = archived.inspected(tmp_path / "tiny.bundle", str(tmp_path / "images")).sort_by("number")
    assert found["score"].to_pylist() == pytest.approx(local["score"].to_pylist(), abs=1e-6)
    assert place.said["workers"] == 2


def wait_until(there: Callable[[], bool], going_on: Callable[[], None] = lambda: None) -> None:
    end = time.monotonic() + PATIENCE_S
    while not there():
        going_on()
        assert time.monotonic() < end
        time.sleep(0.1)


def processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def command(pid: int) -> str:
    """As it names itself; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def descends(pid: int, ancestor: int) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False
