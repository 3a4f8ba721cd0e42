"""Curves of a training run: its losses, and its figures on validation images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.errors import InputError
from samari.train.loop import LOG

if TYPE_CHECKING:
    from pathlib import Path

#: Lines of the log whose mean is drawn.
_SMOOTH = 5


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log, in the order of their steps.

    What a killed run had logged after the checkpoint from which it was resumed is left out.

    Raises
    ------
    InputError
        There is no log, or nothing in it.
    """
    path = folder / LOG
    if not path.is_file():
        raise InputError(f"no {LOG} in {folder}: give the folder of a training run")
    lines: list[dict[str, Any]] = []
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue  # the last line of a run that was killed while it wrote
        kind = "validation" in line
        # At one step there may be a line of the losses and one of a look, and no more.
        while lines and lines[-1]["step"] > line["step"]:
            lines.pop()
        same = [one for one in lines[-2:] if one["step"] == line["step"]]
        if any(("validation" in one) == kind for one in same):
            del lines[len(lines) - len(same) :]
        lines.append(line)
    if not lines:
        raise InputError(f"{path} is empty: the run has not logged a step yet")
    return lines


def draw(log: list[dict[str, Any]], path: Path) -> None:
    """Draw losses and validation figures.

    Parameters
    ----------
    log : list of dict
        See `read_log`.
    path : Path
        Its name's end says the format.

    Raises
    ------
    InputError
        matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("drawing curves needs matplotlib: pip install matplotlib") from error
    looks = [line for line in log if "validation" in line]
    figure = Figure(figsize=(12 if looks else 5, 4), layout="constrained")
    panels = figure.subplots(1, 2 if looks else 1, squeeze=False)[0]
    _draw_training(panels[0], log)
    if looks:
        _draw_validation(panels[1], looks)
    figure.savefig(path, dpi=120)


def _draw_training(axes: Any, log: list[dict[str, Any]]) -> None:
    for name, label in (("loss", "loss"), ("click", "IoU, click"), ("box", "IoU, box")):
        steps, values = _smoothed([line for line in log if name in line], name)
        if len(steps):
            axes.plot(steps, values, label=label)
    axes.set(title="training, mean of 5 lines of the log", xlabel="steps")
    if axes.lines:
        axes.legend()


def _draw_validation(axes: Any, looks: list[dict[str, Any]]) -> None:
    names = sorted({name for line in looks for name in line["validation"]})
    for number, name in enumerate(names):
        lines = [line for line in looks if name in line["validation"]]
        steps = [line["step"] for line in lines]
        for measure, style in (("click", "-"), ("box", "--")):
            values = [line["validation"][name][measure] for line in lines]
            label = name if measure == "click" else None
            axes.plot(steps, values, style, color=f"C{number}", label=label)
    axes.set(title="validation: IoU from a click, dashed: a box", xlabel="steps")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def _smoothed(lines: list[dict[str, Any]], name: str) -> tuple[Any, Any]:
    """Return steps and running means of a figure."""
    values = np.array([line[name] for line in lines])
    window = min(_SMOOTH, max(len(values), 1))
    if not len(values):
        return values, values
    means = np.convolve(values, np.full(window, 1 / window), "valid")
    return np.array([line["step"] for line in lines])[window - 1 :], means
