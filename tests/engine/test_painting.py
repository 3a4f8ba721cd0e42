from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from samari.engine.masks import boxed, pasted
from samari.engine.painting import Painting
from samari.engine.prompts import PlanePrompts
from samari.engine.session import Session
from samari.errors import InputError


class Square:
    """Answers with a square around the last point; a second positive point doubles it."""

    model_name, model_hash = "square", "0"
    picture_size = 1 << 20
    zoom_size = 0

    def encode_steps(self, rgb: Any) -> Any:
        yield from ()
        return rgb

    def predict_prompts(self, embedding: Any, prompts: PlanePrompts) -> Any:
        from samari.engine.prediction import Prediction

        assert prompts.painted is None  # the model never sees what was painted
        masks = np.zeros((3, *embedding.shape[:2]), bool)
        for y, x in np.array(prompts.points, int):
            for i, r in enumerate((3, 4, 5)):
                masks[i, y - r : y + r, x - r : x + r] = True
        choice = prompts.choice(prompts.n_steps - 1)
        scores = np.array([0.5, 0.9, 0.7], np.float32)
        return Prediction.of(masks, scores, np.zeros((3, 1, 1), np.float32), choice or 1)


@pytest.fixture
def session() -> Session:
    return Session(np.zeros((40, 40), np.uint8), segmenter=Square())  # type: ignore[arg-type]


def _painted_twice(session: Session) -> Any:
    session.add_point((20, 20))
    mask = session.candidates.mask.copy()
    mask[10, 10] = True
    session.paint(mask)
    mask[20, 20] = False
    session.paint(mask)
    return mask


def test_the_painted_mask_is_the_one_that_is_accepted(session: Session) -> None:
    mask = _painted_twice(session)
    np.testing.assert_array_equal(session.candidates.mask, mask)
    assert session.accept() == [1]
    np.testing.assert_array_equal(session.labels == 1, mask)
    assert session.objects[1].parts[0].prompts.painted is not None
    assert session.requests() == []


def test_every_stroke_is_a_step_that_undo_takes_back(session: Session) -> None:
    mask = _painted_twice(session)
    session.undo()
    assert session.candidates.mask[20, 20]
    assert session.candidates.mask[10, 10]
    session.undo()
    assert not session.candidates.mask[10, 10]
    session.redo()
    session.redo()
    np.testing.assert_array_equal(session.candidates.mask, mask)


def test_what_was_painted_outlives_another_point_another_candidate_and_reopening(
    session: Session,
) -> None:
    _painted_twice(session)
    session.add_point((30, 30))
    mask = session.candidates.mask
    assert mask[30, 30]
    assert mask[10, 10]
    assert not mask[20, 20]
    session.choose(2)
    assert session.candidates.mask[10, 10]
    assert session.candidates.mask[30, 34]
    session.accept()
    session.reopen(1)
    assert session.candidates.mask[10, 10]
    assert not session.candidates.mask[20, 20]


def test_painting_back_what_was_painted_is_no_painting(session: Session) -> None:
    session.add_point((20, 20))
    before = session.candidates.mask.copy()
    after = before.copy()
    after[10:12] = True
    session.paint(after)
    session.paint(before)
    painted = session.pending[0].newest.prompts.painted
    # The pixels were painted last as "not in the object", whatever the model says later.
    assert painted is not None
    assert not painted.added.any()
    np.testing.assert_array_equal(session.candidates.mask, before)


def test_a_painting_is_boxed_and_compares_by_content() -> None:
    before, after = np.zeros((1000, 1000), bool), np.zeros((1000, 1000), bool)
    after[400:410, 500:520] = True
    painting = Painting.between(before, after)
    assert painting is not None
    assert painting.added.shape == (10, 20)
    assert painting == Painting((400, 500), np.ones((10, 20), bool), np.zeros((10, 20), bool))
    assert PlanePrompts(((1, 1),), (1,), painted=painting) != PlanePrompts(((1, 1),), (1,))
    assert PlanePrompts(((1, 1),), (1,), painted=painting).asked == PlanePrompts(((1, 1),), (1,))
    for beneath in (before, after, before | (np.arange(1000) < 503)):
        painted = pasted(*painting.over(*boxed(beneath)), beneath.shape)
        np.testing.assert_array_equal(painted, beneath | after)


@pytest.mark.parametrize(
    ("mask", "match"),
    [(np.zeros((5, 5), bool), r"shape \(5, 5\), the plane \(40, 40\)"), (None, "no mask to paint")],
)
def test_what_cannot_be_painted_is_refused(session: Session, mask: Any, match: str) -> None:
    if mask is not None:
        session.add_point((20, 20))
    with pytest.raises(InputError, match=match):
        session.paint(np.zeros((40, 40), bool) if mask is None else mask)


def test_a_painting_beyond_the_plane_is_refused() -> None:
    painting = Painting((38, 0), np.ones((5, 5), bool), np.zeros((5, 5), bool))
    with pytest.raises(InputError, match="rows 38 to 43"):
        PlanePrompts(((1, 1),), (1,), painted=painting).check_fits((40, 40))
