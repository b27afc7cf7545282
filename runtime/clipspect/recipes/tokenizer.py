"""Prompts to token ids, with a bundle's `tokenizer.json` and the tokenizers library."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import BundleError, RecipeError
from clipspect.base.installation import pip_install
from clipspect.recipes.tokenizer_file import MOST_BYTES, checked

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Engine

Tokens = npt.NDArray[np.int64]


class Tokenizer:
    """CLIP's byte-pair encoding. Made by `Tokenizer.open`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """From a `tokenizer.json`. Raises RecipeError when the library is missing, BundleError for another file."""
        try:
            with Path(path).open(encoding="utf-8") as file:
                document = file.read(MOST_BYTES + 1)
        except (OSError, ValueError) as error:
            raise BundleError(f"{path}: not a readable tokenizer ({error}): export the bundle again") from error
        return cls.parse(document, os.fspath(path))

    @classmethod
    def parse(cls, document: str, where: str = "tokenizer.json") -> Tokenizer:
        """From the text of a `tokenizer.json`; `where` names it in errors. Raises as `open` does."""
        try:
            from tokenizers import Tokenizer as Engine
        except ImportError as error:
            raise RecipeError(f"words need the tokenizers library ({error}): {pip_install('text')}") from error
        try:
            return cls(Engine.from_str(checked(document)))
        except Exception as error:  # the library raises nothing narrower
            reason = " ".join(str(error).split())
            raise BundleError(f"{where}: not a readable tokenizer ({reason:.200}): export the bundle again") from error

    def encode(self, prompts: Sequence[str], context_length: int) -> Tokens:
        """Token ids (P, T), int64: start of text, the prompt, end of text, then zeros; T is the longest prompt's.

        Raises RecipeError for a prompt of more tokens than the context, start and end included.
        """
        rows = [self._ids(prompt) for prompt in prompts]
        for prompt, row in zip(prompts, rows):
            if len(row) > context_length:
                raise RecipeError(
                    f"{prompt!r:.120} has {len(row)} tokens, the text encoder reads {context_length}: shorten it"
                )
        tokens = np.zeros((len(rows), max(map(len, rows), default=0)), np.int64)
        for index, row in enumerate(rows):
            tokens[index, : len(row)] = row
        return tokens

    def _ids(self, prompt: str) -> list[int]:
        """CLIP's own tokenizer reads HTML entities, too; Python's lower() knows a final sigma, the file's does not."""
        text = html.unescape(html.unescape(prompt)).lower()
        try:
            text.encode()  # older versions of the library would read something else
        except UnicodeEncodeError as error:  # bytes of a command line that were no UTF-8
            raise RecipeError(f"{prompt!a:.120} is not text in UTF-8: type it again") from error
        return list(self._engine.encode(text).ids)
