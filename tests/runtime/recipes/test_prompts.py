from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipspect.base.errors import RecipeError
from clipspect.recipes.prompts import ENSEMBLES, Ensemble, own_prompts, read_ensemble, text_features

DIM = 8
TOML = 'normal = ["{}"]\nanomalous = ["bad {}", "worn {}"]\ntemplates = ["a {}.", "the {}."]\n'

Array = npt.NDArray[np.float32]


def embed(prompts: list[str]) -> Array:
    """A row for each prompt that depends on nothing but its words."""
    return np.stack([np.random.default_rng(list(prompt.encode())).normal(size=DIM) for prompt in prompts]).astype("f4")


def unit(rows: Array) -> Array:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def written(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "normal", "anomalous", "templates", "distinct"),
    [("winclip", 7, 4, 21, 20), ("winclip-paper", 7, 4, 22, 22), ("aprilgan", 7, 5, 35, 35)],
)
def test_the_shipped_ensembles_have_their_papers_numbers(
    name: str, normal: int, anomalous: int, templates: int, distinct: int
) -> None:
    ensemble = read_ensemble(name)
    assert [len(texts) for texts in (ensemble.normal, ensemble.anomalous, ensemble.templates)] == [
        normal,
        anomalous,
        templates,
    ]
    states = ensemble.prompts("bottle")
    assert [len(prompts) for prompts in states] == [normal * templates, anomalous * templates]
    assert len({*states[0], *states[1]}) == (normal + anomalous) * distinct
    assert all("bottle" in prompt and "{" not in prompt for prompts in states for prompt in prompts)


def test_there_are_three_ensembles() -> None:
    assert ENSEMBLES == ("aprilgan", "winclip", "winclip-paper")


def test_the_papers_templates_are_anomalibs_and_two_more() -> None:
    more = set(read_ensemble("winclip-paper").templates) - set(read_ensemble("winclip").templates)
    assert more == {"a cropped photo of a {}.", "a jpeg corrupted photo of a {}."}


def test_winclips_prompts_stand_in_anomalibs_order() -> None:
    normal, anomalous = read_ensemble("winclip").prompts("bottle")
    assert normal[0] == "a cropped photo of the bottle."
    assert normal[21] == "a cropped photo of the flawless bottle."
    assert anomalous[0] == "a cropped photo of the damaged bottle."
    assert anomalous[-1] == "a photo of a bottle with damage for anomaly detection."


def test_braces_in_an_objects_name_stay_in_it() -> None:
    assert Ensemble(("{}",), ("bad {}",), ("a {}.",)).prompts("part {}") == (["a part {}."], ["a bad part {}."])


def test_a_users_file_is_an_ensemble(tmp_path: Path) -> None:
    ensemble = read_ensemble(written(tmp_path, "\ufeff" + TOML))
    assert ensemble == Ensemble(("{}",), ("bad {}", "worn {}"), ("a {}.", "the {}."))
    assert read_ensemble(str(tmp_path / "own.toml")) == ensemble
    assert ensemble.prompts("nut")[1] == ["a bad nut.", "the bad nut.", "a worn nut.", "the worn nut."]


def test_a_recipe_records_the_words_and_the_fusion(tmp_path: Path) -> None:
    assert read_ensemble(written(tmp_path, TOML)).words("max") == {
        "normal": ["{}"],
        "anomalous": ["bad {}", "worn {}"],
        "templates": ["a {}.", "the {}."],
        "fusion": "max",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("normal = [", "not readable as TOML"),
        ("\udcff", "not readable as TOML"),
        ("x = " + "[" * 9999, "not readable as TOML"),
        ("", "normal is missing: expected the lists of texts normal, anomalous and templates"),
        (TOML.replace("templates", "template"), "templates is missing"),
        (TOML.replace('["{}"]', '"{}"'), "normal: expected array, found str"),
        (TOML.replace('"bad {}"', "3"), r"anomalous\[0\]: expected str, found int"),
        (TOML.replace('["{}"]', "[]"), "normal: the list is empty"),
        (TOML.replace("worn {}", "worn"), "anomalous: 'worn' has no place for the object: write {} there"),
        (TOML.replace("the {}.", "the."), "templates: 'the.' has no place for the state: write {} there"),
    ],
)
def test_a_file_that_is_no_ensemble_is_refused_in_one_line_that_names_it(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(RecipeError, match=message) as refused:
        read_ensemble(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


def test_an_ensemble_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"windclip: no such ensemble; there are: aprilgan, winclip, winclip-paper"):
        read_ensemble("windclip")
    with pytest.raises(RecipeError, match=r"none.toml: no such ensemble"):
        read_ensemble(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="cannot be read"):
        read_ensemble(tmp_path)


def test_complete_prompts_hold_the_object_or_its_place() -> None:
    ensemble = own_prompts(["a new {}", "the Metal Nut."], ["a bent metal nut"], "metal nut")
    assert ensemble.prompts("metal nut") == (["a new metal nut", "the metal nut."], ["a bent metal nut"])
    assert ensemble.prompts("cable")[1] == ["a bent cable"]


def test_an_objects_name_inside_another_word_is_not_the_object() -> None:
    ensemble = own_prompts(["a nut, a minute old"], ["a (NUT) with a doughnut's hole"], "nut")
    assert ensemble.prompts("bolt") == (["a bolt, a minute old"], ["a (bolt) with a doughnut's hole"])


@pytest.mark.parametrize(
    ("normal", "anomalous", "name", "message"),
    [
        (["a nut"], ["a bad {}"], "metal nut", "'a nut' has no place for the object: write {} where 'metal nut' be"),
        (["a minute"], ["a bad {}"], "nut", "'a minute' has no place for the object"),
        (["a {}"], [], "nut", "anomalous: the list is empty"),
        ([], ["a {}"], "nut", "normal: the list is empty"),
        (["a {}"], ["a bad {}"], "  ", "the object has no name"),
    ],
)
def test_complete_prompts_that_say_nothing_of_the_object_are_refused(
    normal: list[str], anomalous: list[str], name: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        own_prompts(normal, anomalous, name)


def test_the_mean_is_of_the_embeddings_or_of_unit_ones_and_a_unit_itself() -> None:
    ensemble = Ensemble(("{}", "new {}"), ("bad {}",), ("a {}.", "the {}."))
    normal, anomalous = (embed(prompts) for prompts in ensemble.prompts("nut"))
    plain = text_features(ensemble, "nut", embed)
    assert (plain.shape, plain.dtype) == ((2, 1, DIM), np.float32)
    np.testing.assert_allclose(plain[:, 0], [normal.mean(0), anomalous.mean(0)], atol=1e-6)
    units = text_features(ensemble, "nut", embed, mean="unit embeddings")
    assert (units.shape, units.dtype) == ((2, 1, DIM), np.float32)
    np.testing.assert_allclose(units[:, 0], unit(np.stack([unit(normal).mean(0), unit(anomalous).mean(0)])), atol=1e-6)
    assert np.abs(unit(plain) - units).max() > 1e-3


@given(normal=st.integers(1, 6), anomalous=st.integers(1, 6), mean=st.sampled_from(["embeddings", "unit embeddings"]))
def test_fusion_max_keeps_every_prompt_and_adds_none(normal: int, anomalous: int, mean: str) -> None:
    states = [tuple(f"{word}{index} {{}}" for index in range(count)) for word, count in zip("ab", (normal, anomalous))]
    ensemble = Ensemble(*states, templates=("{}",))
    features = text_features(ensemble, "nut", embed, fusion="max", mean=mean)
    assert (features.shape, features.dtype) == ((2, max(normal, anomalous), DIM), np.float32)
    patch = np.random.default_rng(0).normal(size=DIM).astype(np.float32)
    for rows, prompts in zip(features, ensemble.prompts("nut")):
        alone = [float(patch @ unit(embed([prompt]))[0]) for prompt in prompts]
        assert float((unit(rows) @ patch).max()) == pytest.approx(max(alone), abs=1e-5)
        assert {row.tobytes() for row in rows} == {row.tobytes() for row in embed(prompts)}


def test_text_features_are_embedded_in_one_call() -> None:
    calls = []

    def counted(prompts: list[str]) -> Array:
        calls.append(len(prompts))
        return embed(prompts)

    text_features(Ensemble(("{}",), ("bad {}",), ("a {}.", "the {}.")), "nut", counted)
    assert calls == [4]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("", {}, "the object has no name"),
        ("nut", {"fusion": "median"}, "prompt fusion 'median': expected mean or max"),
        ("nut", {"mean": "logits"}, "mean 'logits' is not known to this clipspect"),
    ],
)
def test_what_makes_no_text_features_is_refused(name: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        text_features(read_ensemble("winclip"), name, embed, **options)
