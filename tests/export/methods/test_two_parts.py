"""Every exported graph can be cut in two for a server, which answers as before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clipspect.bundle.bundle import Bundle
from support.two_parts import require_two_parts


@pytest.mark.parametrize("role", ["words", "both"])
def test_the_parts_of_winclip_answer_as_the_whole(
    winclip_bundle: Callable[[tuple[int, ...]], Bundle], role: str, tmp_path: Path
) -> None:
    bundle = winclip_bundle((2, 3))
    require_two_parts(bundle, bundle.manifest.graphs[role], tmp_path)


def test_the_parts_of_aprilgan_answer_as_the_whole(aprilgan_bundle: Bundle, tmp_path: Path) -> None:
    require_two_parts(aprilgan_bundle, aprilgan_bundle.manifest.graphs["both"], tmp_path, tolerance=1e-5)
