"""Inspect what OpenCV captures: opencv_loop.py BUNDLE RECIPE CAMERA_OR_VIDEO (pip install opencv-python-headless)."""

import sys
from collections.abc import Iterator

import cv2
import numpy as np

import clipspect


def frames(source: str) -> Iterator[np.ndarray]:
    """RGB, as clipspect reads arrays; OpenCV's are BGR. Not resized: the model's own resize must see the full frame."""
    capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not capture.isOpened():
        sys.exit(f"{source}: OpenCV cannot open it: expected a camera's number, a video file or an address")
    try:
        while True:
            read, frame = capture.read()
            if not read:
                return
            yield frame[..., ::-1]
    finally:
        capture.release()


def main(bundle: str, recipe: str, source: str) -> None:
    # `stream` captures and resizes the next frames while the engine scores this one.
    with clipspect.load(bundle, recipe) as inspector:
        for outcome in inspector.stream(frames(source)):
            result = outcome.require()
            where = ", ".join(f"{r.width} x {r.height} at {r.x}, {r.y}" for r in result.regions)
            print(f"{outcome.item.number:6} {result.score:8.4f} {result.verdict or '-':9} {where}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
