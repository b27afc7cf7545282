"""What must hold of what commands wrote that were killed and started again: whole, once, and nothing besides."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path

from PIL import Image

from clipspect.base.files import sha256_of
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import MANIFEST
from clipspect.line.audit import audit
from clipspect.line.feedback import answers_of
from clipspect.recipes.recipe import read_recipe
from clipspect.recipes.shelf import open_recipe, recipe_names
from clipspect.sinks.records import lines_of, read_records
from support.kserve import read_config
from support.watched import grey_png


class FaultError(Exception):
    """What a kill has shown."""


def require(good: object, text: str) -> None:
    if not good:
        raise FaultError(text)


def names(place: Path) -> list[str]:
    """Of all that is there, and of the place for temporary files."""
    return sorted(str(path) for root in (place, Path(tempfile.gettempdir())) for path in root.rglob("*"))


def require_readable(place: Path) -> None:
    """Every file that has its final name is whole; of a log that is written, all but its last line."""
    for path in sorted(place.rglob("*")):
        if path.name.startswith(".") or any(part.startswith(".clipspect-") for part in path.parts):
            continue
        try:
            if path.name.endswith(".safetensors") and path.parent.name in {"recipes", "own"} and not is_old(path):
                read_recipe(path)
            elif path.name == MANIFEST and json.loads(path.read_bytes())["schema_version"] == 2:
                Bundle.open(path.parent)
            elif path.suffix == ".json":
                json.loads(path.read_bytes().rstrip(b"\0") or b"{}")
            elif path.name == "config.pbtxt":
                read_config(path.parent)
            elif path.suffix == ".sig":
                require(path.stat().st_size == 64, "cut short")
            elif path.suffix == ".html":
                require(path.read_text().rstrip().endswith("</html>"), "cut short")
            elif path.suffix in {".jpg", ".png"} and place / "camera" not in path.parents:
                Image.open(path).load()
            elif path.name == "results.jsonl" and path.stat().st_size:
                whole = [line for line in lines_of(path) if line.whole]
                require(all(json.loads(line.content) for line in whole), "a line is not readable")
        except Exception as error:
            raise FaultError(f"{path}: not readable after the kill: {error}") from error


def is_old(path: Path) -> bool:
    """Whether a recipe is of a bundle that is not converted yet."""
    manifest = path.parents[1] / MANIFEST
    return manifest.exists() and json.loads(manifest.read_bytes())["schema_version"] == 1


def require_nothing_left(place: Path) -> None:
    left = [name for name in names(place) if "/.clipspect-" in name or name.endswith((".partial", ".copying"))]
    require(not left, f"left behind after the next start: {left}")


def whole_run(out: Path, parts: int) -> None:
    require(audit([out / "results.jsonl"]).whole, "the chain of results.jsonl is broken")
    require(len(list(read_records(out / "results.jsonl"))) == parts, "results.jsonl: other than a line an image")
    require(len((out / "results.csv").read_text().splitlines()) == parts + 1, "results.csv: other than a row an image")
    require(len(list((out / "overlays").iterdir())) == parts, "overlays: other than one an image")


def is_signed(place: Path) -> None:
    bundle = Bundle.open(place / "full.bundle", require_signature=place / "key.public.pem")
    for name in recipe_names(bundle):
        open_recipe(bundle, name)


def whole_repository(place: Path) -> None:
    models = sorted(path for path in (place / "out-triton").iterdir())
    require(len(models) == 3 * len(Bundle.open(place / "full.bundle").manifest.graphs), f"other models: {models}")
    for model in models:
        read_config(model)
        require(any(path.is_file() for path in model.glob("*/*")), f"{model}: no file")


def one_engine(place: Path) -> None:
    (document,), engines = (place / "cache/tensorrt").glob("*.json"), [*(place / "cache/tensorrt").glob("*.engine")]
    require(len(engines) == 1, f"other than one engine: {engines}")
    said = json.loads(document.read_text())
    require(said["engine"]["sha256"] == sha256_of(document.with_name(said["file"])), f"{document}: of another engine")


def one_answer(log: Path) -> None:
    require(len(answers_of(log)) == 1, "other than one answer")


def whole_eval(place: Path) -> None:
    found = [json.loads(line) for line in (place / "out-eval/images.jsonl").read_text().splitlines()]
    images = [row["image"] for row in found]
    expected = len(list((place / "dataset/screw/test").rglob("*.png")))
    require(len(images) == len(set(images)) == expected, f"eval: {len(images)} rows of {expected} images")


def opens(bundle: Path) -> None:
    Bundle.open(bundle)


def rows(out: Path) -> int:
    log = out / "results.jsonl"
    return sum(line.whole for line in lines_of(log)) if log.exists() else 0


def whole_watch(place: Path, out: Path, count: int) -> None:
    records = list(read_records(out / "results.jsonl"))
    require(audit([out / "results.jsonl"]).whole, "the chain is broken")
    seen = Counter(record.item.name for record in records)
    require(len(seen) == count and set(seen.values()) == {1}, f"lost or doubled: {seen}")
    for record in records:
        name = Path(record.item.name).name
        require((out / record.files["sorted"]).read_bytes() == grey_png(int(Path(name).stem)), f"{name}: not sorted")
        require((out / record.files["overlay"]).exists(), f"{name}: no overlay")
    kept = [path for path in out.rglob("*") if path.is_file() and path.suffix in {".png", ".jpg"}]
    require(len(kept) == 2 * count, f"{len(kept)} pictures of {count} images")
