"""What a script may get wrong is refused in words that name the value."""

from __future__ import annotations

import numpy as np
import pytest

from samari.engine.session import Session
from samari.errors import ExportError, InputError


@pytest.fixture
def session(discs):
    session = Session(np.zeros((20, 30), np.uint8), segmenter=discs)
    session.add_point((5, 5))
    return session


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s: s.choose("a"), "a candidate must be a whole number, not 'a'"),
        (lambda s: s.choose(None), "not None"),
        (lambda s: s.choose(0.5), "not 0.5"),
        (lambda s: s.merge("a", 2), "a label must be a whole number, not 'a'"),
        (lambda s: s.merge(1, None), "a label must be a whole number, not None"),
        (lambda s: s.delete(1.5), "not 1.5"),
        (lambda s: s.reopen("x"), "not 'x'"),
        (lambda s: s.brush(np.ones((2, 2), bool), "x"), "not 'x'"),
        (lambda s: s.brush(np.ones((2, 2), bool), 1, ("y", 0)), "index must be .* not 'y'"),
        (lambda s: s.brush(np.ones((2, 2), bool), 1, (19, 0)), "reaches beyond labels"),
        (lambda s: s.brush(np.ones((2, 2)), 1), "float64 .* must be boolean"),
        (lambda s: s.add_mask(None), "not None"),
        (lambda s: s.add_polygon(3), "the corners of a polygon must be a sequence, not 3"),
        (lambda s: s.set_pending(3), "pending objects must be a sequence, not 3"),
        (lambda s: s.set_pending([3]), r"must be of type PendingObject, not \[3\]"),
        (lambda s: Session.restore(None, np.zeros((4, 4))), "a journal must be the path .* None"),
        (
            lambda s: Session(np.zeros((4, 4)), segmenter=s.segmenter, journal=3),
            "journal must .* 3",
        ),
    ],
)
def test_a_wrong_value_is_named(session, call, says):
    before = session.labels.copy(), session.pending, len(session.history)
    with pytest.raises(InputError, match=says):
        call(session)
    np.testing.assert_array_equal(session.labels, before[0])
    assert (session.pending, len(session.history)) == before[1:]


@pytest.mark.parametrize("path", [None, 3, b"bytes.tif"])
def test_a_name_that_is_none_cannot_be_saved_to(session, path):
    with pytest.raises(ExportError, match="must be the path of a file"):
        session.save(path)


def test_ids_that_no_tiff_holds_are_told_when_the_session_opens(discs):
    labels = np.zeros((20, 30), np.uint64)
    labels[0, 0] = 2**32
    with pytest.warns(RuntimeWarning, match=r"4294967296.*32 bits.*renumber"):
        Session(np.zeros((20, 30)), labels=labels, segmenter=discs)
    labels[0, 0] = 2**32 - 1
    Session(np.zeros((20, 30)), labels=labels, segmenter=discs)
