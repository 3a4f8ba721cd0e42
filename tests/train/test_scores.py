from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from samari.errors import InputError
from samari.train.report import as_markdown, as_text, report
from samari.train.scores import MEASURES, Scores, bootstrap

if TYPE_CHECKING:
    from samari.train.data import Sample


def test_the_mean_is_over_objects_and_the_interval_over_images() -> None:
    figure = bootstrap([[1.0, 1.0, 1.0], [0.0]])
    assert figure.mean == pytest.approx(0.75)
    assert (figure.low, figure.high) == (0.0, 1.0)
    assert (figure.objects, figure.images) == (4, 2)


def test_equal_objects_have_an_interval_of_no_width() -> None:
    figure = bootstrap([[0.5, 0.5], [0.5]])
    assert figure.low == figure.mean == figure.high == 0.5


def test_an_unknown_measure_is_named() -> None:
    with pytest.raises(InputError, match="click_9"):
        Scores().figure("click_9")


@pytest.fixture
def scores(discs: Sample) -> Scores:
    """Give two images of one modality and one of another; the box is better than its ellipse."""
    found = Scores()
    for group, modality, values in (
        ("a", "bright", (0.9, 0.7)), ("b", "bright", (0.5,)), ("c", "dark", (0.3,)),
    ):  # fmt: skip
        sample = replace(discs, group=group, modality=modality)
        for value in values:
            found.add("box", sample, value)
            found.add("box_ellipse", sample, value - 0.2)
            found.add("click_1", sample, value / 2)
            found.add("click_1_oracle", sample, value)
    return found


def test_differences_are_paired(scores: Scores) -> None:
    """The objects vary by 0.6, the difference not at all: its interval has no width."""
    figure = scores.difference("box", "box_ellipse")
    assert figure.mean == pytest.approx(0.2)
    assert figure.high - figure.low < 1e-12
    assert (figure.objects, figure.images) == (4, 3)


def test_images_of_one_acquisition_are_drawn_together(discs: Sample) -> None:
    """Four images, two of each acquisition: two are drawn. All of one: each image is."""
    images = [replace(discs, key=str(i), group="ab"[i // 2]) for i in range(4)]
    both, one = Scores(), Scores()
    for i, image in enumerate(images):
        both.add("box", image, i / 4)
        if image.group == "a":
            one.add("box", image, i / 4)
    assert both.figure("box").images == 2
    figure = one.figure("box")
    assert (figure.images, figure.low, figure.high) == (2, 0.0, 0.25)


def test_differences_of_other_objects_are_refused(scores: Scores, discs: Sample) -> None:
    scores.add("box", discs, 0.5)
    with pytest.raises(InputError, match="same objects"):
        scores.difference("box", "box_ellipse")


def test_modalities_have_figures_of_their_own(scores: Scores) -> None:
    assert scores.modalities == ["bright", "dark"]
    assert scores.figure("box", "bright").mean == pytest.approx(0.7)
    assert scores.figure("box", "dark").mean == pytest.approx(0.3)
    assert scores.figure("box").objects == 4
    with pytest.raises(InputError, match="box"):
        scores.figure("box", "purple")


def test_the_report_has_everything(scores: Scores) -> None:
    data = report(scores)
    assert data["measures"]["box"]["mean"] == pytest.approx(0.6)
    assert data["measures"]["box"]["what"] == MEASURES["box"]
    assert data["better by"]["box"]["box_ellipse"]["mean"] == pytest.approx(0.2)
    assert data["score loss"]["mean"] == pytest.approx(0.3)
    assert data["modalities"]["dark"]["box"]["objects"] == 1
    assert "box_filled" not in data["measures"]


def test_the_text_tells_what_each_line_is(scores: Scores) -> None:
    text = as_text(scores)
    assert text.count(MEASURES["box_ellipse"]) == 2  # itself, and the difference to it
    assert "0.600   [0.300, 0.800]   4" in text
    single = as_text(Scores({"box": scores.records["box"][:1]}))
    assert single.splitlines()[1].split() == ["box", "0.900", "one", "image", "1"]
    assert "better by" not in single


def test_markdown_has_a_column_for_each_set_and_modality(scores: Scores) -> None:
    single = Scores({"box": scores.records["box"][:1]})
    lines = as_markdown({"nuclei": scores, "cells": single}).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["", "nuclei", "nuclei, bright", "nuclei, dark", "cells"]
    assert cells[2] == ["objects (images)", "4 (3)", "3 (2)", "1 (1)", "1 (1)"]
    rows = {row[0]: row[1:] for row in cells}
    assert rows[MEASURES["box"]][0] == "0.600 (0.300 to 0.800)"
    assert rows[MEASURES["box"]][2:] == ["0.300", "0.900"]
    assert rows[MEASURES["box_ellipse"]][3] == ""
    assert len({len(row) for row in cells}) == 1
