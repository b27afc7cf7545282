"""Each method at full size on seeded weights, beside what a user would run instead: `make bench-methods`.

It takes twenty minutes once anomalib is installed. Contenders stand in their own environments and take turns on one
image; all that compute in fp32 must agree. Then `clipspect bench` measures each of our engines alone.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import contest
import numpy as np
import pytest
import torch
from contest import Contender, here
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

from clipspect.bundle.bundle import Bundle
from clipspect.engines.graph import BF16
from clipspect_export.check.answers import check_images
from clipspect_lab.benchmark.measure import measure
from seeded.dino import SMALL, dino_weights
from seeded.published import SEED, WINCLIP, write_checkpoint, write_seeded
from seeded.weights import clip_weights, write_weights

WORK = Path(__file__).parents[1] / "work" / "bench"
PEER = Path(__file__).parents[1] / ".venv-peer" / "bin" / "python"  # anomalib with its own pins: make bench installs it
OBJECT = "metal nut"
ROUNDS = {"winclip": 7, "anomalyclip": 5, "aprilgan": 5}
OWN_RUNS = {"winclip": 20, "anomalyclip": 5, "aprilgan": 5}  # of each engine alone: percentiles, GEMM share, stream
ENGINES = {  # our rows: the name, the backend and its options
    "onnxruntime fp32": ("onnxruntime",),
    "openvino fp32": ("openvino",),
    "openvino bf16": ("openvino", "precision=bf16"),
    "onnxruntime int8": ("onnxruntime", "precision=int8"),
    "openvino int8": ("openvino", "precision=int8"),
}
# Against the eager peer, what is promised for two threads: of engines in fp32, and of the fastest in a precision whose
# record at export passed.
TIMES_AS_FAST = {"winclip": {"onnxruntime fp32": 1.8, "openvino fp32": 2.5}, "anomalyclip": {"openvino fp32": 2.0}}
FASTEST_TIMES_AS_FAST = {"winclip": 5.0, "anomalyclip": 4.0}
# A memory with one reference against WinCLIP: in the same engine in fp32, and its fastest precision that passed.
MEMORY_TIMES_AS_FAST, MEMORY_IN_BF16, MEMORY_WITHOUT_BF16 = 8.0, 14.0, 9.0
MEMORY_MB = 400


def seeded_weights(method: str) -> Path:
    """Weights of the published size, drawn once."""
    path = WORK / f"{'winclip' if method == 'winclip' else 'dense'}.safetensors"
    if not path.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        write_seeded(path, method)
    return path


def exported(method: str) -> Bundle:
    """The method's bundle, exported once by the command line."""
    out = WORK / f"{method}.bundle"
    if not out.exists():
        command = [sys.executable, "-m", "clipspect", "export", method, "--out", str(out)]
        command += ["--weights", str(seeded_weights(method)), "--int8"]
        if (trained := write_checkpoint(WORK, method)) is not None:
            command += ["--checkpoint", str(trained)]
        if method != "anomalyclip":
            command += ["--object", OBJECT, "--few-shot"]
        subprocess.run(command, check=True)
    return Bundle.open(out)


def contenders(method: str, bundle: Bundle, image: Path) -> list[Contender]:
    """The peer first: it is what the others are compared with."""
    weights = seeded_weights(method)
    trained = write_checkpoint(WORK, method)
    arguments = [method, bundle.path, weights, image, contest.THREADS, *([trained] if trained else [])]
    peers = [Contender("eager torch", here(), "eager.py", arguments)]
    if method == "winclip":
        if not PEER.exists():
            pytest.fail(f"{PEER} is missing: run `make bench-methods`, which installs anomalib with its own pins there")
        saved = WORK / "winclip.pt"
        if not saved.exists():
            arrays = clip_weights(SEED, **WINCLIP)
            torch.save({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}, saved)
        peer = [saved, image, OBJECT, contest.THREADS]
        peers = [
            Contender("anomalib eager", PEER, "anomalib_winclip.py", peer),
            Contender("anomalib torch.compile", PEER, "anomalib_winclip.py", [*peer, "--compile"]),
        ]
    ours = [
        Contender(
            name, here(), "ours.py", [bundle.path, image, *engine, f"threads={contest.THREADS}"], exact="fp32" in name
        )
        for name, engine in ENGINES.items()
    ]
    return peers + ours


@pytest.mark.parametrize("method", ROUNDS)
def bench_method_beside_its_peer(benchmark: BenchmarkFixture, method: str) -> None:
    bundle = exported(method)
    image = WORK / f"{method}.npy"
    np.save(image, check_images(bundle.manifest.image.height, width=bundle.manifest.image.width)[0])
    with ExitStack() as stack:
        running = [stack.enter_context(item) for item in contenders(method, bundle, image)]
        contest.require_agreement(running)
        benchmark.pedantic(contest.one_round, args=(running,), rounds=ROUNDS[method])
        rows = [item.row() for item in running]
    peer = rows[0]["p50_ms"]
    for row in rows:
        row["times_as_fast"] = peer / row["p50_ms"]
    own = measure(bundle.path, runs=OWN_RUNS[method], options={"threads": contest.THREADS})
    benchmark.extra_info.update(
        method=method,
        gflop=bundle.manifest.first_graph.flops / 1e9,
        threads=contest.THREADS,
        rows=rows,
        own=dataclasses.asdict(own),
    )
    require_promises(method, rows, {record.name for record in bundle.manifest.precisions if record.passed})


def memory_bundle() -> Bundle:
    """AnomalyDINO over seeded S/14, exported once, with a recipe of one photograph."""
    out = WORK / "anomalydino.bundle"
    if not out.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        weights = write_weights(WORK / "dino.safetensors", dino_weights(SEED, **SMALL))
        photo = WORK / "reference.png"
        Image.fromarray(check_images(448, 3)[-1]).save(photo)
        command = [sys.executable, "-m", "clipspect"]
        export = ["export", "anomalydino", "--weights", str(weights), "--int8", "--out", str(out)]
        subprocess.run([*command, *export], check=True)
        subprocess.run([*command, "recipe", str(out), OBJECT, "--references", str(photo)], check=True)
    return Bundle.open(out)


def bench_memory_beside_winclip(benchmark: BenchmarkFixture) -> None:
    """One reference, in the same engines and in one run: what a memory saves."""
    bundles = {"WinCLIP": exported("winclip"), "memory": memory_bundle()}
    running = []
    with ExitStack() as stack:
        for name, bundle in bundles.items():
            image = WORK / f"{name}.npy"
            np.save(image, check_images(bundle.manifest.image.height, width=bundle.manifest.image.width)[0])
            for engine, options in ENGINES.items():
                if name == "memory" or engine.endswith("fp32"):
                    given = [bundle.path, image, *options, f"threads={contest.THREADS}"]
                    item = Contender(f"{name}, {engine}", here(), "ours.py", given, exact=False)
                    running.append(stack.enter_context(item))
        benchmark.pedantic(contest.one_round, args=(running,), rounds=ROUNDS["winclip"])
        rows = [item.row() for item in running]
    times = {row["name"]: row["p50_ms"] for row in rows}
    for row in rows:
        row["times_as_fast"] = times["WinCLIP, openvino fp32"] / row["p50_ms"]
    graph = bundles["memory"].manifest.first_graph
    benchmark.extra_info.update(method="anomalydino", gflop=graph.flops / 1e9, threads=contest.THREADS, rows=rows)
    passed = {record.name for record in bundles["memory"].manifest.precisions if record.passed}
    for engine in ("onnxruntime fp32", "openvino fp32"):
        ratio = times[f"WinCLIP, {engine}"] / times[f"memory, {engine}"]
        assert ratio >= MEMORY_TIMES_AS_FAST, f"{engine}: {ratio:.2f} times as fast as WinCLIP"
    fastest = max(row["times_as_fast"] for row in rows if row["name"].split()[-1] in {"fp32", *passed})
    assert fastest >= (MEMORY_IN_BF16 if BF16 in passed else MEMORY_WITHOUT_BF16), f"fastest: {fastest:.2f}"
    assert all(row["peak_mb"] < MEMORY_MB for row in rows if row["name"].startswith("memory"))


def require_promises(method: str, rows: list[dict[str, Any]], passed: set[str]) -> None:
    """What is promised of engines, and of the fastest whose precision passed at export."""
    for row in rows:
        promised = TIMES_AS_FAST.get(method, {}).get(row["name"], 0.0)
        assert row["times_as_fast"] >= promised, f"{row['name']}: {row['times_as_fast']:.2f} times as fast"
    fastest = max((row for row in rows if row["name"].split()[-1] in passed), key=lambda row: row["times_as_fast"])
    promised = FASTEST_TIMES_AS_FAST.get(method, 0.0)
    assert fastest["times_as_fast"] >= promised, f"{fastest['name']}: {fastest['times_as_fast']:.2f} times as fast"
