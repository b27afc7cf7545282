"""What arguments of several commands mean."""

from __future__ import annotations

import argparse

import pytest

from clipspect.cli import main
from clipspect.cli.arguments import rate


@pytest.mark.parametrize(("text", "value"), [("1%", 0.01), ("1 %", 0.01), ("0.01", 0.01), (" 2.5% ", 0.025)])
def test_a_rate_is_a_percentage_or_a_share(text: str, value: float) -> None:
    assert rate(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["5", "0", "1", "100%", "0%", "-1%", "nan", "%", "", "one"])
def test_what_is_no_rate_is_wrong_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected more than 0% and less than 100%"):
        rate(text)
    with pytest.raises(SystemExit) as caught:
        main(["calibrate", "b", "r", "--good", "g", f"--uncertain={text}"])
    assert caught.value.code == 2
    assert "usage: clipspect calibrate" in capsys.readouterr().err
