"""The table of models says everything a user and the dock need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from samari.sam import vit_config
from samari.zoo import MODELS
from samari.zoo.paths import checked_name


def test_table_has_the_models_that_were_promised() -> None:
    assert list(MODELS) == [
        "samari-tiny",
        "sam-vit-base",
        "sam-vit-large",
        "sam-vit-huge",
        "vit_b_lm",
        "vit_l_lm",
        "vit_b_em_organelles",
        "vit_l_em_organelles",
        "medsam",
    ]


@pytest.mark.parametrize("name", list(MODELS))
def test_entry_is_complete(name: str) -> None:
    info = MODELS[name]
    assert info.name == checked_name(name)
    assert info.good_for
    assert len(info.good_for) <= 72
    assert re.search(r"\(20\d\d\)", info.citation)
    assert info.licence in {"BSD-3-Clause", "Apache-2.0", "CC-BY-4.0"}
    assert 1e6 < info.size_bytes < 3e9
    assert info.files
    if info.config is not None:
        vit_config(info.config)
    for file in info.files:
        if info.source == "address":
            # Over an open line, or without a hash, nobody could tell what came.
            assert file.address.startswith("https://")
            assert file.digest is not None
            kind, _, value = file.digest.partition(":")
            assert len(value) == {"sha256": 64, "xxh128": 32, "md5": 32}[kind]
            assert int(value, 16)
        else:
            assert not file.address
    assert bool(info.hub_id) == (info.source == "hub")


@pytest.mark.parametrize("name", list(MODELS))
def test_documentation_says_the_same(name: str) -> None:
    info = MODELS[name]
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
    assert f"| {info.good_for} |" in row
    assert f"| {info.licence} |" in row
    assert info.hub_id in row
    for file in info.files:
        assert file.digest is None or file.digest.partition(":")[2] in text
