from __future__ import annotations

import numpy as np
import pytest

from samari.engine.prediction import Prediction
from samari.errors import InputError


def three(chosen: int = 0) -> Prediction:
    masks = np.zeros((3, 6, 7), bool)
    masks[0, 1:3, 2:5] = True
    masks[1, 4, 6] = True
    scores = np.array([0.2, 0.9, 0.4], np.float32)
    return Prediction.of(masks, scores, np.zeros((3, 8, 8), np.float32), chosen)


def test_best_is_the_highest_score():
    """Trap 16."""
    prediction = three()
    assert prediction.best_index == 1
    assert prediction.best.sum() == 1
    assert prediction.best[4, 6]


def test_the_chosen_mask_may_be_another_one():
    prediction = three(chosen=0)
    assert prediction.mask.sum() == 6
    assert prediction.score == pytest.approx(0.2)


def test_boxes_hold_their_masks():
    prediction = three()
    assert [prediction.bbox(i) for i in range(3)] == [(1, 2, 3, 5), (4, 6, 5, 7), None]


@pytest.mark.parametrize(
    ("scores", "logits", "chosen"), [(2, 3, 0), (3, 2, 0), (3, 3, 3), (3, 3, -1)]
)
def test_what_does_not_belong_together_is_refused(scores, logits, chosen):
    with pytest.raises(InputError, match="3 masks"):
        Prediction.of(np.zeros((3, 2, 2), bool), np.zeros(scores), np.zeros((logits, 1, 1)), chosen)
