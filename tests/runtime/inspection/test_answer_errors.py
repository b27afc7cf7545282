"""Frames that the engine answers NaN or infinity to: each is an error of its own, and the others keep their results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import clipspect
from clipspect.base.errors import AnswerError, BackendError
from support import handmade, handmade_graphs


def grey(value: int) -> npt.NDArray[np.uint8]:
    return np.full((6, 9), value, np.uint8)


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_a_frame_that_the_engine_answers_infinity_to_is_its_own_error_and_the_others_keep_their_results(
    tmp_path: Path, batch: int
) -> None:
    root = handmade.write_bundle(tmp_path / "b")
    (root / "model.onnx").write_bytes(handmade_graphs.brightness(handmade.SIDE, handmade.DIM, scale=1))
    large = np.full((2, 1, handmade.DIM), 3e38, np.float32)  # times 2 or more: infinity
    recipe = handmade.make_recipe("large", tensors={"text_features": large})
    with clipspect.load(handmade.rewritten(root), recipe) as inspector:
        outcomes = list(inspector.stream([grey(value) for value in (0, 255, 1, 9, 0)], batch))
        for outcome in (outcomes[1], outcomes[3]):
            assert isinstance(outcome.error, AnswerError)
            assert "answered NaN or infinity in score: nothing is known of this part" in str(outcome.error)
            with pytest.raises(BackendError):
                outcome.require()
        assert [outcomes[place].require().score for place in (0, 2, 4)] == [0, pytest.approx(3e38), 0]
        assert inspector.inspect_batch([grey(0), grey(1)])[1].score == pytest.approx(3e38)
        for inspect in (lambda: inspector.inspect(grey(255)), lambda: inspector.inspect_batch([grey(0), grey(255)])):
            with pytest.raises(AnswerError, match="NaN or infinity"):
                inspect()


def test_an_infinite_map_alone_is_an_error_too(tmp_path: Path) -> None:
    root = handmade.write_bundle(tmp_path / "b")
    (root / "model.onnx").write_bytes(handmade_graphs.brightness(handmade.SIDE, handmade.DIM, scale=3e38))
    recipe = handmade.make_recipe("none", tensors={"text_features": np.zeros((2, 1, handmade.DIM), np.float32)})
    with clipspect.load(handmade.rewritten(root), recipe) as inspector:
        bad, fine = inspector.stream([grey(255), grey(0)], 2)
    assert isinstance(bad.error, AnswerError)
    assert fine.require().score == 0
