"""Records: what they say, that docs/record.schema.json describes them, and that they name what decided."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

import clipspect
from clipspect.base.files import sha256_of
from clipspect.inspection.record import FileRecord, Record, record_of
from clipspect.recipes.limits import Limits
from support import handmade

SCHEMA = Path(__file__).parents[3] / "docs/record.schema.json"


@pytest.fixture
def inspector(tiny_bundle: Path) -> clipspect.Inspector:
    return clipspect.load(tiny_bundle, handmade.make_recipe("nut", limits=Limits(0.1, 2)))


def test_a_record_names_what_was_inspected_what_decided_and_what_was_found(inspector: clipspect.Inspector) -> None:
    (outcome,) = inspector.stream([handmade.spotted()])
    record, result = record_of(outcome, inspector), outcome.require()
    assert (record.score, record.verdict, record.limits) == (result.score, "uncertain", Limits(0.1, 2))
    assert record.regions == result.regions
    assert record.regions
    assert record.bundle.digest == sha256_of(inspector.bundle.path / "bundle.json")
    assert (record.recipe.name, record.recipe.digest) == ("nut", inspector.recipe.digest)
    assert (record.engine.backend, record.engine.precision) == ("onnxruntime", "fp32")
    assert (record.item.source, record.item.number, record.item.width, record.item.height) == ("caller", 0, 64, 48)
    assert record.error is None
    assert datetime.fromisoformat(record.time).utcoffset() is not None


def test_a_record_says_what_its_source_dropped_and_how_long_the_verdict_took_where_the_capture_was_seen(
    inspector: clipspect.Inspector, tmp_path: Path
) -> None:
    frame = handmade.spotted()
    seen = clipspect.Item("camera", 7, None, frame, dropped=2, seconds=0.5, captured_monotonic=time.monotonic() - 9)
    first, plain, unseen = (
        record_of(outcome, inspector)
        for outcome in inspector.stream([seen, frame, clipspect.Item("disk", 0, None, frame)])
    )
    assert (first.item.number, first.item.dropped, first.item.seconds) == (7, 2, 0.5)
    assert 9_000 <= (first.latency_ms or 0) < 19_000
    assert 0 < (plain.latency_ms or 0) < 10_000  # captured when it was taken
    assert (unseen.item.dropped, unseen.item.seconds, unseen.latency_ms) == (0, None, None)


def test_the_record_of_a_damaged_frame_has_its_error_and_still_what_would_have_decided(
    inspector: clipspect.Inspector, tmp_path: Path
) -> None:
    (outcome,) = inspector.stream([tmp_path / "none.png"])
    record = record_of(outcome, inspector, id="0" * 32, file=FileRecord("none.png", 12, 34))
    assert re.search("none.png: no such file", record.error or "")
    assert (record.id, record.score, record.verdict, record.timings_ms) == ("0" * 32, None, None, None)
    assert record.recipe.digest == inspector.recipe.digest


def test_a_recipe_with_other_limits_has_another_digest() -> None:
    digests = {
        handmade.make_recipe("nut").digest,
        handmade.make_recipe("nut", limits=Limits(0.1, 0.9)).digest,
        handmade.make_recipe("bolt").digest,
        handmade.make_recipe("nut", tensors={"text_features": np.zeros((2, 1, handmade.DIM), np.float32)}).digest,
    }
    assert len(digests) == 4
    assert handmade.make_recipe("nut").digest in digests


def test_the_published_schema_is_that_of_the_record() -> None:
    published = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert published["$ref"] == "#/$defs/Record"
    assert published["$defs"] == json.loads(json.dumps(msgspec.json.schema(Record)["$defs"]))


def test_a_line_is_ascii_whatever_bytes_a_files_name_is_made_of_and_reads_as_it_was(
    inspector: clipspect.Inspector, tmp_path: Path
) -> None:
    path = tmp_path / "caf\udce9 \u2028.png"
    (outcome,) = inspector.stream([path])
    line = record_of(outcome, inspector).to_json()
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line)["item"]["name"] == str(path)
