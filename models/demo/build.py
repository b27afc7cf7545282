"""Turn the trained demo weights into the embedded bundle and the shipped pictures: `python -m demo.build`."""

from __future__ import annotations

from clipspect_export import export_bundle
from clipspect_models import DEMO_BUNDLE, DEMO_IMAGES
from demo.held_out import write_images
from demo.train import CONFIG

WEIGHTS = CONFIG.with_suffix(".safetensors")


def main() -> None:
    write_images(DEMO_IMAGES)
    export_bundle(
        "winclip",
        DEMO_BUNDLE,
        backbone=CONFIG,
        weights=WEIGHTS,
        objects=["object"],
        scales=(2, 3),
        memory=True,
        windows=True,
        storage="fp16",  # the weights are float16, so this loses nothing and halves the files
        force=True,
    )


if __name__ == "__main__":
    main()
