"""Everything that only a GPU can show, in one file of results: `make bench-gpu`, on a machine that has one.

Each bundle goes through every way to the GPU: compiled where it must be, verified against torch's stored answers, then
timed. The bundles are the demo's and all methods at full size on seeded weights, in fp32 and fp16, exported here.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipspect.base.errors import BackendError, ClipspectError
from clipspect.bundle.bundle import Bundle
from clipspect.host.machine import read_machine
from clipspect.inspection.verify import Verification, verify
from clipspect.recipes.compile import compile_bundle
from clipspect_lab.benchmark.measure import measure

WORK = Path(__file__).parents[1] / "work" / "bench"
METHODS = ("winclip", "anomalyclip", "aprilgan")
PRECISIONS = ("fp32", "fp16")
BATCHES = (1, 4)
SECONDS = 10.0  # of runs, for each batch


@dataclass(frozen=True)
class Way:
    """An engine and how it is opened."""

    backend: str
    options: dict[str, Any] = field(default_factory=dict)
    exact: bool = True  # whether it must compute what was exported; tf32 need not, and how far off it is stands there

    @property
    def compiled(self) -> bool:
        return self.backend == "tensorrt"


WAYS = (
    Way("onnxruntime", {"device": "cuda"}),
    Way("onnxruntime", {"device": "cuda", "cuda_graph": True}),
    Way("onnxruntime", {"device": "tensorrt"}),
    Way("tensorrt"),
    Way("tensorrt", {"cuda_graph": True}),
    Way("tensorrt", {"precision": "tf32"}, exact=False),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WORK / "gpu.json", help="the file of results")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=METHODS, help="beside the demo bundle")
    args = parser.parse_args()
    try:
        gpu = require_gpu()
    except BackendError as error:
        print(f"bench-gpu: {error}: run it on a machine with one", file=sys.stderr)
        return 1
    paths = [exported(method, precision) for method in args.methods for precision in PRECISIONS]
    results = examine([Bundle.open(path) for path in ("demo", *paths)], WAYS, SECONDS)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    document = {"gpu": gpu, "machine": dataclasses.asdict(read_machine()), "results": results}
    args.out.write_text(json.dumps(document, indent=2) + "\n")
    print(f"{args.out}: {len(results)} results")
    found = list(faults(results))
    for fault in found:
        print(f"bench-gpu: {fault}", file=sys.stderr)
    return 1 if found else 0


def require_gpu() -> dict[str, str]:
    """The GPU's name, compute capability and driver. Raises BackendError where there is none."""
    try:
        from clipspect.engines.tensorrt import cuda
    except ImportError as error:
        raise BackendError(f"no NVIDIA GPU can be used here ({error}: pip install cuda-bindings)") from error
    return dataclasses.asdict(cuda.device())


def exported(method: str, precision: str) -> Path:
    """The bundle of a method at full size, exported once."""
    out = WORK / f"{method}-{precision}.bundle"
    if not out.exists():
        from bench_methods import OBJECT, seeded_weights

        from seeded.published import write_checkpoint

        command = [sys.executable, "-m", "clipspect", "export", method, "--out", str(out), "--precision", precision]
        command += ["--weights", str(seeded_weights(method))]
        if (trained := write_checkpoint(WORK, method)) is not None:
            command += ["--checkpoint", str(trained)]
        if method != "anomalyclip":
            command += ["--object", OBJECT, "--few-shot"]
        if precision != "fp32":  # accuracy means nothing on seeded weights
            command += ["--force-precision"]
        subprocess.run(command, check=True)
    return out


def examine(bundles: Iterable[Bundle], ways: Sequence[Way], seconds: float) -> list[dict[str, Any]]:
    """A result for each bundle and way; what was refused says why, and the others go on."""
    results = []
    for bundle in bundles:
        for way in ways:
            if way.options.get("precision") == "tf32" and bundle.manifest.precision != "fp32":
                continue
            known = {"bundle": bundle.path.name, "precision": bundle.manifest.precision, **dataclasses.asdict(way)}
            print(f"{known['bundle']}: {way.backend} {way.options}", flush=True)
            try:
                results.append({**known, **_result(bundle, way, seconds), "refused": None})
            except ClipspectError as error:
                results.append({**known, "refused": str(error)})
    return results


def faults(results: Sequence[dict[str, Any]]) -> list[str]:
    """What makes the run a failure: an engine that does not compute what was exported, or that was refused."""
    found = [
        f"{result['bundle']}: {result['verification']['verdict']}"
        for result in results
        if result["refused"] is None and result["exact"] and not result["verification"]["passed"]
    ]
    refused = {str(result["refused"]) for result in results if result["refused"] is not None}
    return found + [f"refused: {reason}" for reason in sorted(refused)]


def _result(bundle: Bundle, way: Way, seconds: float) -> dict[str, Any]:
    build_seconds: dict[str, float] = {}
    if way.compiled:
        own = {name: value for name, value in way.options.items() if name == "precision"}
        engines = compile_bundle(bundle, way.backend, batch=max(BATCHES), **own)
        build_seconds = {engine.graph: engine.engine.build_seconds for engine in engines}
    verification = verify(bundle, way.backend, **way.options)
    reports = []
    for batch in BATCHES:
        options = {**way.options, **({"batch": batch} if way.options.get("device") == "tensorrt" else {})}
        reports.append(measure(bundle.path, None, [way.backend], batch=batch, seconds=seconds, options=options))
    return {
        "build_seconds": build_seconds,
        "verification": _as_json(verification),
        "rows": [dataclasses.asdict(row) for report in reports for row in report.rows],
    }


def _as_json(verification: Verification) -> dict[str, Any]:
    """JSON has no infinity: a difference that is infinite is null."""
    comparisons = [
        {name: None if value == math.inf else value for name, value in dataclasses.asdict(comparison).items()}
        for comparison in verification.comparisons
    ]
    words = {"passed": verification.passed, "verdict": verification.verdict}
    return {**dataclasses.asdict(verification), "comparisons": comparisons, **words}


if __name__ == "__main__":
    sys.exit(main())
