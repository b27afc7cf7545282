"""A line over MQTT: results of each source, one status, and recipes that are switched by a message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clipspect.bundle.manifest import RECIPES
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from support import handmade
from support.lined import Lining, quick, write_plan
from support.mosquitto import Listener, Mosquitto, needs_mosquitto
from support.watched import grey_png, rows_of, wait_for

NAMES = ("top", "side")
VERDICTS = {"strict": "fail", "lenient": "pass"}  # of a grey value of 50


def line_of(bundle: Path, place: Path, out: Path, broker: Mosquitto, *, commands: bool) -> Path:
    limits = {"strict": Limits(review=10 / 255, reject=20 / 255), "lenient": Limits(review=200 / 255, reject=220 / 255)}
    for name, own in limits.items():
        write_recipe(bundle / RECIPES / f"{name}.safetensors", handmade.make_recipe(name, limits=own))
    for name in NAMES:
        (place / name).mkdir()
    return write_plan(
        place / "line.toml",
        {name: quick(place / name, recipe="strict", sort="none") for name in NAMES},
        bundle=bundle, out=out, backend="onnxruntime", threads=1, health=0.2,
        mqtt={"url": f"mqtt://127.0.0.1:{broker.port}/line1", "commands": commands},
    )  # fmt: skip


def asked(listener: Listener, **command: Any) -> dict[str, Any]:
    """What the line says to a command."""
    before = len(listener.answers)
    listener.publish("line1/command", json.dumps(command).encode())
    wait_for(lambda: len(listener.answers) > before)
    return listener.answers[-1]


@needs_mosquitto
def test_a_message_switches_a_source_between_two_frames_and_none_is_lost_or_judged_twice(
    tiny_bundle: Path, place: Path, out: Path, broker: Mosquitto
) -> None:
    plan, rounds, each = line_of(tiny_bundle, place, out, broker, commands=True), 5, 15
    with Listener(broker.port, "line1") as listener, Lining(plan, out) as line:
        line.wait_until(lambda: listener.statuses and listener.statuses[-1]["mqtt"]["connected"])
        for turn in range(rounds):
            recipe = ("strict", "lenient")[turn % 2]
            answer = asked(listener, source="top", recipe=recipe, id=f"order {turn}")
            assert (answer["id"], answer["done"], answer["recipe"]["name"]) == (f"order {turn}", True, recipe)
            for number in range(each):
                for name in NAMES:
                    (place / name / f"{turn}-{number}.png").write_bytes(grey_png(50))
            line.wait_until(lambda turn=turn: len(rows_of(out / "top")) > each * turn)  # in the middle of them
        line.wait_until(lambda: all(len(rows_of(out / name)) == rounds * each for name in NAMES))
        line.wait_until(lambda: len(listener.results) == 2 * rounds * each)
        wrong = [
            ({"source": "tpo", "recipe": "strict"}, "'tpo': no source has that name; did you mean 'top'?"),
            ({"recipe": "strict"}, "'': no source has that name; there are: side, top"),
            ({"source": "top", "recipe": "nut"}, "no recipe 'nut'"),
            ({"source": "top", "recipe": "../../etc/nut.safetensors"}, "is no name of a recipe"),
            ({"source": "top"}, "command: recipe is missing"),
        ]
        for command, said in wrong:
            answer = asked(listener, **command)
            assert not answer["done"]
            assert said in answer["error"]
        for name, recipe in (("top", "strict"), ("side", "strict")):
            assert line.health()["sources"][name]["recipe"]["name"] == recipe
        assert line.stop() == 0
    for name in NAMES:
        rows = rows_of(out / name)
        assert len({row["item"]["file"]["name"] for row in rows}) == len(rows) == rounds * each
        assert {(row["recipe"]["name"], row["verdict"]) for row in rows} <= set(VERDICTS.items())
        of_source = [row for row in listener.results if row["item"]["source"] == name]
        assert [row["chain"]["line"] for row in of_source] == [row["chain"]["line"] for row in rows]
    assert {row["recipe"]["name"] for row in rows_of(out / "top")} == set(VERDICTS)
    assert {row["recipe"]["name"] for row in rows_of(out / "side")} == {"strict"}


@needs_mosquitto
def test_a_retained_message_and_one_to_a_line_that_takes_none_change_nothing(
    tiny_bundle: Path, place: Path, out: Path, broker: Mosquitto
) -> None:
    plan = line_of(tiny_bundle, place, out, broker, commands=True)
    with Listener(broker.port, "line1") as listener:
        listener.publish("line1/command", json.dumps({"source": "top", "recipe": "lenient"}).encode(), retain=True)
        with Lining(plan, out) as line:
            line.wait_until(lambda: listener.statuses and listener.statuses[-1]["mqtt"]["connected"])
            assert asked(listener, source="side", recipe="lenient")["done"]  # the retained one came before it
            assert line.stop() == 0
        assert len(listener.answers) == 1
        plan.write_text(plan.read_text().replace('"commands" = true', '"commands" = false'))
        with Lining(plan, out) as line:
            line.wait_until(lambda: listener.statuses[-1]["status"] == "online")
            assert listener.statuses[-1]["sources"]["top"]["recipe"]["name"] == "strict"
            assert listener.statuses[-1]["sources"]["side"]["recipe"]["name"] == "lenient"
            listener.publish("line1/command", json.dumps({"source": "side", "recipe": "strict"}).encode())
            (place / "side/a.png").write_bytes(grey_png(50))
            line.wait_until(lambda: len(listener.results) == 1)
            assert line.stop() == 0
        assert len(listener.answers) == 1
        assert listener.results[0]["recipe"]["name"] == "lenient"
