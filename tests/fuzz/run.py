"""One fuzz target under Atheris (libFuzzer): `python tests/fuzz/run.py TARGET FOLDER [-max_total_time=600 ...]`.

FOLDER keeps the corpus and what was found. Run by `make fuzz`.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ["CLIPSPECT_MAX_PIXELS"] = "1000000"  # what costs a second and a gigabyte is the limits' own test
os.environ["CLIPSPECT_MAX_SIDE"] = "100000"

import atheris

with atheris.instrument_imports(include=["clipspect", "PIL"]):
    from fuzz.mutate import onnx_file
    from fuzz.seeds import prepare
    from fuzz.targets import TARGETS

_LIMITS = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=20000"]


def _by_fields(data: bytes, most: int, seed: int) -> bytes:
    """A file whose lengths do not fit is refused at once, so most changes are of whole fields."""
    random = Random(seed)
    changed = onnx_file(data, random) if random.random() < 0.8 else atheris.Mutate(data, most)
    return changed if len(changed) <= most else data


def main() -> None:
    target, folder, *options = sys.argv[1:]
    corpus, work = Path(folder, target), Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(prepare(target, work)):
        (corpus / f"seed{number}").write_bytes(seed)
    run = TARGETS[target]

    def one(data: bytes) -> None:
        try:
            run(work, data)
        except Exception:
            raise
        except BaseException as error:  # a panic of a library in Rust is no Exception
            raise RuntimeError(f"ended by {type(error).__name__}") from error

    found = f"-artifact_prefix={Path(folder).resolve()}/{target}-"
    mutators = {"custom_mutator": _by_fields} if target == "graph" else {}
    atheris.Setup([sys.argv[0], str(corpus.resolve()), *_LIMITS, found, *options], one, **mutators)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
