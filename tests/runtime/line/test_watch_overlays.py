"""`clipspect watch --overlays`: pictures of the images that did not pass, named in their records."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from clipspect.bundle.manifest import RECIPES
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from support import handmade
from support.command_line import run
from support.watched import Watching, grey_png


def test_the_verdicts_that_were_asked_for_have_an_overlay_that_their_record_names(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    recipe = handmade.make_recipe(limits=Limits(review=100 / 255, reject=200 / 255))
    write_recipe(tiny_bundle / RECIPES / "object.safetensors", recipe)
    (folder / "side").mkdir()
    for name, value in (("good", 20), ("doubtful", 120), ("side/bad", 220)):
        (folder / f"{name}.png").write_bytes(grey_png(value))
    with Watching(folder, tiny_bundle, out, "--overlays", "fail,invalid") as watching:
        rows = watching.wait_for_rows(3)
        assert watching.stop() == 0
    overlays = {row["item"]["file"]["name"]: row["files"].get("overlay") for row in rows}
    (bad,) = [row for row in rows if row["verdict"] == "fail"]
    name = f"overlays/side/bad~{bad['id'][:16]}.jpg"
    assert overlays == {"good.png": None, "doubtful.png": None, "side/bad.png": name}
    assert [path.relative_to(out).as_posix() for path in (out / "overlays").rglob("*") if path.is_file()] == [name]
    with Image.open(out / name) as drawn:
        drawn.load()


def test_words_that_are_no_verdicts_are_a_usage_error(
    tiny_bundle: Path, folder: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("watch", folder, "--bundle", tiny_bundle, "--out", out, "--overlays", "fail,broken")
    assert ended.value.code == 2
    assert "found 'broken'" in capsys.readouterr().err
