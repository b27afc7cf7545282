"""A line of two cameras at the engine's rate, and how long a verdict takes besides the engine: python bench_line.py.

Two folders are filled faster than the demo bundle's engine can inspect, for ten minutes: memory must not grow by 2 %,
each camera's images must stay in their order, and both must be served alike. Then single images, one at a time: from
the moment that the camera's file has its name to the MQTT message with its verdict, less what the engine took.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CAMERAS = ("top", "side")
WARM_S = 60.0  # until memory is compared: every thread, cache and buffer has been used
WAITING = 20  # images that wait in each folder
SINGLES, BETWEEN_S = 100, 0.3
GROWTH, BESIDES_MS = 0.02, 50.0  # what is promised


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=Path("work/bench/line.json"))
    args = parser.parse_args()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="clipspect-", dir=memory) as folder:
        found = {**_full_rate(Path(folder), args.minutes * 60), **_latency(Path(folder, "single"))}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
    kept = {
        "memory": found["memory_growth"] < GROWTH,
        "order": found["in_order"],
        "both served": found["most_turns_of_the_other"] <= 2,
        "besides the engine": found["besides_engine_p50_ms"] < BESIDES_MS,
    }
    for what, good in kept.items():
        print(f"{'kept' if good else 'BROKEN'}: {what}")
    return 0 if all(kept.values()) else 1


def _full_rate(place: Path, seconds: float) -> dict[str, Any]:
    """Two folders that are never empty."""
    out, over = place / "out", threading.Event()
    cameras = [_Camera(place / name, over) for name in CAMERAS]
    samples: list[tuple[float, int]] = []
    with _line(place, out, {name: {"sort": "none"} for name in CAMERAS}) as process:
        _wait_for_health(out, process)
        for camera in cameras:
            camera.start()
        start, processor = time.monotonic(), _processor_s(process.pid)
        while time.monotonic() < start + seconds:
            time.sleep(1.0)
            assert process.poll() is None, "the line has ended"
            samples.append((time.monotonic() - start, _anonymous_kb(process.pid)))
        spent = _processor_s(process.pid) - processor
        over.set()
        for camera in cameras:
            camera.join()
        process.terminate()
        assert process.wait(60) == 0
    rows = {name: _rows(out / name) for name in CAMERAS}
    early = [kb for at, kb in samples if WARM_S <= at < 2 * WARM_S] or [samples[0][1]]
    late = [kb for at, kb in samples if at >= samples[-1][0] - WARM_S]
    names = {name: [int(Path(row["item"]["file"]["name"]).stem) for row in own] for name, own in rows.items()}
    infer_s = sum(row["timings_ms"]["infer"] for own in rows.values() for row in own) / 1e3
    return {
        "seconds": round(samples[-1][0]),
        "images": {name: len(own) for name, own in rows.items()},
        "images_a_second": round(sum(map(len, rows.values())) / samples[-1][0], 1),
        "engine_busy": round(infer_s / samples[-1][0], 3),
        "processor_s_an_image": round(spent / sum(map(len, rows.values())), 4),
        "memory_mb": [round(statistics.median(early) / 1e3, 1), round(statistics.median(late) / 1e3, 1)],
        "memory_growth": round(statistics.median(late) / statistics.median(early) - 1, 4),
        "in_order": all(own == sorted(own) and len(set(own)) == len(own) for own in names.values()),
        "most_turns_of_the_other": _most_in_a_row(rows),
    }


def _latency(place: Path) -> dict[str, Any]:
    """Single images, while the line has nothing else to do."""
    import paho.mqtt.client as mqtt

    broker = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert broker is not None, "needs mosquitto: apt-get install mosquitto"
    place.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = place / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
    came: dict[str, tuple[float, dict[str, Any]]] = {}

    def take(client: object, data: object, message: Any) -> None:
        row = json.loads(message.payload)
        came[row["item"]["file"]["name"]] = time.monotonic(), row

    def listening(client: mqtt.Client, *_: object) -> None:
        client.subscribe("line/+/result", 1)

    named: dict[str, float] = {}
    with _ended(subprocess.Popen([broker, "-c", str(config)], stderr=subprocess.DEVNULL)):
        time.sleep(1.0)
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.on_message, client.on_connect = take, listening
        client.connect("127.0.0.1", port)
        client.loop_start()
        with _line(place, place / "out", {name: {} for name in CAMERAS}, f"mqtt://127.0.0.1:{port}/line") as process:
            _wait_for_health(place / "out", process)
            time.sleep(2.0)
            for number in range(SINGLES):
                folder = place / CAMERAS[number % 2]
                (folder / ".new").write_bytes(_picture(number))
                named[f"{number}.jpg"] = time.monotonic()
                os.rename(folder / ".new", folder / f"{number}.jpg")
                end = time.monotonic() + 30
                while f"{number}.jpg" not in came:
                    assert time.monotonic() < end, "no message within 30 s"
                    time.sleep(0.001)
                time.sleep(BETWEEN_S)
            process.terminate()
            assert process.wait(60) == 0
        client.loop_stop()
    whole = sorted((at - named[name]) * 1e3 for name, (at, _) in came.items())
    besides = sorted((at - named[name]) * 1e3 - row["timings_ms"]["infer"] for name, (at, row) in came.items())
    return {
        "file_to_message_p50_ms": round(statistics.median(whole), 1),
        "besides_engine_p50_ms": round(statistics.median(besides), 1),
        "besides_engine_p95_ms": round(besides[int(0.95 * len(besides))], 1),
    }


class _Camera(threading.Thread):
    """Writes its images in their order, as long as not too many wait, and removes those that are inspected long ago."""

    def __init__(self, folder: Path, over: threading.Event) -> None:
        super().__init__()
        self._folder, self._over = folder, over

    def run(self) -> None:
        log = self._folder.parent / "out" / self._folder.name / "results.jsonl"
        pictures = [_picture(number) for number in range(10)]
        written = removed = lines = offset = 0
        while not self._over.wait(0.02):
            if log.exists():
                with log.open("rb") as file:
                    file.seek(offset)
                    content = file.read()
                offset += len(content)
                lines += content.count(b"\n")
            while written < lines + WAITING:
                (self._folder / ".new").write_bytes(pictures[written % len(pictures)])
                os.rename(self._folder / ".new", self._folder / f"{written}.jpg")
                written += 1
            while removed < lines - 2:
                (self._folder / f"{removed}.jpg").unlink()
                removed += 1


def _picture(number: int) -> bytes:
    """A JPEG file of 640 x 480, as a camera's software writes it."""
    import io

    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[:480, :640]
    surface = 120 + 40 * np.sin(columns / 37 + number) + 30 * np.cos(rows / 23)
    noisy = surface[..., None] + rng.normal(0, 4, (480, 640, 3))
    content = io.BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(content, "JPEG", quality=90)
    return content.getvalue()


@contextlib.contextmanager
def _line(
    place: Path, out: Path, sources: dict[str, dict[str, str]], mqtt: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    lines = ['bundle = "demo"', f'out = "{out}"', 'backend = "onnxruntime"', "health = 5", 'rotate = "never"']
    for name, options in sources.items():
        (place / name).mkdir(parents=True)
        lines += ["[[sources]]", f'name = "{name}"', f'source = "folder:{place / name}"', "settle = 0.0"]
        lines += [f'{key} = "{value}"' for key, value in options.items()]
    lines += [] if mqtt is None else ["[mqtt]", f'url = "{mqtt}"']
    plan = place / "line.toml"
    plan.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "clipspect", "line", str(plan)]
    with _ended(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)) as process:
        yield process


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)


def _wait_for_health(out: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while not (out / "health.json").exists():
        assert process.poll() is None, "the line has ended"
        assert time.monotonic() < end, "the line did not begin"
        time.sleep(0.1)


def _rows(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place / "results.jsonl").read_text().splitlines()]


def _most_in_a_row(rows: dict[str, list[dict[str, Any]]]) -> int:
    """Images of one camera without one of the other between, by the order of the records, while both have images."""
    last = min(own[-1]["time"] for own in rows.values())
    times = sorted((row["time"], name) for name, own in rows.items() for row in own if row["time"] < last)
    after_start = [name for _, name in times][2 * WAITING :]
    return max(len(list(group)) for _, group in itertools.groupby(after_start))


def _anonymous_kb(process: int) -> int:
    """Memory of its own, without mapped files."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0])


def _processor_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
