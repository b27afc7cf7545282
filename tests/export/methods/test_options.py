"""What a method's options say of themselves is what the command line, `export_bundle` and presets go by."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from clipspect.base.errors import ExportError
from clipspect_export import command
from clipspect_export.methods.method import options_of
from clipspect_export.methods.registry import METHODS, all_options, read_method, read_options
from clipspect_export.methods.winclip.options import SCALES, WinClipOptions


@pytest.mark.parametrize("name", METHODS)
def test_every_option_of_a_method_has_a_flag_that_says_what_it_does(name: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    shown = " ".join(command_help(parser).split())
    for option in options_of(read_method(name)).values():
        assert f"--{option.name.replace('_', '-')}" in shown
        assert name in shown
        assert " ".join(option.flag.help.split()) in shown


def command_help(parser: argparse.ArgumentParser) -> str:
    (action,) = (item for item in parser._actions if isinstance(item, argparse._SubParsersAction))
    export: argparse.ArgumentParser = action.choices["export"]
    formatter = argparse.HelpFormatter("export", width=10_000)
    formatter.add_arguments(export._actions)
    return formatter.format_help()


def test_none_is_the_methods_own_default() -> None:
    options = read_options(read_method("winclip"), {"scales": None, "layers": None, "sigma": None, "checkpoint": None})
    assert options == WinClipOptions()
    assert options.scales == SCALES


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("winclip", {"layers": [6]}, "winclip has no layers: leave --layers out"),
        ("aprilgan", {"layers": (24,)}, "aprilgan has no layers: leave --layers out"),  # another method's default
        ("winclip", {"checkpoint": "x.pth"}, "winclip has no checkpoint: leave --checkpoint out"),
        ("anomalyclip", {"checkpoint": "x.pth", "multi_crop": True}, "has no multi_crop: leave --multi-crop out"),
        ("anomalyclip", {}, "anomalyclip needs the trained file of its official code: add --checkpoint FILE"),
        ("winclip", {"scale": (2,)}, "no method has an option 'scale'; winclip has: scales, .*window_stride"),
        ("winclip", {"scales": "2,3"}, "winclip: scales: expected whole numbers, found '2,3'"),
        ("winclip", {"scales": [2, 3.5]}, r"scales: expected whole numbers, found \[2, 3.5\]"),
        ("winclip", {"multi_crop": 1}, "multi_crop: expected a value of type bool, found 1"),
        ("winclip", {"window_stride": True}, "window_stride: expected a value of type int, found True"),
    ],
)
def test_an_option_that_the_method_does_not_have_or_of_another_type_is_refused(
    method: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        read_options(read_method(method), given)


def test_lists_and_whole_numbers_become_what_the_options_hold() -> None:
    given = {"layers": [6, 24], "sigma": 2, "checkpoint": "epoch_15.pth"}
    options = read_options(read_method("anomalyclip"), given)
    assert (options.layers, options.sigma) == ((6, 24), 2.0)


def test_methods_that_share_an_option_ask_for_values_of_one_type() -> None:
    assert all(len({option.kind for option in by_method.values()}) == 1 for by_method in all_options().values())
