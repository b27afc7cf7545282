"""Reasons: named windows lie on the defect, the named reference is the right place, and the sums are the graph's."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import clipspect
from clipspect.bundle.bundle import Bundle
from clipspect.frame.region_of_interest import Area, RegionOfInterest
from clipspect.frame.tiling import Tiling
from clipspect.inspection.explanation import Place, ReferenceReason
from clipspect.inspection.explanation_grid import Grid
from clipspect.inspection.explanation_windows import WindowValues
from clipspect.inspection.maps import to_source_size
from clipspect.recipes.on_demand import OnDemand, Reuse
from clipspect_lab.demo.pictures import read_demo_pictures
from clipspect_models import DEMO_BUNDLE
from support import handmade
from support.command_line import run

PATCH = 16  # pixels, of the demo's model and pictures
MOSTLY = 0.9  # of the drawn parts
FAR_OFF = 1.2  # times the distance of good parts


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A damaged picture, its true mask, and the good one that it was drawn from."""

    family: str
    damaged: Path
    good: Path
    mask: npt.NDArray[np.bool_]


@pytest.fixture(scope="module")
def drawn() -> list[Drawn]:
    folder, listed = read_demo_pictures()
    found = []
    for row in listed:
        if row.mask is not None:
            path = folder / row.file
            mask = np.asarray(Image.open(folder / row.mask).convert("L")) > 127
            found.append(Drawn(row.family, path, path.with_name(f"{path.stem}-good.jpg"), mask))
    assert len(found) == 18
    return found


@pytest.fixture(scope="module")
def by_words() -> Iterator[clipspect.Inspector]:
    with clipspect.load("demo", backend="onnxruntime", explain=True) as inspector:
        yield inspector


def on_defect(place: Place, mask: npt.NDArray[np.bool_]) -> bool:
    return bool(mask[place.y : place.y + place.height, place.x : place.x + place.width].any())


def test_the_window_that_is_named_first_lies_on_the_defect_and_the_words_say_damage(
    by_words: clipspect.Inspector, drawn: list[Drawn]
) -> None:
    right, damaged = [], []
    for part in drawn:
        result = by_words.inspect(part.damaged)
        assert result.explanation is not None
        if not result.regions:
            continue  # the model sees nothing, so that there is nothing to explain
        reason = result.explanation.regions[0]
        right.append(on_defect(reason.windows[0].place, part.mask))
        assert {window.scale for window in reason.windows} <= {2, 3}
        assert reason.windows[0].raises == max(window.raises for window in reason.windows) > 0
        closest = {state.state: state for state in reversed(reason.states)}
        damaged.append(closest["anomalous"].cosine > closest["normal"].cosine)
        assert result.explanation.notes == ()
    assert len(right) >= MOSTLY * len(drawn)
    assert np.mean(right) >= MOSTLY, right
    assert np.mean(damaged) >= MOSTLY, damaged


@pytest.mark.parametrize(("kept", "share"), [(None, MOSTLY), pytest.param(2000, 0.8, marks=pytest.mark.slow)])
def test_the_patch_lies_on_the_defect_and_its_counterpart_is_the_same_place_of_the_picture_it_was_drawn_from(
    drawn: list[Drawn], kept: int | None, share: float
) -> None:
    on, right = [], []
    recipe = clipspect.make_recipe(
        "demo",
        "part",
        references=[part.good for part in drawn],
        judge="photos",
        gallery_size=kept,
        backend="onnxruntime",
    )
    with clipspect.load("demo", recipe, "onnxruntime", explain=True, map_limit=FAR_OFF) as inspector:
        for part in drawn:
            reason = reference_reason(inspector.inspect(part.damaged))
            on.append(on_defect(reason.patch, part.mask))
            right.append(_is_same_place(reason, part.good))
            assert reason.usual is not None
            assert reason.nearest.place is not None
    assert np.mean(on) >= MOSTLY, on
    assert np.mean(right) >= share, right


def reference_reason(result: clipspect.Result) -> ReferenceReason:
    assert result.explanation is not None
    reason = result.explanation.regions[0].reference
    assert reason is not None
    return reason


def _is_same_place(reason: ReferenceReason, good: Path) -> bool:
    found = reason.counterpart
    if found is None or found.place is None or found.photograph != good.name:
        return False
    return max(abs(found.place.x - reason.patch.x), abs(found.place.y - reason.patch.y)) <= PATCH


def test_the_nearest_row_is_the_one_that_brute_force_finds_in_the_photograph_and_at_the_place_that_are_named(
    drawn: list[Drawn],
) -> None:
    goods = [part.good for part in drawn if part.family == "gear"]
    recipe = clipspect.make_recipe("demo", "part", references=goods, judge="photos", backend="onnxruntime")
    names = ["block_2", "block_3", "block_4", "block_5"]
    with clipspect.load(
        "demo", recipe, "onnxruntime", explain=True, map_limit=FAR_OFF, extras=[f"features_{name}" for name in names]
    ) as inspector:
        frame = inspector.prepare(drawn[3].damaged)
        (answer,) = inspector.answer([frame])
        assert isinstance(answer, clipspect.inspection.answer.Answer)
        reason = reference_reason(inspector.finish(answer))
        patch = reason.patch.y // PATCH * 15 + reason.patch.x // PATCH
        apart = [
            [
                1 - float(row @ answer.extras[f"features_{name}"][0, patch])
                for row in recipe.tensors[f"reference_{name}"]
            ]
            for name in names
        ]
    joined = np.mean(np.array(apart) / recipe.tensors["spread"][:, None], axis=0)
    photograph, place = divmod(int(np.argmin(joined)), 225)
    assert (reason.nearest.number, reason.nearest.photograph) == (photograph, goods[photograph].name)
    assert reason.nearest.place == Place(place % 15 * PATCH, place // 15 * PATCH, PATCH, PATCH)
    assert reason.nearest.distance == pytest.approx(np.mean(np.array(apart)[:, np.argmin(joined)]), abs=1e-5)


def test_the_map_that_is_made_of_the_windows_is_the_graphs(drawn: list[Drawn], by_words: clipspect.Inspector) -> None:
    frame = by_words.prepare(drawn[0].damaged)
    (answer,) = by_words.answer([frame])
    assert isinstance(answer, clipspect.inspection.answer.Answer)
    rows = {scale: answer.extras[f"features_windows_{scale}"][0] for scale in (2, 3)}
    parameters = by_words.bundle.manifest.parameters
    values = WindowValues.of(
        Grid(15, 15), parameters, by_words.recipe.text_features, answer.extras["image_embedding"][0], rows
    )
    made = to_source_size(values.patches().reshape(15, 15).astype(np.float32), 240, 240)
    np.testing.assert_allclose(made, answer.model_map, atol=1e-4)


def test_nobody_pays_who_does_not_ask(tiny_bundle: Path) -> None:
    with clipspect.load(tiny_bundle, "object", "onnxruntime") as inspector:
        frame = inspector.prepare(handmade.spotted())
        (answer,) = inspector.answer([frame])
        assert isinstance(answer, clipspect.inspection.answer.Answer)
        assert answer.extras == {}
        assert inspector.finish(answer).explanation is None


def test_a_bundle_without_the_outputs_says_so_in_one_line_and_still_gives_each_regions_share(tiny_bundle: Path) -> None:
    with clipspect.load(tiny_bundle, "object", "onnxruntime", explain=True) as inspector:
        result = inspector.inspect(handmade.spotted())
    assert result.explanation is not None
    assert result.explanation.notes == (
        "the bundle's graph does not answer its windows, so none is named: export it again",
    )
    assert sum(reason.share for reason in result.explanation.regions) == pytest.approx(1, abs=0.02)
    assert all(reason.windows == () and reason.reference is None for reason in result.explanation.regions)


def test_run_explains_in_the_terminal_and_in_its_records(
    drawn: list[Drawn], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run", "demo", drawn[0].damaged, "--backend", "onnxruntime", "--explain") == 0
    said = capsys.readouterr().out
    assert "region 1 at (" in said
    assert "window of 2 x 2 patches at (" in said
    assert 'of the damaged states most like "' in said
    assert run("run", "demo", drawn[0].damaged, "--backend", "onnxruntime", "--explain", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["explanation"]["regions"][0]["windows"][0]["scale"] in {2, 3}
    assert Bundle.open(DEMO_BUNDLE).digest == record["bundle"]["digest"]


@pytest.mark.parametrize("judge", ["both", "photos"])
@pytest.mark.parametrize("kept", [None, 5])
def test_of_galleries_of_several_grids_the_finest_names_the_patch(tmp_path: Path, judge: str, kept: int | None) -> None:
    bundle = handmade.write_memory_bundle(tmp_path / "several.bundle")
    photos = [np.full((48, 64, 3), value, np.uint8) for value in (20, 30, 40)]
    recipe = clipspect.make_recipe(
        bundle, "nut", references=photos, judge=judge, gallery_size=kept, backend="onnxruntime"
    )
    with clipspect.load(bundle, recipe, "onnxruntime", explain=True, map_limit=-1) as inspector:
        reason = reference_reason(inspector.inspect(handmade.spotted()))
    finest = max(rows for rows, _ in Bundle.open(bundle).manifest.graphs[judge].features.values())
    assert reason.patch.width * reason.patch.height * finest == 64 * 48
    assert reason.nearest.photograph in {"photo 1", "photo 2", "photo 3"}
    assert reason.nearest.place is not None
    assert (reason.nearest.place.width, reason.nearest.place.height) == (reason.patch.width, reason.patch.height)


@pytest.mark.parametrize(
    "looks",
    [
        {"tiling": Tiling(grid=(2, 2))},
        {"region_of_interest": RegionOfInterest((480, 480), Area((((0, 0), (240, 0), (240, 480), (0, 480)),)))},
        {
            "region_of_interest": RegionOfInterest(
                (480, 480), Area((((0, 90), (480, 90), (480, 400), (0, 400)),)), mode="crop"
            )
        },
    ],
)
def test_windows_of_tiles_and_of_a_region_of_interest_lie_where_their_region_is(
    drawn: list[Drawn], by_words: clipspect.Inspector, looks: dict[str, Any]
) -> None:
    (chipped,) = (part.damaged for part in drawn if part.damaged.stem == "gear-chip")
    frame = np.asarray(Image.open(chipped).convert("RGB").resize((480, 480)))
    with by_words.with_recipe(dataclasses.replace(by_words.recipe, **looks)) as inspector:
        result = inspector.inspect(frame)
    assert result.explanation is not None
    assert result.regions
    assert sum(reason.share for reason in result.explanation.regions) == pytest.approx(1, abs=0.02)
    for reason in result.explanation.regions:
        region, window = result.regions[reason.region], reason.windows[0].place
        assert window.x < region.x + region.width
        assert region.x < window.x + window.width
        assert window.y < region.y + region.height
        assert region.y < window.y + window.height


def test_windows_on_demand_are_not_explained(by_words: clipspect.Inspector) -> None:
    reusing = dataclasses.replace(by_words.recipe, windows=OnDemand(reuse=Reuse()))
    with pytest.raises(clipspect.ClipspectError, match="encodes windows on demand, which are not all there"):
        clipspect.load("demo", reusing, "onnxruntime", explain=True)
    with pytest.raises(clipspect.ClipspectError, match="encodes windows on demand"):
        clipspect.load("demo", by_words.recipe, "onnxruntime", explain=True, windows=True)
