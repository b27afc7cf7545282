"""What each optimisation costs in accuracy, on the demo model: `make cost` writes docs/cost-of-speed.md and .png.

Every step goes on where it stopped: data sets, bundles, evaluations and times lie in --work.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import shutil
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bf16_graph import write_emulated
from cost_report import write_report
from cost_variants import FAMILIES, PRODUCTS, VARIANTS, Variant
from tqdm import tqdm

import clipspect
from clipspect.base.errors import ClipspectError
from clipspect.base.files import sha256_of
from clipspect.bundle.bundle import Bundle
from clipspect.bundle.manifest import write_manifest
from clipspect.cli.progress import ProgressBar
from clipspect.engines.graph import BOTH, FP16, WORDS
from clipspect.recipes.make import make_recipe
from clipspect_export import export_bundle
from clipspect_export.graph.half_graph import emulated
from clipspect_lab.evaluation.evaluate import evaluate
from clipspect_lab.evaluation.report import document
from clipspect_lab.evaluation.request import Request
from clipspect_models import DEMO_BUNDLE
from demo.data_sets import TEXTILES, write_families, write_products, write_textiles
from demo.train import CONFIG

WEIGHTS = CONFIG.with_suffix(".safetensors")
SCALES = (2, 3)
STEPS = ("measure", "time", "report")


def data_sets(folder: Path, each: int, textiles: int) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    sets = {
        FAMILIES: write_families(folder / FAMILIES, each),
        PRODUCTS: write_products(folder / PRODUCTS, each),
    }
    return sets | {f"textiles-{kind}": write_textiles(folder / f"textiles-{kind}", kind, textiles) for kind in TEXTILES}


def bundle_of(variant: Variant, folder: Path) -> Path:
    """The variant's bundle, exported when it is not there. Raises ExportError."""
    path = folder / "bundles" / f"{variant.bundle}.bundle"
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"scales": SCALES, **variant.export}
        export_bundle("winclip", path, backbone=CONFIG, weights=WEIGHTS, objects=["object"], **options)
    return _emulated(path, variant.emulated) if variant.emulated else path


def _emulated(source: Path, precision: str) -> Path:
    """A copy of a bundle whose graph an fp32 engine runs, what is in the precision on rounded values."""
    path = source.with_name(f"{source.stem}-emulated-{precision}.bundle")
    if not path.is_dir():
        partial = path.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial)
        if precision == FP16:
            with emulated(source / "model.onnx") as copy:
                shutil.copyfile(copy, partial / "model.onnx")
        else:
            write_emulated(source / "model.onnx", partial / "model.onnx")
        manifest = dataclasses.replace(Bundle.open(source).manifest, precision="fp32")
        write_manifest(partial, manifest)
        partial.rename(path)
    return path


def measure(sets: dict[str, Path], folder: Path) -> None:
    """Every variant on every data set that it is for; what cannot be run says so in `missing.json`."""
    missing: dict[str, str] = {}
    work = [(name, variant) for name in sets for variant in VARIANTS if name in variant.sets]
    for name, variant in (bar := tqdm(work, unit="evaluation")):
        bar.set_description(f"{name}, {variant.name}")
        out = folder / name / variant.slug
        if variant.name in missing or (out / "results.json").is_file():
            continue
        try:
            with ProgressBar("image") as images:
                found = evaluate(_request(variant, bundle_of(variant, folder), name, sets[name]), out, images)
            (out / "results.json").write_text(json.dumps(document(found), indent=1) + "\n")
        except ClipspectError as error:
            missing[variant.name] = str(error)
            tqdm.write(f"{variant.name}: {error}")
    (folder / "missing.json").write_text(json.dumps(missing, indent=1) + "\n")


def _request(variant: Variant, bundle: Path, name: str, dataset: Path) -> Request:
    return Request(
        bundle=str(bundle),
        dataset=dataset,
        layout="folder" if name.startswith("textiles") else "mvtec",
        backend=variant.backend,
        options=variant.options,
        shots=variant.shots,
    )


def take_times(sets: dict[str, Path], folder: Path, rounds: int) -> None:
    """All variants in turns on one picture, so that whatever else the machine does meets them alike."""
    picture = next((sets[PRODUCTS] / "gear/test/good").glob("*.png"))
    references = sorted((sets[PRODUCTS] / "gear/train/good").glob("*.png"))
    took: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        contenders = {}
        for variant in tqdm(VARIANTS, desc="loading", leave=False):
            with contextlib.suppress(ClipspectError):  # `measure` has said why
                contenders[variant.name] = stack.enter_context(_loaded(variant, folder, references))
        for number in tqdm(range(rounds + 1), desc="times", unit="round", leave=False):
            for name, inspect in contenders.items():
                milliseconds = inspect(picture)
                if number:  # the first is a warm-up
                    took.setdefault(name, []).append(milliseconds)
    rows = {
        variant.name: {
            "median_ms": statistics.median(took[variant.name]),
            "ratio": statistics.median(own / base for own, base in zip(took[variant.name], took["default"])),
            "gflop": _graph(variant, folder).flops / 1e9,
        }
        for variant in VARIANTS
        if variant.name in took
    }
    (folder / "times.json").write_text(json.dumps({"rounds": rounds, "rows": rows}, indent=1) + "\n")


@contextlib.contextmanager
def _loaded(variant: Variant, folder: Path, references: list[Path]) -> Iterator[Callable[[Path], float]]:
    """What inspects a picture and says how long the engine took, in ms. Raises ClipspectError."""
    bundle, recipe = Bundle.open(bundle_of(variant, folder)), None
    if variant.shots:
        photos = references[: variant.shots]
        options = {"backend": variant.backend, **variant.options}
        recipe = make_recipe(bundle, "object", like="object", references=photos, **options)
    with clipspect.load(bundle.path, recipe, variant.backend, **variant.options) as inspector:
        yield lambda picture: inspector.inspect(picture).timings.infer


def _graph(variant: Variant, folder: Path) -> Any:
    return Bundle.open(bundle_of(variant, folder)).manifest.graphs[BOTH if variant.shots else WORDS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", metavar="STEP", nargs="*", choices=[*STEPS, []], help=f"{', '.join(STEPS)}; all")
    parser.add_argument("--work", type=Path, default=Path("work/cost"))
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--each", type=int, default=10, help="pictures of every family and kind of defect")
    parser.add_argument("--textiles", type=int, default=80, help="textiles of every kind")
    parser.add_argument("--rounds", type=int, default=21, help="of taking times")
    args = parser.parse_args()
    steps = args.steps or STEPS
    encoder = Bundle.open(DEMO_BUNDLE).manifest.backbone.weights.encoder_sha256
    folder = args.work / sha256_of(WEIGHTS)[:12]  # another model starts anew
    sets = data_sets(args.work / f"data-{args.each}-{args.textiles}", args.each, args.textiles)
    if "measure" in steps:
        measure(sets, folder)
    if "time" in steps:
        take_times(sets, folder, args.rounds)
    if "report" in steps:
        write_report(folder, args.out, encoder)


if __name__ == "__main__":
    main()
