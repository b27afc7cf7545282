"""Every command of the documentation's pages is run, in the order of their navigation, in a folder that has what they
speak of.

Real weights, a camera, a camera's folder and a broker have stand-ins (tests/support/stand_ins.py). What cannot run at
all is in NOT_RUN with its reason. A command that is in neither runs as it is written, and must succeed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from clipspect_models import DEMO_IMAGES
from support.documented import Block, blocks_of, pages
from support.drawn_studies import write_parts
from support.installed import ROOT
from support.stand_ins import STAND_INS, Place

pytestmark = pytest.mark.slow  # one after the other: each block reads what those before it made

BLOCKS = [block for page in pages() for block in blocks_of(page)]

NOT_RUN = {
    r"make demo": "test_the_first_command_of_the_readme runs it, in a copy",
    r"make test": "it runs the tests, of which this is one",
    r"\. \.venv/bin/activate": "it changes a shell, which ends with its line here",
    r"pip install -e \.\[tensorrt\]": "NVIDIA's wheels come from NVIDIA's own index",
    r"cmake ": "tests/runtime/cpp configures and builds it",
    r"build/cpp/inspect ": "tests/runtime/cpp runs it on many images",
    r"git clone ADDRESS": "the address is the reader's",
    r"runtime/jetson/install.sh": "tests/runtime/jetson runs it, dry, on trees of many machines",
    r"~/clipspect-venv/bin/clipspect ": "it needs an NVIDIA GPU",
    r"docker ": "the images are for a Jetson",
    r"tritonserver ": "tests/runtime/engines/test_tritonserver.py runs a real one",
}


SETS = ("photos", "twill-*.jpg"), ("lot", "twill-*.jpg"), ("good", "twill-*-good.jpg"), ("defective", "gear-????.jpg")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """With the photographs, videos and parts of a study that the pages' commands read."""
    place = Place(tmp_path_factory.mktemp("readme"), tmp_path_factory.mktemp("aside"))
    folder = place.folder
    shutil.copyfile(DEMO_IMAGES / "gear-fibre-mask.png", folder / "part.png")
    for name, pattern in SETS:
        (folder / name).mkdir()
        for picture in sorted(DEMO_IMAGES.glob(pattern))[:4]:
            shutil.copyfile(picture, folder / name / picture.name)
    for name, pattern in (("good", "twill-*-good.jpg"), ("defect", "twill-????.jpg")):
        (folder / "labelled" / name).mkdir(parents=True)
        for picture in sorted(DEMO_IMAGES.glob(pattern))[:3]:
            shutil.copyfile(picture, folder / "labelled" / name / picture.name)
    (folder / "frames").mkdir()
    for picture in sorted((folder / "good").iterdir()):
        Image.open(picture).resize((1200, 1200)).save(folder / "frames" / picture.name)
    outline = Image.new("L", (240, 240))
    ImageDraw.Draw(outline).ellipse((60, 60, 180, 180), fill=255)
    outline.save(folder / "outline.png")
    shutil.copyfile(ROOT / "tests" / "photos" / "bottles.mp4", folder / "line.mp4")
    scores = 0.2, 0.21
    write_parts(folder / "study", {"good/part 01": scores, "defect/part 17": scores})
    write_parts(folder / "parts", {"part 01": scores, "part 17": scores})
    (folder / "labels.csv").write_text("part,label\npart 01,good\npart 17,defect\n")
    assert min(len(list((folder / name).iterdir())) for name in ("photos", "good", "frames")) >= 2
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
