"""A recipe that is replaced while `clipspect watch` runs: taken over between two frames, or refused with a word."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import clipspect
from clipspect.base.errors import RecipeError
from clipspect.bundle.manifest import RECIPES
from clipspect.frame.item import Item
from clipspect.inspection.record import record_of
from clipspect.line.followed_recipe import FollowedRecipe
from clipspect.line.health import Health
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import Recipe, read_recipe, write_recipe
from support import handmade
from support.command_line import run
from support.watched import Watching, grey_png

BRIGHT = handmade.make_recipe(limits=Limits(review=100 / 255, reject=200 / 255))
DARK = handmade.make_recipe(limits=Limits(review=10 / 255, reject=20 / 255))


@pytest.fixture
def recipe(tiny_bundle: Path) -> Path:
    path = tiny_bundle / RECIPES / "object.safetensors"
    write_recipe(path, BRIGHT)
    return path


def half_as_bright() -> Recipe:
    """Scores half of what the others score."""
    tensors = {name: np.asarray(tensor) / 2 for name, tensor in BRIGHT.tensors.items()}
    return dataclasses.replace(BRIGHT, tensors=tensors, limits=Limits(review=30 / 255, reject=40 / 255))


def test_images_after_a_replacement_are_judged_by_the_new_recipe_and_the_log_says_which(
    tiny_bundle: Path, folder: Path, out: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Watching(folder, tiny_bundle, out, "--health", 0.1) as watching:
        (folder / "1.png").write_bytes(grey_png(50))
        watching.wait_for_rows(1)
        write_recipe(recipe, DARK)
        (folder / "2.png").write_bytes(grey_png(50))  # at once
        rows = watching.wait_for_rows(2)
        watching.wait_until(lambda: health_of(out)["recipe"]["digest"] == DARK.digest)
        assert watching.stop() == 0
    assert [(row["verdict"], row["recipe"]["digest"]) for row in rows] == [
        ("pass", BRIGHT.digest),
        ("fail", DARK.digest),
    ]
    assert f"recipe 'object' was replaced: {DARK.digest[:12]} from the next image on, before " in watching.err
    assert f"{BRIGHT.digest[:12]}; review from 0.0392157, reject from 0.0784314" in watching.err
    assert health_of(out)["log"]["digest"] == rows[-1]["chain"]["digest"]
    assert run("audit", out / "results.jsonl", "--json") == 0
    spans = json.loads(capsys.readouterr().out)["spans"]
    assert [(span["first_line"], span["decision"]["recipe"]["digest"]) for span in spans] == [
        (1, BRIGHT.digest),
        (2, DARK.digest),
    ]


def test_a_file_that_is_no_recipe_of_this_bundle_is_refused_with_a_word_and_the_old_one_goes_on(
    tiny_bundle: Path, folder: Path, out: Path, recipe: Path
) -> None:
    content = recipe.read_bytes()
    foreign = dataclasses.replace(BRIGHT, encoder_sha256="f" * 64)
    other = f"until then 'object' {BRIGHT.digest[:12]} goes on"
    with Watching(folder, tiny_bundle, out, "--health", 0.1) as watching:
        watching.wait_until((out / "health.json").exists)
        for number, (said, replace) in enumerate(
            (
                ("not a readable recipe", lambda: recipe.write_bytes(content[: len(content) // 2])),
                ("does not match its digest", lambda: recipe.write_bytes(content[:-1] + b"!")),
                ("made for other encoder weights", lambda: write_recipe(recipe, foreign)),
                ("object.safetensors: cannot be read (No such file or directory)", recipe.unlink),
            )
        ):
            replace()
            (folder / f"{number}.png").write_bytes(grey_png(50))
            watching.wait_for_rows(number + 1)
            watching.wait_until(
                lambda said=said: any(said in text and other in text for text in health_of(out)["problems"])
            )
        write_recipe(recipe, DARK)
        watching.wait_until(lambda: health_of(out)["problems"] == [])
        (folder / "last.png").write_bytes(grey_png(50))
        rows = watching.wait_for_rows(5)
        assert watching.stop() == 0
    assert [row["verdict"] for row in rows] == ["pass"] * 4 + ["fail"]
    assert "clipspect: recipe: works again" in watching.err


def test_each_frame_is_scored_and_judged_by_one_recipe_however_often_it_is_replaced(
    tiny_bundle: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half, health = half_as_bright(), Health()
    frame = np.repeat(handmade.grey(100)[..., None], 3, axis=2)

    def items() -> Iterator[Item]:
        for number in range(80):
            if number % 10 == 0:
                write_recipe(recipe, half if number % 20 == 0 else BRIGHT)
            followed.look()
            yield Item("camera", number, None, frame)

    with clipspect.load(tiny_bundle, backend="onnxruntime") as inspector:
        followed = FollowedRecipe(recipe, inspector, health)
        records = [record_of(outcome, inspector) for outcome in inspector.stream(items())]
    judged = {(record.recipe.digest, round((record.score or 0) * 255), record.verdict) for record in records}
    assert judged == {(half.digest, 50, "fail"), (BRIGHT.digest, 100, "uncertain")}
    assert [record.recipe.digest for record in records[-1:]] == [BRIGHT.digest]
    assert capsys.readouterr().err.count("was replaced") == 8
    assert followed.report()["digest"] == BRIGHT.digest


def test_a_recipe_that_the_system_does_not_give_at_first_is_read_again(
    tiny_bundle: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [RecipeError("no"), OSError(errno.EIO, "Input/output error")]
    failures[0].__cause__ = OSError(errno.ESTALE, "Stale file handle")

    def read(path: Path, key: object) -> Recipe:
        if failures:
            raise failures.pop()
        return read_recipe(path)

    with clipspect.load(tiny_bundle, backend="onnxruntime") as inspector:
        write_recipe(recipe, DARK)
        os.utime(recipe, (1, 1))
        time.sleep(1.1)  # it has settled: it is read once
        monkeypatch.setattr("clipspect.line.followed_recipe.read_recipe", read)
        health = Health()
        followed = FollowedRecipe(recipe, inspector, health)
        for _ in range(2):
            followed.look()
            assert inspector.recipe.digest == BRIGHT.digest
            assert health.problems
        followed.look()
        assert inspector.recipe.digest == DARK.digest
        assert health.problems == []


def test_a_recipe_outside_the_bundle_is_followed_also_while_no_image_comes(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    path = out.with_name("mine.safetensors")
    write_recipe(path, dataclasses.replace(BRIGHT, name="mine"))
    with Watching(folder, tiny_bundle, out, "--recipe", path, "--health", 0.1) as watching:
        (folder / "1.png").write_bytes(grey_png(50))
        rows = watching.wait_for_rows(1)
        beside = path.with_name("new") / path.name
        write_recipe(beside, dataclasses.replace(DARK, name="mine"))
        os.replace(beside, path)
        watching.wait_until(lambda: health_of(out)["recipe"]["digest"] != rows[0]["recipe"]["digest"])
        (folder / "2.png").write_bytes(grey_png(50))
        rows = watching.wait_for_rows(2)
        assert watching.stop() == 0
    assert [row["verdict"] for row in rows] == ["pass", "fail"]


def health_of(out: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((out / "health.json").read_text())
    return document


def test_where_signatures_are_required_a_replaced_recipe_waits_for_its_own(
    tiny_bundle: Path, folder: Path, out: Path, recipe: Path, tmp_path: Path
) -> None:
    assert run("sign", tiny_bundle, "--new-key", tmp_path / "key.pem") == 0
    public = tmp_path / "key.public.pem"
    with Watching(folder, tiny_bundle, out, "--health", 0.1, "--require-signature", public) as watching:
        (folder / "1.png").write_bytes(grey_png(50))
        watching.wait_for_rows(1)
        write_recipe(recipe, DARK)  # its signature goes
        watching.wait_until(lambda: "object.safetensors: is not signed" in "".join(health_of(out)["problems"]))
        (folder / "2.png").write_bytes(grey_png(50))
        watching.wait_for_rows(2)
        time.sleep(1.1)  # the recipe's file alone is not looked at any more
        assert run("sign", tiny_bundle, "--recipe", "object", "--key", tmp_path / "key.pem") == 0
        watching.wait_until(lambda: health_of(out)["problems"] == [])
        (folder / "3.png").write_bytes(grey_png(50))
        rows = watching.wait_for_rows(3)
        assert watching.stop() == 0
    assert [row["recipe"]["digest"] for row in rows] == [BRIGHT.digest, BRIGHT.digest, DARK.digest]
