"""A step of the history that is made in parts, while the user does other things."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from samari.engine.annotation import Annotation
from samari.engine.history import Growing
from samari.engine.planes import ImagePlanes
from samari.errors import Cancelled


@pytest.fixture
def annotation() -> Annotation:
    return Annotation(ImagePlanes(np.zeros((8, 8), np.uint8)))


def add(annotation: Annotation, row: int, label: int, into: Growing | None = None) -> None:
    """Write a row of the labels; the first part of a growing step reserves the ids up to 10."""
    with annotation._change("test", into) as change:
        change.write((slice(row, row + 1), slice(0, 8)), np.ones((1, 8), bool), label)
        if into is not None and not into.actions:
            change.state.store.highest = 10


def rows(annotation: Annotation) -> list[int]:
    return [int(value) for value in annotation.labels[:, 0]]


def test_all_parts_are_one_step(annotation: Annotation) -> None:
    step = Growing()
    for row in range(3):
        add(annotation, row, row + 1, step)
    assert len(annotation.history) == 1
    assert rows(annotation) == [1, 2, 3, 0, 0, 0, 0, 0]
    annotation.undo()
    assert not annotation.labels.any()
    annotation.redo()
    assert rows(annotation) == [1, 2, 3, 0, 0, 0, 0, 0]


def test_a_users_step_between_two_parts_stays_a_step_of_its_own(annotation: Annotation) -> None:
    step = Growing()
    add(annotation, 0, 1, step)
    user = annotation._state.store.next_label()
    assert user == 11
    add(annotation, 5, user)
    add(annotation, 1, 2, step)
    assert annotation._state.store.next_label() == 12
    annotation.undo()
    assert rows(annotation) == [1, 2, 0, 0, 0, 0, 0, 0]
    assert annotation._state.store.next_label() == 11
    add(annotation, 2, 3, step)  # what was undone can still be done again
    annotation.redo()
    assert rows(annotation) == [1, 2, 3, 0, 0, 11, 0, 0]
    annotation.undo()
    annotation.undo()
    assert not annotation.labels.any()
    assert annotation._state.store.next_label() == 1
    annotation.redo()
    annotation.redo()
    assert rows(annotation) == [1, 2, 3, 0, 0, 11, 0, 0]


def test_undoing_it_ends_it(annotation: Annotation) -> None:
    step = Growing()
    add(annotation, 0, 1, step)
    annotation.undo()
    with pytest.raises(Cancelled, match="undone"):
        add(annotation, 1, 2, step)
    assert not annotation.labels.any()


def test_listeners_and_recorders_hear_of_every_part(annotation: Annotation) -> None:
    told: list[Any] = []
    annotation._recorders.append(lambda kind, action: told.append((kind, action)))
    annotation.connect(lambda event: told.append(event.kind))
    step = Growing()
    add(annotation, 0, 1, step)
    add(annotation, 1, 2, step)
    annotation.undo()
    assert [one for one in told if isinstance(one, tuple)] == [
        ("do", step),
        ("grow", step),
        ("undo", step),
    ]
    assert told.count("history") == 3
