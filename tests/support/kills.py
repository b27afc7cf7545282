"""Kill commands that write, at random moments, and start them again: what they leave must be readable and nobody's.

    python tests/support/kills.py [--kills 300] [--seed 0] [--only COMMAND ...]

Each command is a fork of this process, which has imported everything already, so that it takes a fraction of a second.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.killed_commands import commands
from support.killed_results import FaultError, require_nothing_left, require_readable


def attack(kills: int, seed: int, only: tuple[str, ...], *, export: bool) -> int:
    """Prints what was found, a line a command; the number of faults."""
    chance, faults = random.Random(seed), 0
    counts: Counter[str] = Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kills-") as root:
        place, others = Path(root) / "place", Path(root) / "tmp"
        for folder in (place, others):
            folder.mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = str(others)
        if export:
            write_clip(place)
        chosen = []
        for command in commands(place, export=export):
            if command.name != "feedback" and only and command.name not in only:
                continue
            command.prepare(place)
            command.more(place)
            command.run(place)  # how long it takes
            command.check(place)
            chosen.append(command)
        for number in range(kills):
            command = chosen[number % len(chosen)]
            try:
                command.prepare(place)
                counts[command.name] += command.killed(place, chance)
                require_readable(place)
                command.more(place)
                command.run(place)
                require_readable(place)
                require_nothing_left(place)
                command.check(place)
            except FaultError as fault:
                faults += 1
                print(f"kill {number}, {command.name}: {fault}", flush=True)
        for command in chosen:
            print(f"{command.name:20} killed {counts[command.name]:3} times, takes {command.seconds:.2f} s")
    took = time.monotonic() - began
    print(f"{sum(counts.values())} of {kills} kills came before the end, seed {seed}: {faults} faults, {took:.0f} s")
    return faults


def write_clip(place: Path) -> None:
    from seeded.weights import write_weights
    from support.golden_clip import weights, write_config

    write_config(place / "tiny.json")
    write_weights(place / "tiny.safetensors", weights())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--without-export", action="store_true", help="which imports torch")
    given = parser.parse_args()
    if not given.without_export:
        import clipspect_export  # noqa: F401
    import onnxruntime  # noqa: F401

    sys.exit(1 if attack(given.kills, given.seed, tuple(given.only), export=not given.without_export) else 0)
