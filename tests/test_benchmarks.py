"""The benchmarks, which are run by hand, import what there is."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from samari.train.config import load_config

FILES = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_a_benchmark_imports_of_samari_is_there(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("samari"):
            continue
        module = importlib.import_module(node.module or "")
        for name in node.names:
            if not hasattr(module, name.name):
                importlib.import_module(f"{node.module}.{name.name}")


def test_the_left_out_training_is_that_of_the_bundled_model_without_two_sets() -> None:
    left_out = load_config(FILES[0].parent / "left_out.json")
    bundled = load_config(FILES[0].parents[1] / "src/samari/train/samari-tiny.json")
    # The network of the fourth edition; those after it have three more blocks.
    encoder = {"num_hidden_layers": 6, "global_attn_indexes": [2, 5]}
    before = {**bundled.model["vision_config"], **encoder}
    assert left_out.model == {**bundled.model, "vision_config": before}
    assert set(bundled.weights) - set(left_out.weights) == {"usiigaci", "fibsem_medulla"}
