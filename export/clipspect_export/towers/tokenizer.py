"""CLIP's byte-pair encoding as a `tokenizer.json`, made of the vocabulary file inside the open_clip package.

With what `clipspect.recipes.tokenizer` does before it, it gives the ids of open_clip's `SimpleTokenizer`, and so of
OpenAI's: for every script, decomposed accents, curly quotes, full-width characters, ligatures, HTML entities. Not
reproduced is where that one, with the ftfy library, guesses: at text that was decoded wrongly ("Ã©" for "é", C1
control characters), at HTML entities in capitals ("&EURO;") and at terminal escapes; and two characters, U+0345 and
U+FB05. Nor does a prompt reach the special tokens: "<end_of_text>" is read as the words that it looks like.
"""

from __future__ import annotations

import gzip
import unicodedata
from functools import cache
from importlib.resources import files

from tokenizers import Regex, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as Engine
from tokenizers.models import BPE

from clipspect.base.errors import ExportError
from clipspect.recipes.tokenizer import Tokenizer

START, END = "<start_of_text>", "<end_of_text>"
_VOCABULARY_FILE = "bpe_simple_vocab_16e6.txt.gz"
_MERGES = 49152 - 256 - 2  # that CLIP uses of the file, which has more; 2 special tokens follow
_END_OF_WORD = "</w>"
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_UNSEEN = r"[\x00-\x08\x0b\x0e-\x1f\x7f\x{206a}-\x{206f}\x{feff}\x{fff9}-\x{fffc}]"
_WIDTHS = [0x3000, *range(0xFF01, 0xFFF0)]  # full-width Latin, half-width Katakana and Hangul
_LIGATURES = [0x0132, 0x0133, 0x0149, *range(0x01C4, 0x01CD), *range(0x01F1, 0x01F4), *range(0xFB00, 0xFB05), 0xFB06]


@cache
def clip_tokenizer(vocab_size: int) -> Tokenizer:
    """The tokenizer, as the runtime has it from a bundle. Raises ExportError for another vocabulary."""
    if vocab_size != len(_vocabulary()):
        raise ExportError(
            f"the vocabulary has {vocab_size} tokens, CLIP's tokenizer {len(_vocabulary())}: not supported"
        )
    return Tokenizer.parse(tokenizer_json())


@cache
def tokenizer_json() -> str:
    """The text of `tokenizer.json`."""
    engine = Engine(BPE(_vocabulary(), _merges(), end_of_word_suffix=_END_OF_WORD))
    engine.normalizer = normalizers.Sequence(
        [
            *(normalizers.Replace(sign, plain) for sign, plain in _plain_forms()),
            normalizers.Replace(Regex(r"[\x{02bc}\x{2018}-\x{201b}]"), "'"),
            normalizers.Replace(Regex(r"[\x{201c}-\x{201f}]"), '"'),
            normalizers.Replace(Regex(_UNSEEN), ""),
            normalizers.NFC(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Lowercase(),
        ]
    )
    engine.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    engine.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(token, _vocabulary()[token]) for token in (START, END)]
    )
    return str(engine.to_str())


def _plain_forms() -> list[tuple[str, str]]:
    pairs = [(chr(code), unicodedata.normalize("NFKC", chr(code))) for code in (*_LIGATURES, *_WIDTHS)]
    return [(sign, plain) for sign, plain in pairs if sign != plain]


@cache
def _merges() -> list[tuple[str, str]]:
    packed = (files("open_clip") / _VOCABULARY_FILE).read_bytes()
    lines = gzip.decompress(packed).decode("utf-8").split("\n")[1 : 1 + _MERGES]  # the first names the version
    return [(left, right) for left, right in map(str.split, lines)]


@cache
def _vocabulary() -> dict[str, int]:
    """Bytes, bytes that end a word, merges, special tokens: every token's id is its place."""
    signs = _byte_signs()
    ends = [sign + _END_OF_WORD for sign in signs]
    tokens = [*signs, *ends, *("".join(pair) for pair in _merges()), START, END]
    return {token: number for number, token in enumerate(tokens)}


def _byte_signs() -> list[str]:
    """A visible character for each byte: itself where it is one, else one from 256 on; in the vocabulary's order."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(code) for code in (*visible, *range(256, 512 - len(visible)))]
