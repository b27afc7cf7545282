from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import open_clip
import pytest
import timm

from clipspect.bundle.presets import preset_names, read_preset
from clipspect_export.towers.dino_weights import hub_file
from clipspect_export.towers.hub import one_place
from seeded.published import CRANE

NOBODY = "http://127.0.0.1:9"  # a proxy that refuses, so that the tests fail to download where there is a network, too


def test_without_a_network_the_error_is_one_line_and_says_what_to_fetch_for_weights(tmp_path: Path) -> None:
    code = (
        "from clipspect.cli import main\n"
        "assert main(['export', 'winclip']) == 1\n"
        f"assert main(['export', 'anomalyclip', '--checkpoint', {str(CRANE)!r}]) == 1\n"
    )
    nowhere = dict.fromkeys(("https_proxy", "HTTPS_PROXY"), NOBODY) | dict.fromkeys(("HOME", "HF_HOME"), str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | nowhere, capture_output=True, text=True, check=True
    )
    release, hub = done.stderr.splitlines()
    assert "weights 'laion400m_e32' of ViT-B-16-plus-240 could not be fetched" in release
    assert "fetch https://github.com/mlfoundations/open_clip/releases/" in release
    assert "weights 'openai' of ViT-L-14-336 could not be fetched" in hub
    assert "fetch https://huggingface.co/timm/" in hub
    assert all(line.endswith("and give the file: --weights FILE") for line in (release, hub))
    assert not list(tmp_path.glob("*.bundle"))


@pytest.mark.parametrize("name", preset_names())
def test_a_presets_tag_is_fetched_from_a_place_that_is_named_after_it(name: str) -> None:
    backbone = read_preset(name).backbone
    if timm.is_model(backbone.name):  # of DINOv2; open_clip's names are its own
        record = timm.get_pretrained_cfg(f"{backbone.name}.{backbone.weights}")
        assert hub_file(backbone.name) == f"{record.hf_hub_id}/model.safetensors"
        return
    place = one_place(open_clip.get_pretrained_cfg(backbone.name, backbone.weights), backbone.weights)
    assert len({"url", "hf_hub"} & place.keys()) == 1
    assert backbone.weights in place.get("url", place.get("hf_hub"))


def test_the_hub_is_asked_unless_the_release_alone_is_named_after_the_tag() -> None:
    both = {"url": "https://a/b-e32-1234.pt", "hf_hub": "a/b.e32/", "mean": 0}
    assert one_place(both, "e32") == {"hf_hub": "a/b.e32/", "mean": 0}
    assert one_place({**both, "hf_hub": "a/b.e31/"}, "e32") == {"url": "https://a/b-e32-1234.pt", "mean": 0}
    assert one_place({**both, "hf_hub": ""}, "fullcc") == {"url": "https://a/b-e32-1234.pt", "mean": 0}
    assert one_place({"hf_hub": "a/other/"}, "e32") == {"hf_hub": "a/other/"}
