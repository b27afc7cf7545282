"""Nothing twice and nothing missed, whenever the watcher is killed."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clipspect.base.errors import ClipspectError
from clipspect.bundle.manifest import RECIPES
from clipspect.line.audit import audit
from clipspect.line.index import Index
from clipspect.recipes.limits import Limits
from clipspect.recipes.recipe import write_recipe
from clipspect.sinks.log import Log
from clipspect.sources.part import Part
from support import handmade
from support.watched import WITHOUT_OVERRIDE, Watching, grey_png, rows_of

FILES, KILLS = 2000, 10
BAD = b"\x89PNG\r\n\x1a\n and nothing more"


class Camera(threading.Thread):
    """Drops files in bursts: most at once, some in two parts, some under another name first, some that are no images.

    `complete` says what each is in the end: the grey value of an image, or None.
    """

    def __init__(self, folder: Path, files: int) -> None:
        super().__init__()
        self.complete: dict[str, int | None] = {}
        self._folder, self._files = folder, files
        self._chance = random.Random(0)

    def run(self) -> None:
        half_done: list[tuple[Path, bytes]] = []
        for number in range(self._files):
            if number % 100 == 0:
                time.sleep(0.3)
                for path, rest in half_done:
                    with path.open("ab") as file:
                        file.write(rest)
                half_done = []
            value = number % 256
            path, content = self._folder / f"part{number}.png", grey_png(value)
            self.complete[path.name] = value
            way = self._chance.random()
            if way < 0.1:
                path.write_bytes(content[:-25])
                half_done.append((path, content[-25:]))
            elif way < 0.2:
                temporary = path.with_name(self._chance.choice([f".{path.name}", f"{path.name}.tmp"]))
                temporary.write_bytes(content)
                os.rename(temporary, path)
            elif way < 0.25:
                path.write_bytes(BAD if way < 0.23 else content[:-25])
                self.complete[path.name] = None
            else:
                path.write_bytes(content)
        for path, rest in half_done:
            with path.open("ab") as file:
                file.write(rest)


@pytest.mark.parametrize(
    ("sort", "files", "kills", "rotate"), [("copy", FILES, KILLS, "20kB"), ("move", FILES // 10, KILLS // 3, "day")]
)
def test_each_complete_file_has_exactly_one_result_however_often_the_watcher_is_killed(
    tiny_bundle: Path, folder: Path, out: Path, sort: str, files: int, kills: int, rotate: str
) -> None:
    recipe = handmade.make_recipe(limits=Limits(review=100 / 255, reject=200 / 255))
    write_recipe(tiny_bundle / RECIPES / "object.safetensors", recipe)
    camera, chance = Camera(folder, files), random.Random(1)
    camera.start()
    for kill in range(kills):
        with Watching(folder, tiny_bundle, out, "--sort", sort, "--rotate", rotate) as watching:
            watching.wait_for_rows(files * kill // (kills + 2))
            time.sleep(chance.uniform(0, 0.1))
            watching.process.kill()
    camera.join()
    bad = {name for name, value in camera.complete.items() if value is None}
    with Watching(folder, tiny_bundle, out, "--sort", sort, "--rotate", rotate) as watching:
        watching.wait_for_rows(files)
        watching.wait_until(
            lambda: {row["item"]["file"]["name"] for row in rows_of(out) if told(row, bad)} == camera.complete.keys()
        )
        time.sleep(0.5)  # for one too many
        assert watching.stop() == 0
    assert "Traceback" not in watching.err
    rows = rows_of(out)
    assert len({row["id"] for row in rows}) == len(rows)
    assert audit([out / "results.jsonl"]).whole
    assert set(Counter(row["item"]["file"]["name"] for row in rows if told(row, bad)).values()) == {1}
    scores = {row["item"]["file"]["name"]: row["score"] and round(row["score"] * 255) for row in rows if told(row, bad)}
    assert scores == camera.complete
    for row in rows:
        assert (out / row["files"]["sorted"]).parent.name == (row["verdict"] or "error")
        if told(row, bad):
            assert (out / row["files"]["sorted"]).exists()
            assert (folder / row["item"]["file"]["name"]).exists() == (sort == "copy" or row["error"] is not None)


def told(row: dict[str, Any], bad: set[str]) -> bool:
    """Whether a row is of a complete file: half a file that was found so for long is an error of its own."""
    return row["error"] is None or row["item"]["file"]["name"] in bad


def finished(folder: Path, bundle: Path, out: Path, *options: object) -> None:
    """Two images inspected, the watcher stopped."""
    for value in (1, 2):
        (folder / f"{value}.png").write_bytes(grey_png(value))
    with Watching(folder, bundle, out, *options) as watching:
        watching.wait_for_rows(2)
        assert watching.stop() == 0


def test_a_restart_repairs_a_torn_line_and_what_came_after_the_last_whole_one(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    finished(folder, tiny_bundle, out)
    log = out / "results.jsonl"
    whole, (_, last) = log.read_bytes(), rows_of(out)
    (out / last["files"]["sorted"]).unlink()  # killed between the line and the link
    (folder / "3.png").write_bytes(grey_png(3))
    log.write_bytes(whole + whole[:100])  # killed in the middle of a line
    with Watching(folder, tiny_bundle, out) as watching:
        rows = watching.wait_for_rows(3)
        assert watching.stop() == 0
    assert log.read_bytes().startswith(whole)
    assert [row["score"] * 255 for row in rows] == pytest.approx([1, 2, 3])
    assert (out / last["files"]["sorted"]).read_bytes() == grey_png(2)
    assert "results.jsonl: the last line was cut short and is removed" in watching.err


def test_lines_that_were_cut_off_are_told_their_images_inspected_again_and_the_gap_stays(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    finished(folder, tiny_bundle, out)
    log = out / "results.jsonl"
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    with Watching(folder, tiny_bundle, out) as watching:
        rows = watching.wait_for_rows(2)
        assert watching.stop() == 0
    said = f"{log}: line 2 was written and cut off since; the chain goes on behind, so that an audit finds it"
    assert f"clipspect: {said}\n" in watching.err
    assert json.loads((out / "health.json").read_text())["problems"] == [said]
    assert [(row["item"]["file"]["name"], row["chain"]["line"]) for row in rows] == [("1.png", 1), ("2.png", 3)]
    (found,) = audit([log]).breaks
    assert (found.kind, found.line, found.text) == ("deleted", 2, "line 2 of the chain is missing before it: deleted")


def test_a_restart_moves_the_image_whose_line_was_the_last_thing_done(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    (folder / "1.png").write_bytes(grey_png(1))
    folder.chmod(0o555)  # nothing can be moved out of it
    with Watching(folder, tiny_bundle, out, "--sort", "move", prefix=WITHOUT_OVERRIDE) as watching:
        watching.wait_until(lambda: "sorting: " in watching.said())
        watching.process.kill()
    folder.chmod(0o755)
    (row,) = rows_of(out)
    with Watching(folder, tiny_bundle, out, "--sort", "move") as watching:
        watching.wait_until(lambda: not any(folder.iterdir()))
        assert watching.stop() == 0
    assert len(rows_of(out)) == 1
    assert (out / row["files"]["sorted"]).exists()


def test_a_restart_does_not_sort_an_image_that_was_replaced_meanwhile(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    finished(folder, tiny_bundle, out, "--sort", "move")
    last = rows_of(out)[-1]
    (out / last["files"]["sorted"]).unlink()  # killed before it was moved, and the camera took the name again
    (folder / last["item"]["file"]["name"]).write_bytes(grey_png(200))
    with Watching(folder, tiny_bundle, out, "--sort", "move") as watching:
        *_, new = watching.wait_for_rows(3)
        assert watching.stop() == 0
    assert new["item"]["file"]["name"] == last["item"]["file"]["name"]
    assert new["score"] * 255 == pytest.approx(200)
    assert (out / new["files"]["sorted"]).read_bytes() == grey_png(200)


def test_a_part_that_was_moved_in_place_of_another_goes_back_and_is_inspected(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    finished(folder, tiny_bundle, out, "--sort", "move")
    last = rows_of(out)[-1]
    (out / last["files"]["sorted"]).write_bytes(
        grey_png(200)
    )  # killed before it was seen that the camera took the name again
    with Watching(folder, tiny_bundle, out, "--sort", "move") as watching:
        *_, new = watching.wait_for_rows(3)
        assert watching.stop() == 0
    assert (new["item"]["file"]["name"], round(new["score"] * 255)) == (last["item"]["file"]["name"], 200)
    assert (out / new["files"]["sorted"]).read_bytes() == grey_png(200)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"not a database" * 500)])
def test_the_index_is_made_again_from_the_log(
    tiny_bundle: Path, folder: Path, out: Path, damage: Callable[[Path], object]
) -> None:
    finished(folder, tiny_bundle, out)
    damage(out / ".watch/index.sqlite")
    (folder / "3.png").write_bytes(grey_png(3))
    with Watching(folder, tiny_bundle, out) as watching:
        rows = watching.wait_for_rows(3)
        assert watching.stop() == 0
    assert [row["item"]["file"]["name"] for row in rows] == ["1.png", "2.png", "3.png"]


def test_an_index_that_breaks_under_the_watcher_is_one_error(out: Path) -> None:
    out.mkdir(exist_ok=True)
    with closing(Log(out / "results.jsonl")) as log, closing(Index(out / "index.sqlite", log)) as index:
        for part in (Part(f"{number}.png", 1, 1) for number in range(5000)):  # more than one page
            index.add(part)
        index._table.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        index._table.execute("PRAGMA shrink_memory")
        path = out / "index.sqlite"
        path.write_bytes(path.read_bytes()[:4096] + b"x" * (path.stat().st_size - 4096))
        with pytest.raises(ClipspectError, match=r"index.sqlite: cannot be read .*: start the command again"):
            _ = Part("1.png", 1, 1) in index


def test_without_its_log_what_was_inspected_is_known_and_the_gap_is_told(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    finished(folder, tiny_bundle, out)
    (out / "results.jsonl").unlink()
    (folder / "3.png").write_bytes(grey_png(3))
    with Watching(folder, tiny_bundle, out) as watching:
        (row,) = watching.wait_for_rows(1)
        assert watching.stop() == 0
    assert (row["item"]["file"]["name"], row["chain"]["line"]) == ("3.png", 3)
    said = f"{out / 'results.jsonl'}: lines 1 to 2 were written and cut off since"
    assert said in json.loads((out / "health.json").read_text())["problems"][0]


def test_a_log_that_is_cut_while_the_watcher_runs_goes_on_and_health_says_so(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    log = out / "results.jsonl"
    with Watching(folder, tiny_bundle, out) as watching:
        (folder / "1.png").write_bytes(grey_png(1))
        watching.wait_for_rows(1)
        os.truncate(log, 0)  # copytruncate, the copy elsewhere
        (folder / "2.png").write_bytes(grey_png(2))
        (row,) = watching.wait_for_rows(1)
        assert watching.stop() == 0
    assert (row["item"]["file"]["name"], row["chain"]["line"]) == ("2.png", 2)
    assert json.loads((out / "health.json").read_text())["problems"] == [
        f"{log}: line 1 was written and cut off since; the chain goes on behind, so that an audit finds it"
    ]


def test_of_a_line_that_is_damaged_the_image_is_inspected_again_and_it_is_told(
    tiny_bundle: Path, folder: Path, out: Path
) -> None:
    finished(folder, tiny_bundle, out)
    log = out / "results.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"id"', b'"idle"', 1))
    (out / ".watch/index.sqlite").unlink()
    with Watching(folder, tiny_bundle, out) as watching:
        rows = watching.wait_for_rows(3)
        assert watching.stop() == 0
    assert [row["item"]["file"]["name"] for row in rows] == ["1.png", "2.png", "1.png"]
    assert "line 1 of the log is not readable, see clipspect audit: its image is inspected again" in watching.err
