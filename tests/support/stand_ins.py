"""What stands in for weights, cameras, folders and servers where the pages' commands are run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clipspect_models import DEMO_BUNDLE, DEMO_IMAGES
from seeded.weights import write_weights
from support import golden_dense
from support.documented import fences_of
from support.drawn_video import write_video
from support.golden_clip import weights
from support.installed import ROOT
from support.kserve import Server

PATIENCE_S = 900


@dataclass(frozen=True)
class Place:
    """The folder that commands run in, and one for what stands in for other things."""

    folder: Path
    aside: Path

    def run(self, *words: object, cwd: Path | None = None, status: int = 0, said: str = "") -> None:
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
        assert done.returncode == status, f"{' '.join(map(str, words))}: status {done.returncode}\n{done.stdout}"
        assert said in done.stdout


def _install(place: Place, words: list[str]) -> None:
    """Find every package of the extra, without downloading them."""
    place.run("uv", "pip", "install", "--quiet", "--dry-run", "--python", sys.executable, *words[2:], cwd=ROOT)


def _export_winclip(place: Place, words: list[str]) -> None:
    """The demo's weights instead of the published ones, over a bundle that a page before may have made."""
    out = words[words.index("--out") + 1] if "--out" in words else "winclip.bundle"
    shutil.rmtree(place.folder / out, ignore_errors=True)
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


def _camera(place: Place, words: list[str]) -> None:
    """A short video instead of a camera."""
    write_video(place.folder / "camera.mp4", 8)
    place.run(*("camera.mp4" if word == "camera:0" else word for word in words))


def _watch(place: Place, words: list[str]) -> None:
    """A folder of ours instead of /srv, and no broker, which watch must bear; it runs until every image is judged."""
    line = place.aside / "line1"
    shutil.rmtree(line, ignore_errors=True)
    shutil.copytree(place.folder / "photos", line / "camera")
    words = [word.replace("/etc/clipspect/mqtt", str(_password(place))) for word in _near(place, words)]
    images = len(list((line / "camera").iterdir()))
    _until_logged(place, words, {Path(words[words.index("--out") + 1]) / "results.jsonl": images})


def _line(place: Place, words: list[str]) -> None:
    """The page's own file, with folders of ours instead of /srv, a video instead of a camera, and no broker."""
    (block,) = (block for block in fences_of(ROOT / "docs" / "line.md") if block.language == "toml")
    line = place.aside / "line1"
    shutil.rmtree(line, ignore_errors=True)
    shutil.copytree(place.folder / "photos", line / "top")
    shutil.copytree(place.folder / "parts.bundle", line / "parts.bundle")
    for recipe in ("metal nut", "left nut", "washer"):
        place.run("clipspect", "recipe", line / "parts.bundle", recipe)
    (text,) = _near(place, [block.text])
    text = text.replace("rtsp://10.0.0.12/stream", str(write_video(place.aside / "side.mp4", 8)))
    text = text.replace("mqtt://clipspect@broker.plant.local/", "mqtt://clipspect@localhost:1/")
    text = text.replace("/etc/clipspect/broker-password", str(_password(place)))
    (place.folder / "line1.toml").write_text(text)
    if "--check" in words:
        place.run(*words, status=1, said="localhost:1")  # everything is there but the broker
        return
    images = len(list((line / "top").iterdir()))
    logs = {"top": images, "side": 8}
    _until_logged(place, words, {line / "inspected" / name / "results.jsonl": count for name, count in logs.items()})


def _near(place: Place, words: list[str]) -> list[str]:
    """With what is on this machine instead of what is on the reader's."""
    near = {"/srv/line1": str(place.aside / "line1"), "@broker/": "@localhost:1/"}
    for there, here in near.items():
        words = [word.replace(there, here) for word in words]
    return words


def _password(place: Place) -> Path:
    password = place.aside / "mqtt"
    password.write_text("secret\n")
    password.chmod(0o600)
    return password


def _until_logged(place: Place, words: list[str], logs: dict[Path, int]) -> None:
    """Run a command that runs for ever until each log has so many lines, and end it as systemd does."""
    program = Path(sys.executable).with_name(words[0])
    with (place.aside / "stderr").open("wb") as errors:
        running = subprocess.Popen([program, *words[1:]], cwd=place.folder, stderr=errors)
    try:
        end = time.monotonic() + PATIENCE_S
        while any(not log.exists() or log.read_bytes().count(b"\n") < count for log, count in logs.items()):
            assert running.poll() is None, (place.aside / "stderr").read_text()
            assert time.monotonic() < end
            time.sleep(0.2)
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE_S) == 0
    finally:
        running.kill()
        running.wait()


def _audit(place: Place, words: list[str]) -> None:
    place.run(*_near(place, words))


def _audit_parts(place: Place, words: list[str]) -> None:
    """The log of a run before, with its own digests, and divided as a log is that was rotated."""
    first, *others = (place.folder / "results" / "results.jsonl").read_text().splitlines(keepends=True)
    (place.folder / "archive").mkdir(exist_ok=True)
    (place.folder / "archive" / "results-1.jsonl").write_text(first)
    rest = place.aside / "rest.jsonl"
    rest.write_text("".join(others))
    last = json.loads((first, *others)[-1])["chain"]["digest"]
    if "--expect" in words:
        place.run(*words[:-1], last)
    elif "--after" in words:
        place.run(*words[:2], rest, "--after", json.loads(first)["chain"]["digest"])
    else:
        place.run(*words[:2], "archive/results-1.jsonl", rest)


def _feedback(place: Place, words: list[str]) -> None:
    """A log of a run with the page's recipe, whose limits good parts gave, and an id of it."""
    log = place.folder / "out" / "results.jsonl"
    if not log.exists():
        place.run("clipspect", "calibrate", "parts.bundle", "nut", "--good", "good/", "--anyway")
        place.run("clipspect", "run", "parts.bundle", "photos/", "--recipe", "nut", "--out", "out/")
    records = [json.loads(line) for line in log.read_text().splitlines()]
    calibrated = {picture.name for picture in (place.folder / "good").iterdir()}  # answers to these do not count
    answered = next(record["id"] for record in records if Path(record["item"]["name"]).name not in calibrated)
    place.run(*(answered if word.endswith("...") else word for word in words))


def _roi(place: Place, words: list[str]) -> None:
    """In a copy: the pages that follow judge whole frames."""
    if not (place.folder / "roi.bundle").exists():
        shutil.copytree(place.folder / "nuts.bundle", place.folder / "roi.bundle")
    place.run(*("roi.bundle" if word == "nuts.bundle" else word for word in words))


def _bf16(place: Place, words: list[str]) -> None:
    """Where the processor computes it."""
    said = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout
    if "avx512_bf16" in said or "amx_bf16" in said:
        place.run(*words)


def _teach_in_tiles(place: Place, words: list[str]) -> None:
    """Large frames instead of the small ones of good/."""
    place.run(*("frames/" if word == "good/" else word for word in words))


def _served(place: Place, words: list[str]) -> None:
    """The small server of the tests, over the repository that the page has written."""
    with Server(place.folder / "models") as server:
        place.run(*(word.replace("grpc://server:8001", server.url) for word in words))


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
    r"pip install ": _install,
    r"clipspect export winclip ": _export_winclip,
    r"clipspect export (anomalyclip|aprilgan|crane) ": _export_dense,
    r"clipspect run winclip.bundle camera:0": _camera,
    r"clipspect watch /srv": _watch,
    r"clipspect line ": _line,
    r"clipspect calibrate parts.bundle nut --good": _calibrate,
    r"clipspect audit /srv": _audit,
    r"clipspect audit .*(--expect|--after|archive/)": _audit_parts,
    r"clipspect advise good/": _advise,
    r"clipspect (feedback|learn) ": _feedback,
    r"clipspect roi ": _roi,
    r"clipspect run .* --backend triton": _served,
    r"clipspect .*bf16": _bf16,
    r"clipspect teach .* --tile": _teach_in_tiles,
}
