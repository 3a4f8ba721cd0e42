from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from samari.errors import InputError
from samari.train.curves import draw, read_log

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, *lines: dict[str, Any]) -> None:
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_lines_after_the_checkpoint_of_a_resumed_run_are_left_out(tmp_path: Path) -> None:
    look = {"step": 40, "validation": {}}
    lost = [{"step": 20, "loss": 0}, {"step": 40, "loss": 1}, look, {"step": 60, "loss": 2}]
    again = [{"step": 40, "loss": 3}, look, {"step": 60, "loss": 4}, {"step": 80, "loss": 5}]
    write(tmp_path, *lost, *again)
    with (tmp_path / "log.jsonl").open("a") as stream:
        stream.write('{"step": 100, "lo')
    assert read_log(tmp_path) == [lost[0], *again]


def test_a_folder_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no log\.jsonl in .* training run"):
        read_log(tmp_path)
    write(tmp_path)
    with pytest.raises(InputError, match="is empty"):
        read_log(tmp_path)


def test_the_curves_are_drawn(tmp_path: Path) -> None:
    from PIL import Image

    log: list[dict[str, Any]] = []
    for step in range(20, 400, 20):
        log.append({"step": step, "loss": 1 / step, "click": 0.5, "box": 0.6})
    draw(log, tmp_path / "losses.png")
    log.append({"step": 400, "validation": {"a": {"click": 0.5, "box": 0.6}}})
    log.append({"step": 420, "validation": {"a": {"click": 0.6, "box": 0.7}}})
    draw(log, tmp_path / "all.png")
    losses, both = (np.asarray(Image.open(tmp_path / n)) for n in ("losses.png", "all.png"))
    # A second panel, and lines in it, where there were looks at validation images.
    assert both.shape[1] > 2 * losses.shape[1]
    for panel in (losses, *np.split(both, 2, axis=1)):
        coloured = np.ptp(panel[..., :3].astype(int), axis=2) > 60
        assert coloured.sum() > 100


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match="pip install matplotlib"):
        draw([{"step": 1, "loss": 1.0}], tmp_path / "curves.png")
