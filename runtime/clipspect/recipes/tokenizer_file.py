"""What a bundle's `tokenizer.json` may say: what the exporter writes, and word lists. All else is refused unread.

The tokenizers library ends the process, or panics, at files that it did not write itself: paddings of any length,
templates of unknown ids, expressions without end. So the library gets what was checked here, written anew.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

MOST_BYTES = 16_000_000
_MOST_STEPS = 1000
_MOST_TEXT = 64
_EXPRESSIONS = frozenset(
    {
        r"[\x{02bc}\x{2018}-\x{201b}]",
        r"[\x{201c}-\x{201f}]",
        r"[\x00-\x08\x0b\x0e-\x1f\x7f\x{206a}-\x{206f}\x{feff}\x{fff9}-\x{fffc}]",
        r"\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    }
)


class TokenizerFileError(ValueError):
    """What a tokenizer.json says that it may not."""


class _Part(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", frozen=True):
    """One step, told by its type."""


class Replace(_Part, tag=True, frozen=True):
    """A text, or what an expression matches, becomes another text."""

    pattern: dict[str, str]
    content: str


class NFC(_Part, tag=True, frozen=True):
    """Unicode's composed form."""


class Lowercase(_Part, tag=True, frozen=True):
    """Small letters."""


Normalizer: TypeAlias = "Replace | NFC | Lowercase"


class Normalizers(_Part, tag="Sequence", frozen=True):
    """Steps one after the other."""

    normalizers: list[Normalizer]


class Split(_Part, tag=True, frozen=True):
    """Words, by an expression."""

    pattern: dict[str, str]
    behavior: Literal["Removed"]
    invert: bool


class ByteLevel(_Part, tag=True, frozen=True):
    """Bytes as visible characters."""

    add_prefix_space: bool
    trim_offsets: bool
    use_regex: Literal[False] = False


class Whitespace(_Part, tag=True, frozen=True):
    """Words, by what is between them."""


PreTokenizer: TypeAlias = "Split | ByteLevel | Whitespace"


class PreTokenizers(_Part, tag="Sequence", frozen=True):
    """Steps one after the other."""

    pretokenizers: list[PreTokenizer]


class _Place(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    id: str
    type_id: Literal[0, 1]


class _Special(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    id: str
    ids: list[int]
    tokens: list[str]


class TemplateProcessing(_Part, tag=True, frozen=True):
    """Special tokens around the text."""

    single: list[dict[Literal["SpecialToken", "Sequence"], _Place]]
    pair: list[dict[Literal["SpecialToken", "Sequence"], _Place]]
    special_tokens: dict[str, _Special]


class BPE(_Part, tag=True, frozen=True):
    """Byte-pair encoding."""

    vocab: dict[str, int]
    merges: list[list[str] | str]
    end_of_word_suffix: str | None = None
    dropout: None = None
    unk_token: None = None
    continuing_subword_prefix: None = None
    fuse_unk: Literal[False] = False
    byte_fallback: Literal[False] = False
    ignore_merges: Literal[False] = False


class WordLevel(_Part, tag=True, frozen=True):
    """A list of words."""

    vocab: dict[str, int]
    unk_token: str


class TokenizerFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole document."""

    version: Literal["1.0"]
    model: BPE | WordLevel
    normalizer: Normalizers | Replace | NFC | Lowercase | None = None
    pre_tokenizer: PreTokenizers | Split | ByteLevel | Whitespace | None = None
    post_processor: TemplateProcessing | None = None
    truncation: None = None
    padding: None = None
    decoder: None = None
    added_tokens: list[None] = []


def checked(document: str) -> str:
    """The document with nothing in it but what was checked. Raises TokenizerFileError."""
    if len(document) > MOST_BYTES:
        raise TokenizerFileError(f"more than {MOST_BYTES / 1e6:.0f} MB")
    try:
        file = msgspec.json.decode(document, type=TokenizerFile)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise TokenizerFileError(" ".join(str(error).split())[:200]) from error
    if file.added_tokens:
        raise TokenizerFileError("it adds tokens to its model's")
    vocabulary = file.model.vocab
    if sorted(vocabulary.values()) != list(range(len(vocabulary))) or not vocabulary:
        raise TokenizerFileError("the ids of its vocabulary are not 0 to its length")
    if isinstance(file.model, BPE):
        _require_merges(file.model)
    elif file.model.unk_token not in vocabulary:
        raise TokenizerFileError("its word for what is unknown is not in its vocabulary")
    _require_patterns(file)
    if file.post_processor is not None:
        _require_template(file.post_processor, len(vocabulary))
    return msgspec.json.encode(file).decode()


def _require_merges(model: BPE) -> None:
    for merge in model.merges:
        parts = merge.split(" ") if isinstance(merge, str) else merge  # older versions of the library: "a b"
        if len(parts) != 2 or not {*parts, "".join(parts)} <= model.vocab.keys():
            raise TokenizerFileError(f"it merges {merge!a:.80}, which is not in its vocabulary")


def _require_patterns(file: TokenizerFile) -> None:
    steps = [
        *(file.normalizer.normalizers if isinstance(file.normalizer, Normalizers) else [file.normalizer]),
        *(file.pre_tokenizer.pretokenizers if isinstance(file.pre_tokenizer, PreTokenizers) else [file.pre_tokenizer]),
    ]
    if len(steps) > _MOST_STEPS:
        raise TokenizerFileError(f"{len(steps)} steps, at most {_MOST_STEPS} are taken")
    for step in steps:
        if isinstance(step, Replace) and len(step.content) > _MOST_TEXT:
            raise TokenizerFileError("it puts in long texts")
        if isinstance(step, (Replace, Split)):
            _require_pattern(step.pattern)


def _require_pattern(pattern: dict[str, str]) -> None:
    if len(pattern) != 1 or not pattern.keys() <= {"String", "Regex"}:
        raise TokenizerFileError("a pattern that is neither a text nor an expression")
    ((kind, text),) = pattern.items()
    if kind == "Regex" and text not in _EXPRESSIONS:
        raise TokenizerFileError(f"the expression {text!a:.80}, which the exporter does not write")
    if kind == "String" and not 1 <= len(text) <= _MOST_TEXT:
        raise TokenizerFileError("a pattern that is empty or long")


def _require_template(template: TemplateProcessing, tokens: int) -> None:
    for name, special in template.special_tokens.items():
        fits = special.id == name and len(special.ids) == len(special.tokens) == 1
        if not fits or not 0 <= special.ids[0] < tokens:
            raise TokenizerFileError(f"the special token {name!a:.80} does not fit its vocabulary")
    for pieces in (template.single, template.pair):
        if len(pieces) > _MOST_TEXT or any(len(piece) != 1 for piece in pieces):
            raise TokenizerFileError("a template of too many pieces, or of empty ones")
        for piece in pieces:
            ((kind, place),) = piece.items()
            if place.id not in (template.special_tokens if kind == "SpecialToken" else ("A", "B")):
                raise TokenizerFileError(f"its template names {place.id!a:.80}, which is unknown")
    if [place.id for piece in template.single for kind, place in piece.items() if kind == "Sequence"] != ["A"]:
        raise TokenizerFileError("its template does not hold the text once")
