"""clipspect's runtime: BUNDLE IMAGE.npy BACKEND [OPTION=VALUE ...], the engine's options."""

from __future__ import annotations

import sys
from typing import Any

from protocol import serve

import clipspect


def main(bundle: str, image_file: str, backend: str, *options: str) -> None:
    pairs = (option.split("=", 1) for option in options)
    inspector = clipspect.load(
        bundle, backend=backend, **{key: int(value) if value.isdecimal() else value for key, value in pairs}
    )

    def inspect(image: Any) -> tuple[float, Any]:
        result = inspector.inspect(image)
        return result.score, result.anomaly_map

    serve(inspect, image_file, f"clipspect {clipspect.__version__}, {inspector.backend} on {inspector.device}")


if __name__ == "__main__":
    main(*sys.argv[1:])
