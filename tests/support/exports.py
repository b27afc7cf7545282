"""Command lines of exports that several tests run."""

from __future__ import annotations

from pathlib import Path

from clipspect_models import DEMO_BUNDLE


def demo_command(out: Path) -> list[str]:
    """The arguments of an export of the demo model."""
    weights = DEMO_BUNDLE.with_name("demo.safetensors")
    backbone = weights.with_suffix(".json")
    return ["export", "winclip", "--out", str(out), "--backbone", str(backbone), "--weights", str(weights)]
