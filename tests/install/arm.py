"""`make arm`: the runtime and the C++ example on real aarch64 binaries, under emulation (root; an hour the first time).

The wheel is installed into userlands of the distribution with ARM's wheels of the engines. There the demo is verified,
the tests of tests/install/box run, and the C++ example is compiled and compared with Python on this machine.
Emulation proves packaging, arithmetic and decoding on ARM; it says nothing about speed.

JetPack 6 is Ubuntu 22.04 with Python 3.10, JetPack 7 Ubuntu 24.04 with 3.12: give `--ubuntu MIRROR` (of Ubuntu's ports)
to have these. Without it the releases of Debian with the nearest Python stand in for them, and the output says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

import clipspect
from clipspect_models import DEMO_BUNDLE, DEMO_IMAGES
from support.emulated import SITE, Userland, register
from support.installed import BOX, ROOT, CommandError, build_wheel, make_bundle

BUILD = ROOT / "build" / "arm"
STAND_INS = [("bookworm", "3.11", "Debian 12, for JetPack 6's"), ("trixie", "3.13", "Debian 13, for JetPack 7's")]
UBUNTU = [("jammy", "3.10", "Ubuntu 22.04, JetPack 6's"), ("noble", "3.12", "Ubuntu 24.04, JetPack 7's")]
EXTRAS = "cpu,openvino,text,mqtt"
TESTS = "pytest>=8,<10"
PICTURES = ("twill-burn.jpg", "gear-chip-good.jpg")
TOLERANCE = 1e-4  # of the C++ example, as in tests/runtime/cpp
PATIENCE_S = 3600  # for one command, where a frame takes 10 to 40 s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ubuntu", metavar="MIRROR", help="where Ubuntu's arm64 packages are")
    parser.add_argument("--suite", nargs="+", help="only these releases")
    parser.add_argument("--again", action="store_true", help="also what has passed with this wheel before")
    parser.add_argument("--engines", default="onnxruntime,openvino", help="default: %(default)s")
    args = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    known = [
        Userland(suite, python, stands_for, BUILD / suite, args.ubuntu)
        for suite, python, stands_for in (UBUNTU if args.ubuntu else STAND_INS)
    ]
    userlands = [userland for userland in known if args.suite is None or userland.suite in args.suite]
    failed = 0
    try:
        register()
        wheel, bundle = build_wheel(BUILD / "wheel"), make_bundle(BUILD / "tiny.bundle")
        if not args.ubuntu:
            print("without --ubuntu, Python 3.10 and 3.12 are not tested on ARM: Debian has neither\n", flush=True)
        for userland in userlands:
            print(f"{userland.suite}: {userland.stands_for} Python {userland.python}", flush=True)
            failed += _test(userland, wheel, bundle, args.engines.split(","), args.again)
    except CommandError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print(f"{len(userlands)} userlands, {failed} steps failed")
    return 0 if userlands and not failed else 1


def _test(userland: Userland, wheel: Path, bundle: Path, engines: list[str], again: bool) -> int:
    """How many steps failed; the others ran."""
    with _step("userland"):
        userland.prepare()
    sources = [wheel, *sorted((ROOT / "runtime" / "cpp").rglob("*.?pp")), *sorted(BOX.glob("*.py"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    with _step("wheels"):
        userland.install(digest, f"clipspect[{EXTRAS}] @ {wheel.as_uri()}", TESTS)
    found = userland.run(
        "python3", "-c", "import platform; print(platform.machine(), platform.python_version())"
    ).strip()
    print(f"  {found}", flush=True)
    if not found.startswith(f"aarch64 {userland.python}."):
        raise CommandError(f"{userland.suite}: expected aarch64 and Python {userland.python}, found {found}")
    steps: dict[str, Callable[[], str]] = {}
    for engine in engines:
        steps[f"verify demo in {engine}"] = partial(_verified, userland, engine)
        steps[f"tests in {engine}"] = partial(_tested, userland, bundle, engine)
    steps["C++ example"] = partial(_compared, userland)
    passed = _Passed(userland.root.with_name(f"{userland.suite}.passed.json"), digest, again)
    failed = 0
    for name, step in steps.items():
        with _step(name):
            try:
                print(f"  {passed.get(name) or passed.put(name, step())}", flush=True)
            except CommandError as error:
                failed += 1
                print(f"  FAILED: {error}", flush=True)
    return failed


class _Passed:
    """What has passed with these sources and this wheel, so that a run that was cut goes on."""

    def __init__(self, path: Path, digest: str, again: bool) -> None:
        self._path, self._digest = path, digest
        found = json.loads(path.read_text()) if path.exists() and not again else {}
        self._said: dict[str, str] = found.get("said", {}) if found.get("digest") == digest else {}

    def get(self, name: str) -> str | None:
        said = self._said.get(name)
        return None if said is None else f"{said} (before)"

    def put(self, name: str, said: str) -> str:
        self._said[name] = said
        self._path.write_text(json.dumps({"digest": self._digest, "said": self._said}, indent=1))
        return said


def _tested(userland: Userland, bundle: Path, engine: str) -> str:
    """Pytest's closing line."""
    userland.copy(BOX, "/opt/box")
    userland.copy(bundle, "/opt/tiny.bundle")
    own = ["-c", "/opt/box/pytest.ini", "--rootdir", "/opt/box", "--confcutdir", "/opt/box", "/opt/box"]
    options = ["--bundle", "/opt/tiny.bundle", "--engines", engine, "--patience", PATIENCE_S]
    return userland.run("python3", "-m", "pytest", "-k", "not verify", *own, *options).strip().splitlines()[-1]


def _verified(userland: Userland, engine: str) -> str:
    said = userland.run("python3", "-m", "clipspect", "verify", "demo", "--backend", engine, "--json")
    document = json.loads(said[said.index("{\n") :])  # the engine may complain about the emulated processor before
    if not document["passed"] or not document["comparisons"]:
        raise CommandError(f"verify demo in {engine}: {document}")
    return "; ".join(
        f"{compared['graph']}: score {compared['score']:.1e}, map {compared['anomaly_map']:.1e} off"
        for compared in document["comparisons"]
    )


def _compared(userland: Userland) -> str:
    """The largest differences of the C++ example there from Python here, both in OpenVINO."""
    userland.copy(ROOT / "runtime" / "cpp", "/opt/cpp")
    userland.run("cmake", "-S", "/opt/cpp", "-B", "/opt/cpp-build", f"-DOpenVINO_DIR={SITE}/openvino/cmake")
    userland.run("cmake", "--build", "/opt/cpp-build", "--target", "inspect")
    userland.copy(DEMO_BUNDLE, "/opt/demo.bundle")
    userland.copy(DEMO_IMAGES, "/opt/demo_images")
    maps = userland.root / "opt" / "maps"
    maps.mkdir(exist_ok=True)
    arguments = ["--bundle", "/opt/demo.bundle", "--json", "--maps", "/opt/maps"]
    said = userland.run("/opt/cpp-build/inspect", *(f"/opt/demo_images/{name}" for name in PICTURES), *arguments)
    scores = [json.loads(line)["score"] for line in said.splitlines() if line.startswith("{")]
    with clipspect.load("demo", backend="openvino") as inspector:
        here = [inspector.inspect(DEMO_IMAGES / name) for name in PICTURES]
        of_scores = max(abs(score - result.score) for score, result in zip(scores, here, strict=True))
        of_maps = max(
            float(np.abs(np.load(maps / f"{name}.npy") - result.anomaly_map).max())
            for name, result in zip(PICTURES, here, strict=True)
        )
    if max(of_scores, of_maps) > TOLERANCE:
        raise CommandError(
            f"the C++ example is {of_scores:.1e} (score) and {of_maps:.1e} (map) off; {TOLERANCE} are allowed"
        )
    return f"{len(scores)} pictures: score {of_scores:.1e}, map {of_maps:.1e} off Python's here"


@contextmanager
def _step(name: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    print(f"  {name}: {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
