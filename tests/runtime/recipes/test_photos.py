"""Recipes of photographs alone: what they hold, which graph serves them, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import clipspect
from clipspect.base.errors import RecipeError
from clipspect.bundle.bundle import Bundle
from clipspect.cli import main
from clipspect.recipes.recipe import read_recipe
from clipspect.recipes.shelf import open_recipe
from support import handmade, handmade_graphs


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """With a graph for each judge."""
    return Bundle.open(handmade.write_memory_bundle(tmp_path_factory.mktemp("memory") / "b"))


def photos(count: int, seed: int = 0) -> list[npt.NDArray[np.uint8]]:
    """Photos of a part in a few colours, each a little different."""
    rng = np.random.default_rng(seed)
    blocks = 150 * rng.integers(0, 2, (1, 4, 4, 3)) + rng.integers(0, 100, (count, 4, 4, 3))
    return list(blocks.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8))


def mean_distance(image: npt.NDArray[np.uint8], others: list[npt.NDArray[np.uint8]], name: str) -> float:
    """Of an image's rows of one gallery from those of others."""
    rows = handmade_graphs.colour_rows(np.stack([image]))[name][0]
    known = handmade_graphs.colour_rows(np.stack(others))[name].reshape(-1, handmade_graphs.WIDTH)
    return float((1 - (rows @ known.T).max(axis=1)).mean())


def test_spread_is_the_mean_distance_of_left_out_photos_and_travels_in_the_recipe(bundle: Bundle) -> None:
    given = photos(3)
    recipe = clipspect.make_recipe(bundle, "nut", references=given, judge="photos")
    assert (recipe.judge, recipe.object, recipe.prompts, recipe.has_references) == ("photos", "nut", {}, True)
    assert set(recipe.tensors) == {"reference_fine", "reference_coarse", "spread"}
    for place, name in enumerate(handmade_graphs.GRIDS):
        left_out = [mean_distance(given[i], given[:i] + given[i + 1 :], name) for i in range(3)]
        assert recipe.tensors["spread"][place] == pytest.approx(np.mean(left_out), abs=1e-6)


def test_of_a_single_photo_the_spread_is_that_of_its_mirror_images(bundle: Bundle) -> None:
    (photo,) = photos(1)
    recipe = clipspect.make_recipe(bundle, "nut", references=[photo], judge="photos")
    mirrored = [mean_distance(image, [photo], "fine") for image in (photo[:, ::-1], photo[::-1])]
    assert recipe.tensors["spread"][0] == pytest.approx(max(np.mean(mirrored), 1e-3), abs=1e-6)


def test_a_thinned_gallery_has_its_own_spread(bundle: Bundle) -> None:
    whole, thinned = (
        clipspect.make_recipe(bundle, "nut", references=photos(4), judge="photos", gallery_size=size)
        for size in (None, 6)
    )
    assert len(thinned.tensors["reference_fine"]) == 6
    assert (thinned.tensors["spread"] >= whole.tensors["spread"]).all()
    assert thinned.references is not None
    assert thinned.references["thinning"]["images"] == 4


def test_one_engine_serves_recipes_of_all_judges(bundle: Bundle) -> None:
    good, new = photos(2), photos(1, seed=5)[0]
    recipes = {
        judge: clipspect.make_recipe(bundle, "nut", references=good, judge=judge) for judge in ("photos", "both")
    }
    recipes["words"] = open_recipe(bundle, "object")
    alone = {judge: clipspect.load(bundle.path, recipe) for judge, recipe in recipes.items()}
    with clipspect.load(bundle.path, recipes["words"]) as first:
        for judge, recipe in recipes.items():
            with first.with_recipe(recipe) as inspector:
                assert inspector.inspect(new).score == pytest.approx(alone[judge].inspect(new).score, abs=1e-6)
                assert inspector.recipe.judge == judge
    for inspector in alone.values():
        inspector.close()


def test_references_are_judged_with_words_where_the_bundle_can_and_else_alone(bundle: Bundle, tmp_path: Path) -> None:
    assert clipspect.make_recipe(bundle, "nut", references=photos(2)).judge == "both"
    root = handmade.write_memory_bundle(tmp_path / "b")
    graphs = {role: graph for role, graph in bundle.manifest.graphs.items() if role != "both"}
    handmade.rewritten(root, graphs=graphs)
    assert clipspect.make_recipe(root, "nut", references=photos(2)).judge == "photos"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"judge": "photos"}, "to judge by photos takes photos of good parts: add --references PATH"),
        (
            {"judge": "photos", "object": "nut", "references": photos(1)},
            "photos alone are to judge: leave the words out",
        ),
        ({"judge": "photos", "like": "object", "references": photos(1)}, "photos alone are to judge"),
        ({"judge": "words", "references": photos(1)}, "references are given, and words alone are to judge"),
        ({"judge": "eyes"}, "judge 'eyes': expected words, photos, both"),
    ],
)
def test_what_does_not_fit_the_judge_is_refused(bundle: Bundle, given: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as refused:
        clipspect.make_recipe(bundle, "nut", **given)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_a_bundle_without_a_memory_says_how_to_get_one(full_bundle: Path) -> None:
    with pytest.raises(RecipeError, match="has no memory graph to compare with references: export it with --memory"):
        clipspect.make_recipe(full_bundle, "nut", references=photos(2), judge="photos")


def test_the_command_line_makes_a_recipe_of_photos_with_rotations(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    for number, photo in enumerate(photos(2)):
        Image.fromarray(photo).save(tmp_path / f"{number}.png")
    out = tmp_path / "nut.safetensors"
    command = ["recipe", str(bundle.path), "nut", "--references", str(tmp_path), "--judge", "photos", "--rotations"]
    assert main([*command, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "judged by         photos" in text
    assert "2 of 32 x 32 pixels, each in 8 turns" in text
    assert read_recipe(out).tensors["reference_fine"].shape == (2 * 8 * 16, 3)
