"""`clipspect study` on drawn parts: what it finds, what it says is missing, and what it refuses."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipspect import Limits, make_recipe
from clipspect.recipes.recipe import write_recipe
from support import drawn_datasets
from support.calibrated import calibrate_object
from support.command_line import error_of, run
from support.drawn_studies import write_parts

Capture = pytest.CaptureFixture[str]

PARTS = {  # scores of photographs; review 0.4, reject 0.6
    "good/p1": (0.20, 0.22, 0.21),
    "good/p2": (0.30, 0.31, 0.29),
    "good/p10": (0.39, 0.41, 0.38),  # uncertain once
    "defect/p1": (0.80, 0.82, 0.81),
    "defect/p2": (0.30, 0.31, 0.30),  # missed
}
PLAIN = {"a": (0.20, 0.22), "b": (0.50, 0.52)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_parts(tmp_path / "parts", PARTS)


def studied(capsys: Capture, *arguments: object) -> dict[str, Any]:
    """The document of a run that succeeds."""
    assert run("study", *arguments, "--backend", "onnxruntime", "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_figures_are_those_of_the_photographs(limited_bundle: Path, folder: Path, capsys: Capture) -> None:
    found = studied(capsys, limited_bundle, "object", folder)
    assert [part["part"] for part in found["parts"]] == ["defect/p1", "defect/p2", "good/p1", "good/p2", "good/p10"]
    scores = {part["part"]: [shot["score"] for shot in part["photographs"]] for part in found["parts"]}
    for name, expected in PARTS.items():
        assert scores[name] == pytest.approx(expected, abs=0.5 / 255 + 1e-6)
    sigma = np.sqrt(np.mean([np.var(own, ddof=1) for own in scores.values()]))
    assert found["repeatability"]["sigma"] == pytest.approx(sigma)
    assert found["repeatability"]["degrees_of_freedom"] == 10
    part = found["parts"][-1]
    assert part["sigmas_over_review"] == pytest.approx((np.mean(scores["good/p10"]) - 0.4) / sigma)
    assert part["sigmas_over_reject"] == pytest.approx((np.mean(scores["good/p10"]) - 0.6) / sigma)
    assert (found["same_verdict"]["count"], found["same_verdict"]["of"]) == (4, 5)
    agreement = found["agreement"]
    assert (agreement["effectiveness"]["parts"]["count"], agreement["effectiveness"]["bar"]) == (3, "not met")
    assert (agreement["miss_rate"]["parts"]["count"], agreement["miss_rate"]["bar"]) == (1, "not met")
    assert (agreement["false_alarm_rate"]["parts"]["of"], agreement["false_alarm_rate"]["bar"]) == (3, "not shown")
    assert agreement["uncertain"]["good"]["photographs"]["count"] == 1
    assert found["notes"] == []


def test_the_terminal_says_the_same_in_words(limited_bundle: Path, folder: Path, capsys: Capture) -> None:
    assert run("study", limited_bundle, "object", folder, "--backend", "onnxruntime") == 0
    shown = capsys.readouterr().out
    for words in (
        "5 parts, 15 photographs; limited.bundle, recipe 'object'; onnxruntime on cpu in fp32",
        "limits          review 0.4, reject 0.6",
        "near a limit    1 of 5 parts within 3 sigmas: good/p10",
        "same verdict    4 of 5, 80 % (28 to 99 %) of the repeated parts, not: good/p10",
        "3 of 5, 60 % (at least 18.9 %)  at least 90 %  not met",
        "1 of 2, 50 % (at most 97.5 %)    at most 2 %  not met",
        "1 of 3, 33 % (0.84 to 91 %)",
        "not shown by so few parts: 56 more good parts, none wrong, would",
        "2 pass, 1 uncertain",
        "An uncertain verdict sends the part to a person",
    ):
        assert words in shown


def test_labels_in_a_file_say_the_same_as_folders(
    limited_bundle: Path, folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    plain = tmp_path / "plain"
    for name in PARTS:
        shutil.copytree(folder / name, plain / name.replace("/", " "))
    rows = "".join(f"{name.replace('/', ' ')},{name.split('/')[0]}\n" for name in PARTS)
    (tmp_path / "labels.csv").write_text(f"\ufeffpart, label\n{rows}\n", encoding="utf-8")
    found = studied(capsys, limited_bundle, "object", plain, "--labels", tmp_path / "labels.csv")
    expected = studied(capsys, limited_bundle, "object", folder)
    assert found["agreement"] == expected["agreement"]
    assert found["repeatability"] == expected["repeatability"]


def test_without_limits_and_labels_repeatability_is_left_and_what_is_missing_is_said(
    tiny_bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    found = studied(capsys, tiny_bundle, "object", write_parts(tmp_path / "parts", PLAIN))
    assert found["repeatability"]["sigma"] > 0
    assert (found["limits"], found["agreement"], found["same_verdict"]) == (None, None, None)
    assert f"clipspect calibrate {tiny_bundle} object --good FOLDER" in found["notes"][0]
    assert "no part has a label" in found["notes"][1]
    assert run("study", tiny_bundle, "object", tmp_path / "parts") == 0
    assert "2 scored" in capsys.readouterr().out


def test_parts_of_one_kind_or_without_label_are_told(limited_bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    labels, folder = tmp_path / "labels.csv", write_parts(tmp_path / "parts", PLAIN)
    labels.write_text("part,label\na,good\n")
    (note,) = studied(capsys, limited_bundle, "object", folder, "--labels", labels)["notes"]
    assert note == "parts without a label count for repeatability alone: b"
    labels.write_text("part,label\na,good\nb,good\n")
    (note,) = studied(capsys, limited_bundle, "object", folder, "--labels", labels)["notes"]
    assert note == "no part with a valid photograph is labelled defect, so the miss rate and kappa are unknown"


def test_equal_scores_are_told_and_no_distance_is_made_up(
    limited_bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = write_parts(tmp_path / "parts", {"a": (0.2, 0.2), "b": (0.5, 0.5)})
    found = studied(capsys, limited_bundle, "object", folder)
    assert "all have one score" in found["notes"][-1]
    assert [part["sigmas_over_review"] for part in found["parts"]] == [None, None]


def test_limits_of_another_engine_are_widened_and_that_is_told(
    tiny_bundle: Path, folder: Path, capsys: Capture
) -> None:
    calibrate_object(tiny_bundle, Limits(0.4, 0.6), "openvino")
    found = studied(capsys, tiny_bundle, "object", folder)
    assert found["limits"]["review"] < 0.4
    assert found["limits"]["reject"] > 0.6
    assert found["notes"][0].startswith("limits of openvino on cpu in fp32, widened by")


def test_the_folder_and_the_page_are_written(
    limited_bundle: Path, folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    out, page = folder / "out", tmp_path / "page.html"  # a folder in the study's is no part of it
    found = studied(capsys, limited_bundle, "object", folder, "--out", out, "--report", page)
    assert json.loads((out / "study.json").read_text()) == found
    assert studied(capsys, limited_bundle, "object", folder, "--out", out)["parts"] == found["parts"]
    rows = list(csv.DictReader((out / "photographs.csv").open(newline="")))
    assert [float(row["score"]) for row in rows] == [
        shot["score"] for part in found["parts"] for shot in part["photographs"]
    ]
    assert (rows[0]["part"], rows[0]["label"], rows[0]["photograph"], rows[0]["verdict"]) == (
        "defect/p1",
        "defect",
        "1",
        "fail",
    )
    text = page.read_text()
    assert text == (out / "study.html").read_text()
    assert "Study of recipe object" in text
    assert text.count('class="strip"') == 5
    assert "src=" not in text
    assert "http" not in text
    assert "$" not in text
    assert re.search(r'<tr class="near"><th>good/p10</th>', text)


def test_a_study_with_the_demo(tmp_path: Path, capsys: Capture) -> None:
    rng = np.random.default_rng(0)
    for part, kind in enumerate(["good", "good", "defect"]):
        for number in range(2):
            image, _ = drawn_datasets.draw(rng, defects=int(kind == "defect"))
            drawn_datasets.save(tmp_path / "parts" / kind / f"p{part}" / f"{number}.png", image)
    found = studied(capsys, "demo", "object", tmp_path / "parts")
    assert found["repeatability"]["photographs"] == 6
    assert (
        found["repeatability"]["interval"][0] < found["repeatability"]["sigma"] < found["repeatability"]["interval"][1]
    )
    assert "clipspect calibrate demo object --good FOLDER" in found["notes"][0]


# --- refused ---------------------------------------------------------------------------------------------------------


def gone(root: Path) -> None:
    shutil.rmtree(root)


def empty(root: Path) -> None:
    gone(root)
    root.mkdir()


def stray(root: Path) -> None:
    shutil.copy(root / "a/1.png", root / "photo.png")


def copied(root: Path) -> None:
    shutil.copy(root / "a/1.png", root / "a/3.png")


def hollow(root: Path) -> None:
    (root / "c").mkdir()


def beside(root: Path) -> None:
    (root / "a").rename(root / "good")


def single(root: Path) -> None:
    shutil.rmtree(root / "a")


def unrepeated(root: Path) -> None:
    for path in root.glob("*/2.png"):
        path.unlink()


def cut(root: Path) -> None:
    data = (root / "a/2.png").read_bytes()
    (root / "a/2.png").write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (gone, "parts: no such folder: expected FOLDER/PART/photographs"),
        (empty, "parts: there are no parts"),
        (stray, "photo.png: belongs to no part"),
        (copied, "the same photograph twice: {parts}/a/1.png and {parts}/a/3.png"),
        (hollow, "c: no photographs here"),
        (beside, "b/ lies beside good/"),
        (single, "a study needs several parts, found 1: 30 with 3 photographs each are usual"),
        (unrepeated, "2 parts, one photograph each: repeatability needs repeats"),
        (cut, "a/2.png"),
    ],
)
def test_a_folder_that_makes_no_study_is_refused_in_one_line(
    tiny_bundle: Path, tmp_path: Path, capsys: Capture, spoil: Callable[[Path], None], reason: str
) -> None:
    folder = write_parts(tmp_path / "parts", PLAIN)
    spoil(folder)
    assert run("study", tiny_bundle, "object", folder) == 1
    assert reason.format(parts=folder) in error_of(capsys)


def test_a_photograph_of_the_gallery_is_refused(full_bundle: Path, folder: Path, capsys: Capture) -> None:
    photo = folder / "good/p2/2.png"
    recipe = make_recipe(full_bundle, "few", object="object", references=[photo])
    write_recipe(full_bundle / "recipes/few.safetensors", recipe)
    assert run("study", full_bundle, "few", folder) == 1
    said = error_of(capsys)
    assert f"{photo} is in the gallery of recipe 'few': its score says nothing of parts to come; study others" in said


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ("", "expected the first line part,label, found nothing"),
        ("a,good\n", "expected the first line part,label, found a,good"),
        ("part,label\na,bad\n", "expected a part and good or defect, found a,bad"),
        ("part,label\na\n", "expected a part and good or defect, found a"),
        ("part,label\na,good\na,defect\n", "part 'a' has several labels"),
        ("part,label\na,good\nz,good\n", "there is no part 'z' in the study's folder"),
        (None, "cannot be read as CSV"),
    ],
)
def test_labels_that_do_not_fit_are_refused_in_one_line(
    tiny_bundle: Path, tmp_path: Path, capsys: Capture, labels: str | None, reason: str
) -> None:
    path = tmp_path / "labels.csv"
    if labels is not None:
        path.write_text(labels)
    folder = write_parts(tmp_path / "parts", PLAIN)
    assert run("study", tiny_bundle, "object", folder, "--labels", path) == 1
    assert reason in error_of(capsys)


def test_labels_beside_labelled_folders_are_refused(
    tiny_bundle: Path, folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("part,label\n")
    assert run("study", tiny_bundle, "object", folder, "--labels", path) == 1
    assert "are labels, and so is" in error_of(capsys)
