"""Seeds for the fuzz targets, from the demo bundle: `seeds.py FOLDER` writes FOLDER/<target>/."""

from __future__ import annotations

import sys
from pathlib import Path

BUNDLE = Path(__file__).resolve().parents[3] / "models" / "clipspect_models" / "demo.bundle"


def main(folder: Path) -> None:
    recipe = (BUNDLE / "recipes" / "object.safetensors").read_bytes()
    length = int.from_bytes(recipe[:8], "little")
    seeds = {
        "manifest": [(BUNDLE / "bundle.json").read_bytes()],
        "recipe": [recipe, recipe[8 : 8 + length] + b"\n" + recipe[8 + length :]],
        "onnx_file": [(BUNDLE / "model.onnx").read_bytes()[-4096:]],
        "exif": [b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"],
    }
    for target, contents in seeds.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(contents):
            (folder / target / f"seed{number}").write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
