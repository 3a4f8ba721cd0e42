"""A fresh process opens the dock: what is imported, where, and in which order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = Path(__file__).with_name("open_dock.py")


@pytest.fixture(scope="module")
def opening(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Open napari and the dock in a process of its own, click, and return what happened."""
    folder = tmp_path_factory.mktemp("opening")
    done = subprocess.run(
        [sys.executable, str(_PROGRAM), str(folder)], stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_torch_and_the_model_are_loaded_on_the_inference_thread(
    opening: dict[str, object],
) -> None:
    assert opening["threads"] == {
        "torch": "samari-inference",
        "safetensors": "samari-inference",
        "samari.engine.predict": "samari-inference",
    }


def test_nothing_is_imported_that_the_first_mask_does_not_need(
    opening: dict[str, object],
) -> None:
    assert opening["needless"] == []


def test_the_plane_is_asked_for_before_the_layers_are_built(opening: dict[str, object]) -> None:
    order = opening["order"]
    assert isinstance(order, list)
    assert order.index("encode") < order.index("Points")
    assert order.index("torch") < order.index("encode")


def test_the_first_click_has_its_mask(opening: dict[str, object]) -> None:
    pixels = opening["pixels"]
    assert isinstance(pixels, int)
    assert pixels > 0
