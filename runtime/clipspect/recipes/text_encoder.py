"""The text encoder on the box: prompts to embeddings, with a bundle's `text.onnx` and one engine, no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import BackendError, RecipeError
from clipspect.base.progress import Progress, quiet
from clipspect.bundle.bundle import Bundle
from clipspect.engines import Backend, open_backend
from clipspect.engines.graph import EMBEDDINGS, PROMPTS_AT_ONCE, TOKENS
from clipspect.recipes.tokenizer import Tokenizer


class TextEncoder:
    """Embeds prompts. Made by `TextEncoder.open`; close it, or use it as a context manager."""

    def __init__(self, backend: Backend, tokenizer: Tokenizer, context_length: int, dim: int) -> None:
        self.context_length = context_length
        self.dim = dim
        self._backend = backend
        self._tokenizer = tokenizer

    @classmethod
    def open(cls, bundle: Bundle, backend: str | None = None, **options: Any) -> TextEncoder:
        """Load the text encoder of a bundle; without a backend into the best that is installed and works.

        `options` are the engine's, e.g. threads=4. `precision` is for scoring and is not passed on: text features are
        made once and kept, so they are always computed as they were exported. Raises RecipeError when the bundle has
        none or the tokenizers library is missing, BundleError or BackendError, the latter for the device tensorrt, too.
        """
        refuse_fixed_shapes(options)
        described, text = bundle.manifest.text_encoder, bundle.manifest.text
        if described is None or text is None:
            raise RecipeError(
                f"{bundle.path}: the bundle has no text encoder: export the recipe with it (clipspect export "
                f'{bundle.manifest.method} --object "NAME" ...), or export the bundle with --with-text-encoder'
            )
        tokenizer = Tokenizer.open(bundle.path / described.tokenizer)
        probe = {TOKENS: tokenizer.encode([""], described.context_length)}
        others = {name: value for name, value in options.items() if name not in {"precision", "force_precision"}}
        path = bundle.path / described.graph.file
        engine = open_backend(backend, path, graph=described.graph, probe=probe, **others)
        return cls(engine, tokenizer, described.context_length, text.dim)

    def embed(self, prompts: Sequence[str], progress: Progress = quiet) -> npt.NDArray[np.float32]:
        """Unnormalised embeddings, float32 (n, D). `progress` is told after each batch.

        Raises RecipeError for a prompt that is too long, BackendError.
        """
        tokens = self._tokenizer.encode(prompts, self.context_length)
        embeddings = np.empty((len(tokens), self.dim), np.float32)
        for start in range(0, len(tokens), PROMPTS_AT_ONCE):
            batch = slice(start, min(start + PROMPTS_AT_ONCE, len(tokens)))
            embeddings[batch] = self._backend.run_finite({TOKENS: tokens[batch]})[EMBEDDINGS]
            progress("prompts", batch.stop, len(tokens))
        return embeddings

    def close(self) -> None:
        """Release the engine."""
        self._backend.close()

    def __enter__(self) -> TextEncoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def refuse_fixed_shapes(options: Mapping[str, Any]) -> None:
    """TensorRT's engines are built for the shapes of their first inputs. Raises BackendError for that device."""
    if options.get("device") == "tensorrt":
        raise BackendError(
            "device tensorrt builds engines of fixed shapes, and recipes are made with prompt and gallery lengths that "
            "vary: use --device cuda or cpu"
        )
