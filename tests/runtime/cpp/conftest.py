"""Fixtures: the programs, photographs of all kinds, and small bundles of the methods."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import conformal_clip_data
import numpy as np
import pytest
from PIL import Image

from clipspect_models import DEMO_BUNDLE
from support import cpp_programs as programs
from support.command_line import run

DEMO_IMAGES = Path(DEMO_BUNDLE).parent / "demo_images"


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the programs."""
    return programs.build()


@pytest.fixture
def refusal(built: Path) -> Callable[[Path], str]:
    """Why a bundle or its only recipe is refused, in one line."""

    def refused(bundle: Path) -> str:
        out, said = programs.call(built / "readers", bundle)
        assert said == ""
        assert out.endswith(b"\n")
        assert out.count(b"\n") == 1
        assert out != b"read\n"
        return out.decode("utf-8", "surrogateescape")

    return refused


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """JPEG and PNG files of several sizes and every kind of pixels that is read."""
    folder = tmp_path_factory.mktemp("photos")
    textile = next(Path(conformal_clip_data.__file__).parent.rglob("textile_0001.jpg"))
    gear = Image.open(DEMO_IMAGES / "gear-chip.jpg")
    tall = gear.resize((411, 701))
    alpha = Image.fromarray(np.tile(np.linspace(0, 255, 240).astype(np.uint8), (240, 1)))
    deep = np.asarray(gear.convert("L")).astype(np.uint16) * 257 - 3 * (np.arange(240, dtype=np.uint16) % 2)
    turned = Image.Exif()
    turned[0x0112] = 6
    see_through, grey = gear.copy(), gear.convert("L")
    see_through.putalpha(alpha)
    grey_alpha = grey.copy()
    grey_alpha.putalpha(alpha)
    files = {
        "square.jpg": gear,
        "tall.jpg": tall,
        "wide.png": gear.resize((703, 400)),
        "small.png": gear.resize((61, 43)),
        "large.jpg": Image.open(textile).resize((1280, 1023)),
        "grey.jpg": grey.resize((300, 200)),
        "grey.png": grey,
        "see-through.png": see_through,
        "grey-alpha.png": grey_alpha,
        "deep.png": Image.fromarray(deep),
        "palette.png": gear.quantize(100),
        "line.png": gear.resize((500, 1)),
    }
    for name, image in files.items():
        image.save(folder / name)
    tall.save(folder / "turned.jpg", exif=turned)
    tall.save(folder / "full-colour.jpg", subsampling=0, quality=95)
    tall.save(folder / "half-colour.jpg", subsampling=1, progressive=True)
    gear.quantize(30).save(folder / "clear-palette.png", transparency=bytes(range(0, 240, 8)))
    return [textile, DEMO_IMAGES / "symbols-burn-good.jpg", *sorted(folder.iterdir())]


@pytest.fixture(scope="session")
def few_shot_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small WinCLIP of wide images with the recipes "nut", of words, "nut, 2 photos", and "nut by photos" alone."""
    folder = tmp_path_factory.mktemp("few-shot")
    from seeded.weights import write_weights
    from support.golden_clip import document, weights

    sizes = {"embed_dim": 64, "image_size": 64, "patch": 16, "vwidth": 64, "vlayers": 2, "twidth": 64, "tlayers": 1}
    (folder / "small.json").write_text(json.dumps(document(sizes)), encoding="utf-8")
    write_weights(folder / "small.safetensors", weights(sizes))
    model = "--backbone", folder / "small.json", "--weights", folder / "small.safetensors"
    bundle, size = folder / "nuts.bundle", ("--image-size", "64x96")
    assert run("export", "winclip", "--out", bundle, "--object", "nut", "--few-shot", "--memory", *size, *model) == 0
    good = DEMO_IMAGES / "gear-chip-good.jpg", DEMO_IMAGES / "gear-burn-good.jpg"
    engine = "--backend", "openvino"
    assert run("recipe", bundle, "nut, 2 photos", "--like", "nut", "--references", *good, *engine) == 0
    assert run("recipe", bundle, "nut by photos", "--judge", "photos", "--references", *good, *engine) == 0
    return bundle


@pytest.fixture(scope="session")
def anomalyclip_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An AnomalyCLIP of the golden one's widths, with few patches, to be quick; its only recipe is "object"."""
    folder = tmp_path_factory.mktemp("anomalyclip")
    from seeded.weights import write_weights
    from support.golden_clip import document, weights
    from support.golden_dense import ANOMALYCLIP, PROMPTS

    sizes = {**ANOMALYCLIP, "image_size": 333, "patch": 37}  # 9 x 9 patches; exported as a rectangle of 9 x 12
    (folder / "small.json").write_text(json.dumps(document(sizes)), encoding="utf-8")
    write_weights(folder / "small.safetensors", weights(sizes))
    model = "--backbone", folder / "small.json", "--weights", folder / "small.safetensors", "--checkpoint", PROMPTS
    bundle = folder / "any.bundle"
    assert run("export", "anomalyclip", "--out", bundle, "--image-size", "333x444", *model) == 0
    return bundle
