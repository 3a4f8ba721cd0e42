"""Contours: as wide as asked for, closed at the edge of the plane, cut out of large planes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from samari.engine.prediction import Prediction
from samari.plugin.outlines import Outline, inner


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (40, 30)])
def test_the_inside_is_an_erosion(width: int, shape: tuple[int, int]) -> None:
    mask = np.random.default_rng(1).random(shape) < 0.9
    mask[5:25, 5:25] = True
    before = mask.copy()
    np.testing.assert_array_equal(inner(mask, width), binary_erosion(mask, iterations=width))
    np.testing.assert_array_equal(mask, before)


def test_a_mask_is_drawn_where_it_is_with_its_contour() -> None:
    masks = np.zeros((1, 200, 300), bool)
    masks[0, 50:60, 100:120] = True
    scores, logits = np.ones(1, np.float32), np.zeros((1, 1, 1), np.float32)
    outline = Outline.of(Prediction.of(masks, scores, logits, 0), edge=9, fill=4)
    assert outline is not None
    assert outline.box == (50, 100, 60, 120)
    picture = np.zeros((64, 64), np.uint8)
    outline.draw(picture, (40, 90), width=2)
    whole = np.zeros((200, 300), np.uint8)
    whole[40:104, 90:154] = picture
    np.testing.assert_array_equal(whole > 0, masks[0])
    np.testing.assert_array_equal(whole == 4, binary_erosion(masks[0], iterations=2))


def test_a_contour_alone_leaves_what_is_inside() -> None:
    picture = np.full((8, 8), 7, np.uint8)
    Outline((2, 2), np.ones((4, 4), bool), edge=9, fill=0).draw(picture, (0, 0), width=1)
    assert (picture == 9).sum() == 12
    assert (picture == 7).sum() == 64 - 12


def test_an_empty_mask_has_no_outline() -> None:
    nothing = Prediction.of(
        np.zeros((1, 9, 9), bool), np.ones(1, np.float32), np.zeros((1, 1, 1), np.float32), 0
    )
    assert Outline.of(nothing, 9, 4) is None
