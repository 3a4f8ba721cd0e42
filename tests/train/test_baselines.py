from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from samari.train.baselines import (
    CLICK_BASELINES,
    LocalFlood,
    OtsuComponents,
    RandomWalker,
    SeededWatershed,
    filled_box,
    inscribed_ellipse,
)
from samari.train.measures import iou
from samari.train.prompts import object_box

if TYPE_CHECKING:
    from samari.train.data import Sample


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


@pytest.mark.parametrize("name", CLICK_BASELINES)
@pytest.mark.parametrize("inverted", [False, True])
def test_every_baseline_finds_a_plain_disc(discs: Sample, name: str, inverted: bool) -> None:
    """So the marks are no straw men: where the task is easy, they do it."""
    image = 255 - discs.image if inverted else discs.image
    found = CLICK_BASELINES[name](image).under((18.0, 18.0))
    assert found.shape == discs.labels.shape
    assert iou(found, discs.labels == 1) > 0.75


@pytest.mark.parametrize("make", [SeededWatershed, RandomWalker, LocalFlood])
@pytest.mark.parametrize("click", [(0, 0), (4, 6)])
def test_clicks_at_the_corner_of_a_small_flat_image_are_answered(make, click) -> None:
    found = make(np.full((5, 7, 3), 90, np.uint8)).under(click)
    assert found.shape == (5, 7)
    assert found[click]


def test_what_lies_beyond_the_window_is_not_touched() -> None:
    image = np.full((200, 200, 3), 200, np.uint8)
    for make in (SeededWatershed, RandomWalker, LocalFlood):
        found = make(image, radius=10).under((100, 100))
        rows, cols = np.nonzero(found)
        assert rows.min() >= 90
        assert cols.max() <= 110
