"""LINE.toml: what it can say, and the one thing that is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clipspect.base.errors import ClipspectError
from clipspect.line.plan import read_plan

TOP = 'bundle = "demo"\nout = "out"\n'
ONE = '[[sources]]\nsource = "folder:in"\n'
DOCS = Path(__file__).parents[3] / "docs/line.md"


def named(name: str, source: str, *lines: str) -> str:
    return "\n".join(["[[sources]]", f'name = "{name}"', f'source = "{source}"', *lines, ""])


def test_the_example_of_the_page_is_a_line_of_two_cameras(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    password = tmp_path / "password"
    password.write_text("secret")
    path = tmp_path / "line1.toml"
    path.write_text(example.replace("/etc/clipspect/broker-password", str(password)))
    plan = read_plan(path)
    assert [(source.name, source.source, source.recipe) for source in plan.sources] == [
        ("top", "folder:/srv/line1/top", "metal nut"),
        ("side", "rtsp://10.0.0.12/stream", "washer"),
    ]
    assert plan.sources[0].recipes == {"left": "left nut"}
    assert plan.mqtt is not None
    assert (plan.mqtt.commands, plan.mqtt.broker.command) == (True, "line1/command")
    assert plan.place(plan.sources[0]) == Path("/srv/line1/inspected/top")


def test_every_key_is_in_the_table_of_the_page() -> None:
    import dataclasses

    from clipspect.line.plan import MqttPlan, Plan, SourcePlan

    text = DOCS.read_text(encoding="utf-8")
    for kind in (Plan, SourcePlan, MqttPlan):
        for key in dataclasses.fields(kind):
            if key.name != "mqtt":
                assert re.search(rf"`[\w.]*\.?{key.name}`", text), key.name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('bundel = "demo"', "bundel: nothing has that name; did you mean 'bundle'?"),
        (TOP + '[[sources]]\nsorce = "x"', "source 1: sorce: nothing has that name; did you mean 'source'?"),
        (TOP + ONE + '[mqtt]\nurl = "mqtt://b/t"\ncomands = true', "mqtt.comands: nothing has that name; did you mean"),
        (TOP + ONE + "colour = 1", "source 1: colour: nothing has that name; there are: gate, gate_empty, give_up"),
        (TOP, "line: sources is missing"),
        (TOP + "sources = []", "expected one at least"),
        (TOP + 'sources = "x"', "line: sources: expected array, found str"),
        (TOP + ONE + 'settle = "a"', "sources[0].settle: expected float, found str"),
        (TOP + ONE + "settle = -1", "source folder:in: settle: expected seconds from 0, found -1"),
        (TOP + ONE + "settle = nan", "expected a finite number, found nan"),
        (TOP + ONE + 'sort = "mov"', "sources[0].sort"),
        (TOP + ONE + 'overlays = ["bad"]', "overlays: expected verdicts"),
        (TOP + ONE + 'recipes = { "../x" = "nut" }', "expected the name of a subfolder, found '../x'"),
        (TOP + ONE + 'policy = "latest"', "policy: expected none for a folder"),
        (TOP + ONE + 'gate = "1,2,3,4"', "gate: expected none for a folder, whose files are parts"),
        (TOP + named("a", "camera:0", 'gate = "1,2,3"'), "source a: gate '1,2,3': expected X,Y,WIDTH,HEIGHT"),
        (TOP + named("a", "camera:0", 'gate_empty = "x.png"'), "gate_empty: expected a gate, found 'x.png'"),
        (TOP + "threads = 0\n" + ONE, "threads: expected a number from 1, found 0"),
        (TOP + "answer_within = 0\n" + ONE, "answer_within: expected more than 0 seconds"),
        (TOP + 'rotate = "1TB"\n' + ONE, "rotate: expected a size as 100MB"),
        (TOP + ONE + ONE, "name is missing"),
        (TOP + named("a", "rtsp://x/1") + named("A", "rtsp://x/2"), "name: expected another for each source"),
        (TOP + named("../a", "rtsp://x/1"), "name: expected letters"),
        (TOP + named("pass", "rtsp://x/1"), "nothing of OUT's own, found 'pass'"),
        (TOP + named("Health.json", "rtsp://x/1"), "nothing of OUT's own, found 'Health.json'"),
        (TOP + named("a", "rtsp://x/1", 'sort = "move"'), "sort: only a folder has it"),
        (TOP + named("a", "rtsp://x/1", 'policy = "newest"'), "policy 'newest': expected latest"),
        (TOP + named("a", "folder:in") + named("b", "folder:in/left"), "lies in in, which a watches"),
        (TOP + named("a", "folder:in") + named("b", "folder:./in"), "which a watches: give a recipes for its subfold"),
        ("x =", "not readable as TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "line.toml"
    path.write_text(text)
    with pytest.raises(ClipspectError) as caught:
        read_plan(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ClipspectError, match="cannot be read"):
        read_plan(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(ClipspectError, match="not readable as TOML"):
        read_plan(tmp_path / "bytes.toml")


def test_a_password_in_an_address_is_shown_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "line.toml"
    path.write_text(TOP + '[[sources]]\nsource = "rtsp://me:secret@camera/1"\n')
    (source,) = read_plan(path).sources
    assert (source.title, source.shown) == ("rtsp://camera/1", "rtsp://camera/1")
    path.write_text(path.read_text() + "settle = -1")
    with pytest.raises(ClipspectError, match="source rtsp://camera/1: settle") as caught:
        read_plan(path)
    assert "secret" not in str(caught.value)
