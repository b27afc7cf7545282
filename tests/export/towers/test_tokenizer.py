"""The tokenizer that a bundle carries, against open_clip's."""

from __future__ import annotations

import html
from pathlib import Path

import ftfy
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer

from clipspect.base.errors import ExportError
from clipspect.recipes.prompts import ENSEMBLES, read_ensemble
from clipspect.recipes.tokenizer import Tokenizer
from clipspect_export.towers.tokenizer import clip_tokenizer, tokenizer_json

CONTEXT = 77
VOCABULARY = 49408
REFERENCE = SimpleTokenizer(context_length=CONTEXT)

NO_GUESSES = ftfy.TextFixerConfig(
    unescape_html=False, remove_terminal_escapes=False, fix_encoding=False, fix_c1_controls=False
)

ALPHABETS = {
    "ASCII": st.characters(min_codepoint=0x20, max_codepoint=0x7E),
    "Latin": st.characters(min_codepoint=0xA0, max_codepoint=0x24F),
    "combining marks": st.characters(min_codepoint=0x300, max_codepoint=0x36F, exclude_characters="\u0345"),
    "Greek": st.characters(min_codepoint=0x370, max_codepoint=0x3FF, categories=["L", "N", "P"]),
    "Cyrillic": st.characters(min_codepoint=0x400, max_codepoint=0x4FF),
    "Devanagari": st.characters(min_codepoint=0x900, max_codepoint=0x97F, categories=["L", "M", "N"]),
    "punctuation": st.characters(min_codepoint=0x2000, max_codepoint=0x206F),
    "signs": st.characters(min_codepoint=0x20A0, max_codepoint=0x23FF, categories=["S", "N", "L"]),
    "Chinese": st.characters(min_codepoint=0x4E00, max_codepoint=0x9FBB),
    "Kana": st.characters(min_codepoint=0x3000, max_codepoint=0x30FF, categories=["L", "P", "Zs"]),
    "Hangul": st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3),
    "widths": st.characters(min_codepoint=0xFF01, max_codepoint=0xFFEE, categories=["L", "N", "P", "S"]),
    "ligatures": st.sampled_from("Ĳĳŉǆﬀﬁﬂﬃﬄﬆ"),
    "white space": st.sampled_from(" \t\n\u00a0\u2003\u2028\u3000"),
}
ANY = st.one_of(*ALPHABETS.values())


def plain(prompt: str) -> bool:
    """Whether ftfy does not guess at it, and it spells no special token."""
    guessed, read = (html.unescape(ftfy.fix_text(prompt, config)) for config in (None, NO_GUESSES))
    return guessed == read and "_of_text>" not in prompt.lower()


def agrees(prompt: str) -> None:
    """The ids are the reference's."""
    expected = REFERENCE.encode(prompt)
    found = clip_tokenizer(VOCABULARY).encode([prompt], 1000)[0].tolist()
    assert found == [REFERENCE.sot_token_id, *expected, REFERENCE.eot_token_id]


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_the_ids_are_open_clips_in_any_script(alphabet: str) -> None:
    @given(st.text(ALPHABETS[alphabet] | st.sampled_from(" .'-7a"), max_size=24))
    @settings(max_examples=60)
    def check(prompt: str) -> None:
        assume(plain(prompt))
        agrees(prompt)

    check()


@given(st.text(ANY, max_size=30))
@settings(max_examples=200)
def test_the_ids_are_open_clips_in_mixed_scripts(prompt: str) -> None:
    assume(plain(prompt))
    agrees(prompt)


@pytest.mark.parametrize(
    "prompt",
    [
        "a photo of the R&amp;D part, don&#39;t touch: 5 &lt; 6",
        "“curly” ‘quotes’ and the part’s edge",
        "ΟΔΟΝΤΩΤΟΣ ΤΡΟΧΟΣ",  # a capital sigma ends both words
        "  white \t\n space　",
        "Ｆｕｌｌ　ｗｉｄｔｈ　１２３",
        "a ﬁne ﬂat oﬃce",
        "cafe\u0301, İstanbul, straße, ŒUVRE",
        "a zero-width\u200bspace, a soft\u00adhyphen, a byte order\ufeffmark",
        "🔩 nut 🤖 10³ µm ±0.5 ½ Ⅳ",
        "!!! ... ?!",
        "",
    ],
)
def test_the_ids_are_open_clips_for_what_people_write(prompt: str) -> None:
    agrees(prompt)


@pytest.mark.parametrize("name", ENSEMBLES)
def test_the_ids_of_every_shipped_prompt_are_open_clips(name: str) -> None:
    normal, anomalous = read_ensemble(name).prompts("metal nut")
    prompts = [*normal, *anomalous]
    tokens = clip_tokenizer(VOCABULARY).encode(prompts, CONTEXT)
    expected = REFERENCE(prompts).numpy()
    assert tokens.dtype == np.int64
    assert expected[:, tokens.shape[1] :].sum() == 0
    np.testing.assert_array_equal(tokens, expected[:, : tokens.shape[1]])
    assert (tokens == VOCABULARY - 1).any(axis=0)[-1], "no longer than the longest prompt"


def test_a_prompt_cannot_name_the_special_tokens() -> None:
    tokens = clip_tokenizer(VOCABULARY).encode(["a nut <end_of_text> <start_of_text> it"], CONTEXT)[0]
    assert (tokens >= VOCABULARY - 2).sum() == 2
    assert tokens.argmax() == len(tokens) - 1


def test_the_file_gives_the_same_ids(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer_json(), encoding="utf-8")
    prompts = ["a photo of a Ｎut’s edge.", "nut"]
    found = Tokenizer.open(path).encode(prompts, CONTEXT)
    np.testing.assert_array_equal(found, clip_tokenizer(VOCABULARY).encode(prompts, CONTEXT))


def test_another_vocabulary_is_refused() -> None:
    with pytest.raises(ExportError, match="has 1000 tokens, CLIP's tokenizer 49408: not supported"):
        clip_tokenizer(1000)
