"""examples/photographs_to_verdicts.ipynb runs from top to bottom, and is committed as it ran, with small pictures."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

from support.installed import ROOT

NOTEBOOK = ROOT / "examples" / "photographs_to_verdicts.ipynb"
BROKEN = 32


def code_cells(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in document["cells"] if cell["cell_type"] == "code"]


def counted(document: dict[str, Any]) -> dict[str, int]:
    """The verdicts on broken cookies."""
    (cell,) = (cell for cell in code_cells(document) if "Counter(result" in "".join(cell["source"]))
    text = "".join(cell["outputs"][0]["data"]["text/plain"])
    counts: dict[str, int] = ast.literal_eval(text.removeprefix("Counter(").removesuffix(")"))
    return counts


def kinds(document: dict[str, Any]) -> list[list[str]]:
    """What each code cell puts out: names of streams and MIME types."""
    return [
        [name for output in cell["outputs"] for name in output.get("data", {output.get("name"): ""})]
        for cell in code_cells(document)
    ]


def test_it_is_committed_as_it_ran_from_top_to_bottom_with_small_pictures() -> None:
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = code_cells(document)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert sum("image/jpeg" in kind for kind in kinds(document)) == 2
    assert NOTEBOOK.stat().st_size < 150_000
    assert sum(counted(document).values()) == BROKEN


@pytest.mark.slow
def test_it_runs_and_answers_what_is_committed() -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs nbclient and ipykernel: pip install --editable '.[dev]'")
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, 4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    committed = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert kinds(notebook) == kinds(committed)
    before, now = counted(committed), counted(notebook)
    assert sum(now.values()) == BROKEN
    for verdict in before.keys() | now.keys():  # a score on a limit may fall on its other side on another processor
        assert abs(before.get(verdict, 0) - now.get(verdict, 0)) <= 2, (before, now)
