"""The demo as a user starts it: a real napari, on a virtual screen of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from skimage.data import coins

from samari.cli import main
from samari.demo import BOXES, POINTS
from samari.engine.export import read_labels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def test_the_demo_saves_what_it_prompted_without_a_screen(
    tmp_path: Path, figure: Callable[[str, float, str], None]
) -> None:
    output, picture = tmp_path / "labels.ome.tif", tmp_path / "demo.png"
    environment = {k: v for k, v in os.environ.items() if k not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "samari", "demo", "-o", str(output), "--screenshot", str(picture)],
        env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    figure("samari demo", time.perf_counter() - started, "s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout
    assert re.search(r"^(\d+) objects", done.stdout, re.MULTILINE)[1] == "8"
    assert str(output) in done.stdout

    labels = read_labels(output).labels
    assert labels.shape == coins().shape
    assert sorted(np.unique(labels)) == list(range(9))
    for number, (y, x) in enumerate(POINTS, start=1):
        assert labels[y, x] == number
    for number, (y0, x0, y1, x1) in enumerate(BOXES, start=1 + len(POINTS)):
        inside = labels[y0 : y1 + 1, x0 : x1 + 1] == number
        assert inside.sum() > 0.8 * (labels == number).sum()

    pixels = np.asarray(Image.open(picture).convert("RGB"))
    assert min(pixels.shape[:2]) > 500
    assert pixels.std() > 10


def test_without_a_screen_and_without_a_virtual_one_the_demo_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["demo", "-o", str(tmp_path / "a.tif")]) == 1
    assert "apt-get install xvfb" in capsys.readouterr().err
