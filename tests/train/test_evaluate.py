from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from samari.errors import InputError
from samari.train.baselines import OtsuComponents, filled_box, inscribed_ellipse
from samari.train.evaluate import (
    MEASURES,
    Scores,
    as_text,
    bootstrap,
    evaluate,
    iou,
    objects_of,
    report,
)
from samari.train.prompts import object_box

if TYPE_CHECKING:
    from pathlib import Path

    from samari.train.data import Sample


def test_iou_of_half_overlapping_masks() -> None:
    a, b = np.zeros((2, 4, 4), bool)
    a[:, :2] = True
    b[:, 1:3] = True
    assert iou(a, b) == pytest.approx(1 / 3)
    assert iou(a, a) == 1.0
    assert iou(a, ~a) == 0.0


def test_a_rectangle_is_its_own_filled_box() -> None:
    mask = np.zeros((20, 20), bool)
    mask[3:9, 5:16] = True
    assert np.array_equal(filled_box(object_box(mask), mask.shape), mask)


def test_a_disc_is_nearly_the_ellipse_inscribed_in_its_box() -> None:
    rows, cols = np.mgrid[:60, :60]
    disc = (rows - 30) ** 2 + (cols - 28) ** 2 <= 20**2
    assert iou(inscribed_ellipse(object_box(disc), disc.shape), disc) > 0.95


def test_the_otsu_component_is_the_clicked_disc_alone(discs: Sample) -> None:
    found = OtsuComponents(discs.image).under((18.0, 18.0))
    assert np.array_equal(found, discs.labels == 1)


def test_the_otsu_component_under_a_dark_click_is_dark(discs: Sample) -> None:
    inverted = OtsuComponents(255 - discs.image).under((18.0, 18.0))
    assert np.array_equal(inverted, discs.labels == 1)


def test_a_flat_image_is_one_component() -> None:
    assert OtsuComponents(np.full((8, 8, 3), 9, np.uint8)).under((2.0, 2.0)).all()


def test_small_objects_are_not_scored() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[:5, :5], labels[10:16, 10:15] = 1, 2
    assert [int(mask.sum()) for mask in objects_of(labels)] == [30]


def test_the_mean_is_over_objects_and_the_interval_over_images() -> None:
    figure = bootstrap([[1.0, 1.0, 1.0], [0.0]])
    assert figure.mean == pytest.approx(0.75)
    assert (figure.low, figure.high) == (0.0, 1.0)
    assert (figure.objects, figure.images) == (4, 2)


def test_equal_objects_have_an_interval_of_no_width() -> None:
    figure = bootstrap([[0.5, 0.5], [0.5]])
    assert figure.low == figure.mean == figure.high == 0.5


def test_evaluation_prints_every_measure_on_the_same_objects(
    tiny_model_folder: Path, discs: Sample
) -> None:
    from samari.engine.predict import Segmenter

    seen: list[str] = []
    scores = evaluate(Segmenter(tiny_model_folder), [discs], progress=seen.append)
    figures = report(scores)
    assert list(figures) == list(MEASURES)
    assert {figure["objects"] for figure in figures.values()} == {3}
    assert figures["click_1_otsu"]["mean"] == 1.0
    assert figures["click_1_oracle"]["mean"] >= figures["click_1"]["mean"]
    assert 0.7 < figures["box_filled"]["mean"] < figures["box_ellipse"]["mean"]
    assert seen == ["test/0"]
    json.dumps(figures)
    assert all(what in as_text(scores) for what in MEASURES.values())


def test_nothing_to_score_is_an_error(tiny_model_folder: Path) -> None:
    from samari.engine.predict import Segmenter

    with pytest.raises(InputError, match="no object"):
        evaluate(Segmenter(tiny_model_folder), [])


def test_an_unknown_measure_is_named() -> None:
    with pytest.raises(InputError, match="click_9"):
        Scores().figure("click_9")
