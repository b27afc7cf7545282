"""`clipspect advise`: the bundles at hand on photographs of good and of defective parts."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

import clipspect
from clipspect.bundle.bundle import Bundle
from clipspect.cli import build_parser
from clipspect.sources.registry import files
from clipspect_lab.advice import advise as advising
from clipspect_lab.advice.advise import advise
from clipspect_lab.advice.drawn import draw
from clipspect_lab.advice.recommend import Recommendation, recommend
from clipspect_lab.advice.trial import Trial
from support import handmade
from support.command_line import error_of, run

Capture = pytest.CaptureFixture[str]
COOKIES = Path(__file__).parents[2] / "photos" / "cookies"
ENGINE = ["--backend", "onnxruntime"]


@pytest.fixture(autouse=True)
def current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With good/, 12 reddish pictures, bad/, three with a green spot, and small.bundle, which judges by photos.

    With words, which a test gives by --object, it judges by both, too."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for folder, count in (("good", 12), ("bad", 3)):
        Path(folder).mkdir()
        for number in range(count):
            pixels = rng.integers(0, 20, (32, 32, 3)).astype(np.uint8) + np.array([150, 90, 80], np.uint8)
            if folder == "bad":
                pixels[8:16, 8:16] = 0, 170, 0
            Image.fromarray(pixels).save(f"{folder}/{number:02}.png")
    handmade.write_memory_bundle(Path("small.bundle"))
    shutil.rmtree("small.bundle/recipes")  # so that there are words only where a test says --object
    return tmp_path


def advised(capsys: Capture, *arguments: object) -> dict[str, Any]:
    assert run("advise", "good", *arguments, *ENGINE, "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_every_judge_is_tried_with_every_number_of_references_and_photographs_win(capsys: Capture) -> None:
    found = advised(
        capsys, "bad", "--bundle", "small.bundle", "--shots", "4,1", "--precision", "fp32", "--object", "nut"
    )
    tried = [(row["judge"], row["shots"], row["words"]) for row in found["candidates"]]
    assert tried == [
        ("words", 0, "nut"),
        ("photos", 1, None),
        ("photos", 4, None),
        ("both", 1, "nut"),
        ("both", 4, "nut"),
    ]
    words, photos = found["candidates"][0], found["candidates"][2]
    assert words["image_auroc"] < 0.9  # it finds bright things, and the spots are dark
    assert photos["image_auroc"] == 1
    assert photos["image_auroc_interval"][0] < 0.9 < photos["image_auroc_interval"][1]
    assert (photos["caught"]["count"], photos["caught"]["of"]) == (3, 3)
    assert all(row["milliseconds"] > 0 and row["peak_memory_bytes"] > 1e7 for row in found["candidates"])
    assert found["candidates"][found["recommended"]]["image_auroc"] == 1
    assert found["parts"] == {"good": 8, "defective": 3, "not_scored": 0}
    assert found["false_reject_rate"]["promised"] == pytest.approx(1 - 0.05 ** (1 / 8))
    assert found["next"].startswith("clipspect teach small.bundle NAME --good good --defective bad --judge ")


def test_the_next_command_is_one_that_teach_takes_with_all_that_was_given_and_tried(capsys: Capture) -> None:
    given = ["--false-reject-rate", "5%", "--threads", "2", "--force-precision", "--group", "[0-9]+"]
    found = advised(capsys, "bad", "--bundle", "small.bundle", "--shots", "1", "--precision", "fp32", *given)
    args = build_parser().parse_args(shlex.split(found["next"])[1:])
    row = found["candidates"][found["recommended"]]
    assert (args.command, args.bundle, args.judge, args.references) == (
        "teach",
        "small.bundle",
        row["judge"],
        row["shots"],
    )
    assert (args.good, args.defective, args.group) == (["good"], ["bad"], "[0-9]+")
    assert (args.backend, args.device, args.precision) == (row["backend"], row["device"], row["precision"])
    assert (args.false_reject_rate, args.threads, args.force_precision) == (0.05, 2, True)


@pytest.mark.parametrize(("folder", "grey"), [("good", 0), ("bad", 255)])
def test_a_black_or_white_frame_is_no_part(folder: str, grey: int, capsys: Capture) -> None:
    Image.new("RGB", (32, 32), (grey, grey, grey)).save(f"{folder}/blank.png")
    assert run("advise", "good", "bad", "--bundle", "small.bundle", "--shots", "1", "--seed", "3", *ENGINE) == 1
    said = error_of(capsys)
    assert f"{folder}/blank.png: the frame is {'white' if grey else 'black'} (" in said
    assert "this is no photograph of a part, take it out" in said


def test_what_is_recommended_is_worked_out_once_where_no_other_precision_could_be_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted: list[int] = []

    def counting(trials: Sequence[Trial], seed: int = 0) -> Recommendation:
        counted.append(len(trials))
        return recommend(trials, seed)

    monkeypatch.setattr(advising, "recommend", counting)
    advise(files("good"), files("bad"), bundles=["small.bundle"], shots=[1], backend="onnxruntime")
    assert counted == [1]


def test_references_are_never_scored_and_all_candidates_have_the_same_parts() -> None:
    spec = Bundle.open("small.bundle").manifest.image
    drawn = draw(files("good"), files("bad"), spec, shots=(1, 4))
    scored = {photograph.content for part in drawn.good for photograph in part}
    references = {photograph.content for photograph in drawn.references}
    assert len(references) == 4
    assert len(scored) == 8
    assert not scored & references
    again, other = (draw(files("good"), files("bad"), spec, shots=(1, 4), seed=seed) for seed in (0, 1))
    assert {photograph.content for photograph in again.references} == references
    assert {photograph.content for photograph in other.references} != references


def test_other_frames_of_a_reference_s_part_are_not_scored_either() -> None:
    Path("pairs").mkdir()
    for number, file in enumerate(sorted(Path("good").iterdir())):
        shutil.copy(file, f"pairs/part{number // 2}-{number % 2}.png")
    spec = Bundle.open("small.bundle").manifest.image
    drawn = draw(files("pairs"), (), spec, shots=(1,), group=r"part\d")
    assert len(drawn.references) == 1
    assert [len(part) for part in drawn.good] == [2] * 5
    assert drawn.references[0].part not in {part[0].part for part in drawn.good}


def test_the_scores_are_the_inspector_s_own() -> None:
    found = advise(files("good"), files("bad"), bundles=["small.bundle"], shots=[2], backend="onnxruntime")
    (trial,) = found.trials
    assert trial.candidate.judge == "photos"
    references = [photograph.item.frame for photograph in found.drawn.references]
    recipe = clipspect.make_recipe("small.bundle", "n", references=references, judge="photos", backend="onnxruntime")
    with clipspect.load("small.bundle", recipe, "onnxruntime") as inspector:
        good, bad = (
            [inspector.inspect(part[0].item.frame).score for part in parts]
            for parts in (found.drawn.good, found.drawn.defective)
        )
    assert trial.good.tolist() == good
    assert trial.defective.tolist() == bad
    assert trial.accuracy is not None
    assert trial.accuracy.auroc == roc_auc_score([0] * len(good) + [1] * len(bad), good + bad)


def test_by_default_the_demo_and_the_bundles_in_this_folder_are_tried_and_a_damaged_one_is_named(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = handmade.write_bundle(Path("broken.bundle"))
    (damaged / "model.onnx").write_bytes(b"no graph")
    monkeypatch.setattr("clipspect_lab.advice.candidates.DEMO", "small.bundle")  # the demo's own test is below
    found = advised(capsys, "--shots", "1")
    assert {row["bundle"] for row in found["candidates"]} == {"small.bundle"}
    assert "broken.bundle" in found["left_out"]


def test_with_a_key_only_what_it_signed_is_tried_and_the_next_command_demands_it_too(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("sign", "small.bundle", "--new-key", "key.pem") == 0
    handmade.write_bundle(Path("unsigned.bundle"))
    capsys.readouterr()
    monkeypatch.setattr("clipspect_lab.advice.candidates.DEMO", "small.bundle")
    found = advised(capsys, "--shots", "1", "--require-signature", "key.public.pem")
    assert {row["bundle"] for row in found["candidates"]} == {"small.bundle"}
    assert "is not signed" in found["left_out"]["unsigned.bundle"]
    assert build_parser().parse_args(shlex.split(found["next"])[1:]).require_signature == "key.public.pem"


def test_without_defects_the_page_says_that_nothing_is_known_of_what_is_caught(capsys: Capture) -> None:
    assert run("advise", "good", "--bundle", "small.bundle", "--shots", "4,16", *ENGINE) == 0
    out = capsys.readouterr().out
    assert "without defective parts nothing is known of what it catches" in out
    assert "8 good parts scored" in out
    assert "can promise that at most 31 % of good ones fail" in out
    assert "left out: 16 shots: 12 good parts leave too few to score: at most 7 can be references" in out
    assert out.count("\n-> ") == 1


def test_a_judge_that_no_words_can_be_found_for_is_left_out_with_its_reason(capsys: Capture) -> None:
    found = advised(capsys, "--bundle", "small.bundle", "--shots", "1")
    assert [row["judge"] for row in found["candidates"]] == ["photos"]
    assert "--object" in found["left_out"]["small.bundle (words)"]


@pytest.mark.slow
def test_the_demo_on_photographs_of_cookies_prefers_photographs_to_words(tmp_path: Path, capsys: Capture) -> None:
    for kind, count in (("good", 16), ("damaged", 5)):
        (tmp_path / "cookies" / kind).mkdir(parents=True)
        for file in sorted((COOKIES / kind).iterdir())[:count]:
            shutil.copy(file, tmp_path / "cookies" / kind)
    arguments = ["cookies/good", "cookies/damaged", "--bundle", "demo", "--shots", "8", "--precision", "fp32"]
    assert run("advise", *arguments, *ENGINE, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    words, photos = found["candidates"]
    assert (words["judge"], photos["judge"]) == ("words", "photos")
    assert photos["image_auroc"] > 0.75 > words["image_auroc"]
    assert found["recommended"] in (1, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["few"], "3 good parts are too few: 6 at least"),
        (["good", "one"], "1 defective part is too few"),
        (["good", "good"], "the same photograph twice"),
        (["unreadable"], "damaged or cut short"),
        (["nowhere"], "nowhere"),
        (["good", "--bundle", "none.bundle"], "none.bundle"),
        (["good", "--bundle", "small.bundle", "--precision", "int8"], "no int8 copy"),
    ],
)
def test_what_nothing_can_be_said_of_is_refused_in_one_line(arguments: list[str], said: str, capsys: Capture) -> None:
    for folder, count in (("few", 3), ("one", 1), ("unreadable", 8)):
        Path(folder).mkdir()
        for number in range(count):
            Image.new("RGB", (32, 32), (number, 0, len(folder))).save(f"{folder}/{number}.png")
    Path("unreadable/7.png").write_bytes(Path("unreadable/7.png").read_bytes()[:60])
    bundle = [] if "--bundle" in arguments else ["--bundle", "small.bundle"]
    assert run("advise", *arguments, *bundle, *ENGINE) == 1
    assert said in error_of(capsys)


def test_progress_tells_a_total_of_all_runs_and_reaches_it() -> None:
    told: list[tuple[str, float, float]] = []
    advise(
        files("good"),
        files("bad"),
        bundles=["small.bundle"],
        shots=[1],
        backend="onnxruntime",
        progress=lambda step, done, total, /: told.append((step, done, total)),
    )
    runs = [(done, total) for step, done, total in told if step == "small.bundle (photos, 1 shot)"]
    assert [done for done, _ in runs] == sorted(done for done, _ in runs)
    assert {total for _, total in runs} == {runs[-1][0]}


def test_of_very_many_photographs_a_drawn_part_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipspect_lab.advice.drawn.MOST_SCORED", 5)
    spec = Bundle.open("small.bundle").manifest.image
    drawn = draw(files("good"), files("bad"), spec, shots=(1,))
    assert len(drawn.good) == 5
    assert drawn.not_scored == 6
    assert advising.SHOTS == (1, 4, 16)
