from __future__ import annotations

import pytest

from samari.engine.history import History, Opaque


class Add:
    def __init__(self, values, value):
        self.values, self.value = values, value
        values.append(value)

    def undo(self):
        assert self.values.pop() == self.value

    def redo(self):
        self.values.append(self.value)


def test_an_empty_history_has_nothing_to_undo_or_redo():
    history = History()
    assert not history.can_undo
    assert not history.can_redo
    assert history.undo() is None
    assert history.redo() is None


def test_undo_and_redo_walk_through_500_actions():
    values, history = [], History()
    for value in range(500):
        history.push(Add(values, value))
    assert len(history) == 500
    while history.undo():
        pass
    assert values == []
    while history.redo():
        pass
    assert values == list(range(500))


def test_a_new_action_forgets_what_was_undone():
    values, history = [], History()
    for value in "abc":
        history.push(Add(values, value))
    history.undo()
    history.undo()
    history.push(Add(values, "d"))
    assert not history.can_redo
    history.undo()
    assert values == ["a"]


def test_somebody_elses_action_is_called_back():
    calls, history = [], History()
    history.push(Opaque(lambda: calls.append("undo"), lambda: calls.append("redo")))
    history.undo()
    history.redo()
    assert calls == ["undo", "redo"]


def test_an_undo_that_fails_can_be_tried_again():
    values, history = [], History()
    broken = iter([True, False])

    def undo():
        if next(broken):
            raise OSError("disk is away")
        values.append("undone")

    history.push(Opaque(undo, lambda: None))
    with pytest.raises(OSError, match="disk"):
        history.undo()
    assert history.can_undo
    assert not history.can_redo
    history.undo()
    assert values == ["undone"]
