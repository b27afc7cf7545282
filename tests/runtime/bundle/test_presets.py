from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from clipspect.base.errors import ExportError
from clipspect.bundle.presets import parse_preset, preset_names, read_preset
from clipspect.cli import main
from clipspect_models import PRESETS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXPORT_PAGE = Path(__file__).resolve().parents[3] / "docs" / "export.md"
WINCLIP = (PRESETS / "winclip.toml").read_text(encoding="utf-8")


def plain(value: Any) -> Any:
    """What TOML could have said: no None, lists for tuples."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if item is not None}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", preset_names())
def test_of_a_presets_file_every_word_is_read(name: str) -> None:
    document = tomllib.loads((PRESETS / f"{name}.toml").read_text(encoding="utf-8"))
    assert plain(dataclasses.asdict(read_preset(name))) == document


def test_every_method_has_a_preset_of_its_name() -> None:
    methods = {read_preset(name).method for name in preset_names()}
    assert methods == {"winclip", "anomalyclip", "aprilgan", "crane", "memory"} < set(preset_names())


def test_a_preset_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(ExportError, match=r"no preset '\.\./winclip'; there are: anomalyclip, anomalydino, anomaly"):
        read_preset("../winclip")


@pytest.mark.parametrize(
    ("found", "instead", "message"),
    [
        ("image_size = 240", "image_size = true", "fixed.image_size: expected int, found bool"),
        ("temperature = 0.07", "temperature = nan", "'fixed': 'temperature': expected a finite number"),
        ("auroc = 91.8, ", "", r"published.accuracy\[0\].image.auroc is missing"),
        ('weights = "laion400m_e32"\n', "", "backbone.weights is missing"),
        ("[options]", "[options", "line "),
    ],
)
def test_a_damaged_preset_is_refused_in_one_line(found: str, instead: str, message: str) -> None:
    assert found in WINCLIP
    with pytest.raises(ExportError, match=f"^winclip.toml: .*{message}.*: install clipspect again$"):
        parse_preset(WINCLIP.replace(found, instead), "winclip.toml")


def test_export_help_lists_the_presets_with_their_published_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["export", "--help"])
    assert done.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines if line.strip() and line.split()[0] in preset_names()}
    assert set(rows) == set(preset_names())
    for name, row in rows.items():
        assert read_preset(name).summary in row
        assert ("needs --checkpoint" in row) == (read_preset(name).checkpoint is not None)
    assert rows["winclip"].split()[1:3] == ["91.8", "85.1"]
    assert rows["winclip-235"].split()[1:3] == ["-", "-"]


def test_the_page_on_export_and_the_presets_report_the_same_accuracy() -> None:
    rows = re.findall(
        r"^\| `([\w-]+)` \| (\d) \| ([\d.]+) \| ([\d.]+) \|$", EXPORT_PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    for name, shots, image, pixel in rows:
        figures = read_preset(name).published.find("MVTec AD", shots=int(shots))
        assert figures is not None, name
        assert (image, pixel) == (f"{figures.image.auroc}", f"{figures.pixel.auroc}"), (name, shots)
    published = [name for name in preset_names() if read_preset(name).published.find("MVTec AD", shots=0)]
    assert {name for name, shots, *_ in rows if shots == "0"} == {"winclip", "anomalyclip", "aprilgan", "crane"}
    assert set(published) == {"winclip", "anomalyclip", "aprilgan", "crane"}


@pytest.mark.parametrize("name", ["anomalyclip", "aprilgan", "crane"])
def test_without_the_trained_file_the_error_says_where_it_comes_from(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", name]) == 1
    error = capsys.readouterr().err
    source = read_preset(name).checkpoint
    assert source is not None
    for part in ("--checkpoint FILE", source.repository, *(item.path for item in source.files)):
        assert part in error
    assert error.count("\n") == 1
