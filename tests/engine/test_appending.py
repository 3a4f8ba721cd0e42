"""Appending what was found in parts, so that a window lives on between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from samari.engine.automatic import Automatic
from samari.engine.candidates import PlaneCandidates, Thresholds, pack
from samari.engine.commit import Origin
from samari.engine.everything import Everything
from samari.engine.history import Growing
from samari.engine.planes import ImagePlanes, PlaneIndex
from samari.errors import Cancelled, LabelsError

if TYPE_CHECKING:
    from pathlib import Path

    from samari.engine.candidates import Selection

FOUND = Everything((), Origin("m", "m1", None, None))


@pytest.fixture(autouse=True)
def _one_object_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samari.engine.automatic._PART_SECONDS", -1.0)


def chosen(*columns: int) -> Selection:
    """Squares of 6 x 6 pixels, in these columns of a plane of 8 x 40 pixels."""
    count = len(columns)
    return PlaneCandidates(
        plane=PlaneIndex("YX", ()),
        shape=(8, 40),
        points=np.array([(3, x + 3) for x in columns], float),
        candidates=np.zeros(count, np.int16),
        scores=np.full(count, 0.9, np.float32),
        stabilities=np.full(count, 0.9, np.float32),
        sizes=np.full(count, 36),
        boxes=np.array([(0, x, 6, x + 6) for x in columns], np.int32),
        packed=(pack(np.ones((6, 6), bool)),) * count,
    ).select(Thresholds())


def annotation(labels: np.ndarray | None = None) -> Automatic:
    return Automatic(ImagePlanes(np.zeros((8, 40), np.uint8)), labels)


def test_parts_give_what_one_step_gives() -> None:
    session = annotation()
    steps, seen = session.append_steps([chosen(0, 8, 16)], FOUND, Thresholds()), []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            labels = end.value
            break
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert labels == [1, 2, 3]
    assert np.count_nonzero(session.labels) == 3 * 36
    assert session.objects[2].parts[0].prompts.points == ((3.0, 11.0),)
    for part in session.history.newest.actions:
        assert part.details["objects"] == 3
        assert part.details["points_per_side"] == 32
    session.undo()
    assert not session.labels.any()
    assert len(session.objects) == 0


def test_pixels_taken_between_two_parts_stay_taken() -> None:
    session = annotation()
    steps = session.append_steps([chosen(0, 8, 16)], FOUND, Thresholds())
    next(steps)
    session.brush(np.ones((8, 10), bool), 77, (0, 7))
    before = session.labels.copy()
    list(steps)
    np.testing.assert_array_equal(session.labels[before > 0], before[before > 0])
    assert set(np.unique(session.labels)) == {0, 1, 77, 3}
    assert 2 not in session.objects


def test_nothing_chosen_is_no_step() -> None:
    session = annotation()
    assert list(session.append_steps([], FOUND, Thresholds())) == []
    assert not session.history.can_undo


def test_a_narrow_dtype_grows_and_the_listeners_hear_of_it() -> None:
    """Trap 23."""
    labels = np.zeros((8, 40), np.uint8)
    labels[7, 39] = 254
    session, replaced = annotation(labels), []
    session.connect(lambda event: replaced.append(event.replaced))
    list(session.append_steps([chosen(0, 8, 16)], FOUND, Thresholds()))
    assert any(replaced)
    assert session.labels.dtype == np.uint16
    assert set(np.unique(session.labels)) == {0, 254, 255, 256, 257}


def test_labels_on_disk_that_cannot_hold_the_ids_are_not_touched(tmp_path: Path) -> None:
    """Trap 23."""
    labels = np.memmap(tmp_path / "labels", np.uint8, "w+", shape=(8, 40))
    labels[7, 39] = 254
    session = annotation(labels)
    with pytest.raises(LabelsError, match="257"):
        list(session.append_steps([chosen(0, 8, 16)], FOUND, Thresholds()))
    assert set(np.unique(labels)) == {0, 254}
    assert session._state.store.next_label() == 255


def test_it_is_taken_back_unless_something_was_done_since() -> None:
    session, step = annotation(), Growing()
    steps = session.append_steps([chosen(0, 8, 16)], FOUND, Thresholds(), step)
    assert not session.take_back(step)
    next(steps)
    assert session.take_back(step)
    assert not session.labels.any()
    with pytest.raises(Cancelled):
        next(steps)
    step = Growing()
    next(session.append_steps([chosen(0, 8)], FOUND, Thresholds(), step))
    session.brush(np.ones((2, 2), bool), 9, (6, 30))
    assert not session.take_back(step)
    assert session.labels[0, 0] == 1
