"""Presets and the embedded demo bundle: data, and the paths to it."""

from pathlib import Path

_ROOT = Path(__file__).parent

PRESETS = _ROOT / "presets"  # one TOML file a published model; clipspect.bundle.presets reads them
DEMO_CONFIG, DEMO_WEIGHTS = _ROOT / "demo.json", _ROOT / "demo.safetensors"  # a CLIP in open_clip's form
DEMO_BUNDLE = _ROOT / "demo.bundle"
DEMO_COOKIES = _ROOT / "demo_cookies"  # photographs: index.json as of DEMO_IMAGES, and reference-*.jpg, good ones
DEMO_IMAGES = _ROOT / "demo_images"  # index.json: file, mask (or null), family, defect (or null)
