"""Objects that are there keep their pixels, unless the user says that they may be overwritten."""

from __future__ import annotations

import numpy as np
import pytest

from samari.engine.events import SessionEvent
from samari.engine.session import Session
from samari.errors import LabelsError


def _session(discs, overwrite):
    labels = np.zeros((40, 60), np.int32)
    labels[:, 30:] = 7
    return Session(
        np.zeros((40, 60), np.uint8), labels=labels, segmenter=discs, overwrite=overwrite
    )


def test_by_default_a_mask_takes_background_only(discs):
    """Trap 22."""
    session = _session(discs, overwrite=False)
    before = session.labels.copy()
    session.add_point((20, 30))
    session.accept()
    np.testing.assert_array_equal(session.labels[before == 7], 7)


def test_overwriting_takes_pixels_of_others_and_undo_gives_them_back(discs):
    session = _session(discs, overwrite=True)
    before = session.labels.copy()
    session.add_point((20, 30))
    mask = session.candidates.mask.copy()
    assert session.accept() == [8]
    np.testing.assert_array_equal(session.labels == 8, mask)
    session.undo()
    np.testing.assert_array_equal(session.labels, before)
    session.redo()
    np.testing.assert_array_equal(session.labels == 8, mask)


def test_objects_accepted_together_do_not_overwrite_each_other(discs):
    """Trap 22."""
    session = _session(discs, overwrite=True)
    session.add_box((5, 5), (20, 20))
    first = session.candidates.mask.copy()
    session.add_box((5, 5), (25, 25))
    assert session.accept() == [8, 9]
    np.testing.assert_array_equal(session.labels == 8, first)


def test_an_object_that_was_overwritten_wholly_is_forgotten_until_undo(discs):
    session = _session(discs, overwrite=True)
    session.add_point((20, 15))
    (small,) = session.accept()
    events = []
    session.connect(events.append)
    session.add_point((20, 15))
    session.choose(int(np.argmax(session.candidates.masks.sum(axis=(1, 2)))))
    (large,) = session.accept()
    assert not (session.labels == small).any()
    assert small not in session.objects
    assert SessionEvent("objects", labels=frozenset({small, large})) in events
    session.undo()
    assert small in session.objects
    assert (session.labels == small).any()


def test_the_option_can_be_changed_between_two_accepts(discs):
    session = _session(discs, overwrite=False)
    session.add_point((20, 50))
    with pytest.raises(LabelsError, match="wholly covered by object 7"):
        session.accept()
    session.overwrite = True
    assert session.accept() == [8]
