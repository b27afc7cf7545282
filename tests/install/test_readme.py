"""Every command of README.md and of docs/ is run, in the pages' order, in a folder that has what they speak of.

Real weights, a camera's folder and a broker have stand-ins here (STAND_INS). What cannot run at all is in NOT_RUN with
its reason. A command that is in neither runs as it is written, and must succeed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from clipspect_models import DEMO_BUNDLE, DEMO_IMAGES
from seeded.weights import write_weights
from support import golden_dense
from support.documented import Block, blocks_of
from support.drawn_studies import write_parts
from support.golden_clip import weights
from support.installed import ROOT

pytestmark = pytest.mark.slow  # one after the other: each block reads what those before it made

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
PATIENCE_S = 900

NOT_RUN = {
    r"make demo": "test_the_first_command_of_the_readme runs it, in a copy",
    r"make test": "it runs the tests, of which this is one",
    r"pip install \.\[tensorrt\]": "NVIDIA's wheels come from NVIDIA's own index",
}


@dataclass(frozen=True)
class Place:
    """The folder that commands run in, and one for what stands in for other things."""

    folder: Path
    aside: Path

    def run(self, *words: object, cwd: Path | None = None) -> None:
        done = subprocess.run(
            [str(word) for word in words],
            cwd=cwd or self.folder,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(map(str, words))}: status {done.returncode}\n{done.stdout}"


def _install(place: Place, words: list[str]) -> None:
    """Find every package of the extra, without downloading them."""
    place.run("uv", "pip", "install", "--quiet", "--dry-run", "--python", sys.executable, *words[2:], cwd=ROOT)


def _export_winclip(place: Place, words: list[str]) -> None:
    """The demo's weights instead of the published ones."""
    demo = DEMO_BUNDLE.with_name("demo.safetensors")
    if "--weights" in words:
        shutil.copyfile(demo, place.folder / words[words.index("--weights") + 1])
    else:
        words = [*words, "--weights", str(demo)]
    place.run(*words, "--backbone", demo.with_suffix(".json"))


def _export_dense(place: Place, words: list[str]) -> None:
    """The golden CLIP and checkpoint instead of the published ones."""
    method = words[2]
    sizes = golden_dense.APRILGAN if method == "aprilgan" else golden_dense.ANOMALYCLIP
    file = write_weights(place.aside / f"{method}.safetensors", weights(sizes, golden_dense.SEEDS[method]))
    config = golden_dense.write_config(place.aside / f"{method}.json", method)
    shutil.copyfile(golden_dense.TRAINED[method], place.folder / words[words.index("--checkpoint") + 1])
    place.run(*words, "--weights", file, "--backbone", config)


def _watch(place: Place, words: list[str]) -> None:
    """A folder of ours instead of /srv, and no broker, which watch must bear; it runs until every image is judged."""
    line = place.aside / "line1"
    shutil.copytree(place.folder / "photos", line / "camera")
    password = place.aside / "mqtt"
    password.write_text("secret\n")
    password.chmod(0o600)
    near = {"/srv/line1": str(line), "/etc/clipspect/mqtt": str(password), "@broker/": "@localhost:1/"}
    for there, here in near.items():
        words = [word.replace(there, here) for word in words]
    images = len(list((line / "camera").iterdir()))
    log = Path(words[words.index("--out") + 1]) / "results.jsonl"
    program = Path(sys.executable).with_name(words[0])
    with (place.aside / "watch.stderr").open("wb") as errors:
        watching = subprocess.Popen([program, *words[1:]], cwd=place.folder, stderr=errors)
    try:
        end = time.monotonic() + PATIENCE_S
        while not log.exists() or log.read_bytes().count(b"\n") < images:
            assert watching.poll() is None, (place.aside / "watch.stderr").read_text()
            assert time.monotonic() < end
            time.sleep(0.2)
        watching.send_signal(signal.SIGTERM)
        assert watching.wait(PATIENCE_S) == 0
    finally:
        watching.kill()
        watching.wait()


def _audit(place: Place, words: list[str]) -> None:
    place.run(*(word.replace("/srv/line1", str(place.aside / "line1")) for word in words))


def _calibrate(place: Place, words: list[str]) -> None:
    """There are four good parts here: whatever can be promised of them, if anything is to be written."""
    few = ["--anyway"] if "--good" in words and "--anyway" not in words else []
    place.run(*(word.replace(r"part(\d+)", r"twill-(\w+)") for word in words), *few)


def _advise(place: Place, words: list[str]) -> None:
    """There are four good parts here, and six are needed; one number of references is enough to see it run."""
    good = place.aside / "good"
    good.mkdir()
    for picture in sorted(DEMO_IMAGES.glob("*-good.jpg")):
        shutil.copyfile(picture, good / picture.name)
    place.run(*(str(good) if word == "good/" else word for word in words), "--shots", "1", "--precision", "fp32")


STAND_INS: dict[str, Callable[[Place, list[str]], None]] = {
    r"pip install \.\[": _install,
    r"clipspect export winclip ": _export_winclip,
    r"clipspect export (anomalyclip|aprilgan|crane) ": _export_dense,
    r"clipspect watch /srv": _watch,
    r"clipspect calibrate parts.bundle nut --good": _calibrate,
    r"clipspect audit /srv": _audit,
    r"clipspect advise good/": _advise,
}


SETS = ("photos", "twill-*.jpg"), ("lot", "twill-*.jpg"), ("good", "twill-*-good.jpg"), ("defective", "gear-????.jpg")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """With part.png, photos/, good/, lot/ and the parts of a study: what the pages' commands read."""
    place = Place(tmp_path_factory.mktemp("readme"), tmp_path_factory.mktemp("aside"))
    shutil.copyfile(DEMO_IMAGES / "gear-fibre-mask.png", place.folder / "part.png")
    for name, pattern in SETS:
        (place.folder / name).mkdir()
        for picture in sorted(DEMO_IMAGES.glob(pattern))[:4]:
            shutil.copyfile(picture, place.folder / name / picture.name)
    scores = 0.2, 0.21
    write_parts(place.folder / "study", {"good/part 01": scores, "defect/part 17": scores})
    write_parts(place.folder / "parts", {"part 01": scores, "part 17": scores})
    (place.folder / "labels.csv").write_text("part,label\npart 01,good\npart 17,defect\n")
    assert len(list((place.folder / "photos").iterdir())) >= 2
    assert len(list((place.folder / "good").iterdir())) >= 2
    return place


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_of_the_pages_runs(block: Block, place: Place) -> None:
    if block.language == "python":
        place.run(sys.executable, "-c", block.text)
        return
    for words in block.commands():
        line = " ".join(words)
        if _first(NOT_RUN, line) is None:
            (_first(STAND_INS, line) or _as_written)(place, words)


def test_nothing_is_excused_that_the_pages_do_not_say() -> None:
    lines = [" ".join(words) for block in BLOCKS if block.language == "sh" for words in block.commands()]
    assert lines
    for pattern in (*NOT_RUN, *STAND_INS):
        assert any(re.match(pattern, line) for line in lines), f"{pattern}: no page has such a command any more"


def test_a_command_that_cannot_run_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="status 1"):
        _as_written(Place(tmp_path, tmp_path), ["clipspect", "info", "nothing.bundle"])


def test_the_first_command_of_the_readme_makes_an_environment_under_190_mb(tmp_path: Path) -> None:
    copy = tmp_path / "clone"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    Place(copy, tmp_path).run("make", "demo", f"PYTHON={sys.executable}")
    assert (copy / "clipspect-demo" / "index.html").is_file()
    files = [path for path in (copy / ".venv-demo").rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < 190e6


def _as_written(place: Place, words: list[str]) -> None:
    place.run(*words)


def _first(table: dict[str, object], line: str) -> object:
    return next((value for pattern, value in table.items() if re.match(pattern, line)), None)
