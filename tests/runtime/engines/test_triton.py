"""The engine `triton` beside the local one, over a small server that can also answer wrongly, late or not at all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import clipspect
from clipspect.base.errors import BackendError, RecipeError, UnreachableError
from clipspect.bundle.bundle import Bundle
from clipspect.engines.serving import DEVICE
from clipspect.recipes.triton_repository import write_triton_repository
from support import handmade
from support.calibrated import calibrate_object
from support.certificates import Authority
from support.kserve import Server, load
from support.signed import needs_openssl

COOKIES = Path(__file__).parents[3] / "models/clipspect_models/demo_cookies"


def require_equal(one: clipspect.Result, other: clipspect.Result) -> None:
    assert one.verdict == other.verdict
    assert one.score == pytest.approx(other.score, abs=1e-6)
    np.testing.assert_allclose(one.anomaly_map, other.anomaly_map, rtol=0, atol=1e-6)
    assert len(one.regions) == len(other.regions)


def test_every_graph_of_the_demo_gives_the_local_results(tmp_path: Path) -> None:
    write_triton_repository("demo", tmp_path / "repository", batch=2)
    bundle = Bundle.open("demo")
    references = sorted(COOKIES.glob("reference-*.jpg"))[:2]
    photos = clipspect.make_recipe(bundle, "cookie", references=references, judge="photos")
    images = [COOKIES / "good-001.jpg", COOKIES / "broken-001.jpg"]
    with Server(tmp_path / "repository") as server:
        for recipe, windows in ((None, False), (photos, False), (None, True)):
            with (
                clipspect.load(bundle, recipe, "onnxruntime", windows=windows) as local,
                clipspect.load(bundle, recipe, "triton", windows=windows, url=server.url) as served,
            ):
                assert (served.backend, served.device, served.precision) == ("triton", "cpu", "fp32")
                for one, other in zip(local.inspect_batch(images), served.inspect_batch(images), strict=True):
                    require_equal(one, other)


def test_a_recipe_of_words_and_references_gives_the_local_result(full_bundle: Path, tmp_path: Path) -> None:
    write_triton_repository(full_bundle, tmp_path / "repository")
    recipe = clipspect.make_recipe(full_bundle, "nut", references=[handmade.spotted(spot=90)], judge="both")
    with (
        Server(tmp_path / "repository") as server,
        load(full_bundle, server, recipe) as served,
        clipspect.load(full_bundle, recipe, "onnxruntime") as local,
    ):
        require_equal(local.inspect(handmade.spotted()), served.inspect(handmade.spotted()))


def test_more_images_than_a_request_has_go_in_several(tiny_bundle: Path, tmp_path: Path) -> None:
    write_triton_repository(tiny_bundle, tmp_path / "repository", batch=2)
    with Server(tmp_path / "repository") as server, load(tiny_bundle, server) as served:
        scores = [result.score for result in served.inspect_batch([handmade.grey(value) for value in range(5)])]
    assert scores == pytest.approx([value / 255 for value in range(5)], abs=1e-6)


def test_a_server_that_went_away_is_an_error_until_it_is_back(tiny_bundle: Path, server: Server) -> None:
    with load(tiny_bundle, server) as inspector:
        server.stop()
        for _ in range(2):
            with pytest.raises(UnreachableError, match=rf"the Triton server at 127.0.0.1:{server.port} is not to be"):
                inspector.inspect(handmade.grey(7))
        server.start()
        assert inspector.inspect(handmade.grey(7)).score == pytest.approx(7 / 255, abs=1e-6)


def test_a_server_that_was_started_again_between_two_frames_is_found_at_once(tiny_bundle: Path, server: Server) -> None:
    with load(tiny_bundle, server) as inspector:
        inspector.inspect(handmade.grey(7))
        server.stop()
        server.start()
        assert inspector.inspect(handmade.grey(8)).score == pytest.approx(8 / 255, abs=1e-6)


def test_whoever_waits_for_the_server_is_told_of_it_and_of_its_return(tiny_bundle: Path, server: Server) -> None:
    told: list[str | None] = []

    def retry(error: UnreachableError | None) -> bool:
        told.append(None if error is None else str(error))
        if len(told) == 2:
            server.start()
        return True

    with load(tiny_bundle, server, retry=retry) as inspector:
        server.stop()
        assert inspector.inspect(handmade.grey(9)).score == pytest.approx(9 / 255, abs=1e-6)
    assert len(told) == 3
    assert told[0] is not None
    assert told[2] is None


@needs_openssl
def test_with_tls_only_a_server_of_an_authority_that_is_trusted_is_asked(tiny_bundle: Path, tmp_path: Path) -> None:
    write_triton_repository(tiny_bundle, tmp_path / "repository")
    authority = Authority(tmp_path)
    code = "import sys, clipspect; print(clipspect.load(sys.argv[1], backend='triton', url=sys.argv[2]).device)"
    with Server(tmp_path / "repository", authority.issue("server")) as server:
        command = [sys.executable, "-c", code, tiny_bundle, server.url]
        trusting = {**os.environ, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(authority.certificate)}
        good = subprocess.run(command, env=trusting, capture_output=True, text=True, check=True, timeout=120)
        assert good.stdout == "cpu\n"
        refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert "UnreachableError" in refused.stderr
        assert "CERTIFICATE_VERIFY_FAILED" in refused.stderr


def test_an_answer_that_is_late_is_an_error(tiny_bundle: Path, server: Server) -> None:
    server.stop()
    server.delay = 30.0
    server.start()
    late = pytest.raises(UnreachableError, match=r"has not answered within 0\.5 s")
    with load(tiny_bundle, server, deadline=0.5) as inspector, late:
        inspector.inspect(handmade.grey(1))


def nan(answer: Any) -> None:
    for place, tensor in enumerate(answer.outputs):
        if tensor.name == "score":
            answer.raw_output_contents[place] = np.array([np.nan], np.float32).tobytes()


def one_score_more(answer: Any) -> None:
    for place, tensor in enumerate(answer.outputs):
        if tensor.name == "score":
            tensor.shape[0] = 2
            answer.raw_output_contents[place] += bytes(4)


def cut_short(answer: Any) -> None:
    answer.raw_output_contents[0] = answer.raw_output_contents[0][:-4]


def without_values(answer: Any) -> None:
    del answer.raw_output_contents[:]


def without_a_score(answer: Any) -> None:
    answer.outputs[0].name = "other"


def as_text(answer: Any) -> None:
    answer.outputs[0].datatype = "BYTES"


def of_another_model(answer: Any) -> None:
    answer.model_name = "resnet"


def of_another_version(answer: Any) -> None:
    answer.model_version = "9"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (nan, "answered NaN or infinity in score"),
        (one_score_more, "answered another score than the manifest of model.onnx says"),
        (cut_short, "bytes"),
        (without_values, "tensors without their values"),
        (without_a_score, "answered"),
        (as_text, "as BYTES"),
        (of_another_model, "answered for resnet version 1, asked for clipspect-"),
        (of_another_version, "version 9, asked for"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_no_result(
    tiny_bundle: Path, server: Server, change: Callable[[Any], None], words: str
) -> None:
    with load(tiny_bundle, server) as inspector:
        server.change = change
        with pytest.raises(BackendError, match=words) as refusal:
            inspector.inspect(handmade.grey(1))
        assert not isinstance(refusal.value, UnreachableError)
        server.change = lambda answer: None
        assert inspector.inspect(handmade.grey(1)).score == pytest.approx(1 / 255, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "needs the server's address: --url grpc://host:8001"),
        ({"url": "http://host:8000"}, "url: expected grpc://host:8001"),
        ({"url": "grpc://host"}, "url: expected grpc://host:8001"),
        ({"url": "grpc://host:70000"}, "url: expected grpc://host:8001"),
        ({"url": "grpc://user:password@host:8001"}, "url: expected grpc://host:8001"),
        ({"url": "grpc://host:8001", "deadline": 0}, "deadline: expected seconds above 0"),
        ({"url": "grpc://host:8001", "device": "npu"}, "device: a Triton server has cpu, cuda, tensorrt"),
        ({"url": "grpc://host:8001", "threads": 2}, "has no option 'threads'"),
    ],
)
def test_options_that_cannot_be_are_refused(tiny_bundle: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(BackendError, match=re.escape(words)):
        clipspect.load(tiny_bundle, backend="triton", **options)


def test_what_the_server_does_not_compute_with_is_refused(tiny_bundle: Path, server: Server) -> None:
    with pytest.raises(BackendError, match="computes on cpu, asked for cuda"):
        load(tiny_bundle, server, device="cuda")
    with pytest.raises(BackendError, match="computes in fp32, asked for bf16"):
        load(tiny_bundle, server, precision="bf16")


def test_a_server_is_taken_by_name_alone(tiny_bundle: Path, server: Server) -> None:
    with clipspect.load(tiny_bundle) as inspector:
        assert inspector.backend != "triton"
    with pytest.raises(BackendError, match=r"url: is of an engine on a server.*add --backend triton"):
        clipspect.load(tiny_bundle, url=server.url)


def test_text_is_not_served_and_the_error_says_what_encodes_it(full_bundle: Path, server: Server) -> None:
    with pytest.raises(
        BackendError, match=r"text\.onnx: is no graph .* that triton serves: take .* --backend onnxruntime"
    ):
        clipspect.make_recipe(full_bundle, "nut", object="metal nut", backend="triton", url=server.url)


def test_limits_of_another_engine_are_widened_and_those_of_the_server_are_not(
    tiny_bundle: Path, server: Server
) -> None:
    limits = clipspect.Limits(0.25, 0.75)
    calibrate_object(tiny_bundle, limits)
    with load(tiny_bundle, server) as inspector:
        assert inspector.limits is not None
        assert inspector.limits.review < limits.review
        assert inspector.limits.reject > limits.reject
    calibrate_object(tiny_bundle, limits, backend="triton")
    with load(tiny_bundle, server) as inspector:
        assert inspector.limits == limits


def test_limits_say_nothing_of_a_precision_without_a_record(tiny_bundle: Path, tmp_path: Path) -> None:
    calibrate_object(tiny_bundle, clipspect.Limits(0.25, 0.75))
    write_triton_repository(tiny_bundle, tmp_path / "repository")
    with Server(tmp_path / "repository") as server:
        for config in server.repository.configs.values():
            config.parameters["clipspect_precision"].string_value = "tf32"
        with pytest.raises(RecipeError, match="say nothing of triton on cpu in tf32"):
            load(tiny_bundle, server, precision="tf32")
        assert DEVICE in config.parameters
