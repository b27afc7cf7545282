"""What `clipspect compile` keeps: engines, and a document beside each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RTX = ("--package", "tensorrt_rtx", "--for-compute-capability", "8.6")


def documents(cache: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(cache.glob("*.json"))]


def engine_of(cache: Path) -> Path:
    (path,) = cache.glob("*.engine")
    return path
