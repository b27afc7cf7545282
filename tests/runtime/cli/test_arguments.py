"""What arguments of several commands mean."""

from __future__ import annotations

import argparse

import pytest

from clipspect.cli import main
from clipspect.cli.arguments import rate, share_of_work


@pytest.mark.parametrize(("text", "value"), [("1%", 0.01), ("1 %", 0.01), ("0.01", 0.01), (" 2.5% ", 0.025)])
def test_a_rate_is_a_percentage_or_a_share(text: str, value: float) -> None:
    assert rate(text) == pytest.approx(value)


@pytest.mark.parametrize(("text", "value"), [("50%", 0.5), ("100 %", 1.0), ("1", 1.0), ("1.0", 1.0)])
def test_a_share_of_work_may_be_all_of_it(text: str, value: float) -> None:
    assert share_of_work(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["200%", "1.01", "0", "nan", "all"])
def test_what_is_no_share_of_work_is_wrong_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["calibrate", "b", "r", "--good", "g", f"--cascade={text}"])
    assert caught.value.code == 2
    assert f"expected more than 0% and at most 100%, as 50% or 0.5, found '{text}'" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["5", "0", "1", "100%", "0%", "-1%", "nan", "%", "", "one"])
def test_what_is_no_rate_is_wrong_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected more than 0% and less than 100%"):
        rate(text)
    with pytest.raises(SystemExit) as caught:
        main(["calibrate", "b", "r", "--good", "g", f"--uncertain={text}"])
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith("; see: clipspect calibrate --help\n")
