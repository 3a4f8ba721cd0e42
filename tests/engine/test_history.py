from __future__ import annotations

import pytest

from samari.engine.history import Group, History, Opaque


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


def test_a_group_is_one_step():
    values, history = [], History()
    with history.group():
        history.push(Add(values, 1))
        with history.group():
            history.push(Add(values, 2))
            history.push(Add(values, 3))
    assert len(history) == 1
    history.undo()
    assert values == []
    history.redo()
    assert values == [1, 2, 3]


def test_an_empty_group_is_no_step():
    history = History()
    with history.group():
        pass
    assert not history.can_undo


def test_a_group_that_fails_is_taken_back():
    values, history = [], History()

    def fail():
        with history.group():
            history.push(Add(values, 1))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert values == []
    assert not history.can_undo


def test_nothing_is_undone_in_the_middle_of_a_group():
    values, history = [], History()
    history.push(Add(values, 1))
    with history.group():
        assert history.undo() is None
        history.push(Add(values, 2))
    assert values == [1, 2]


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

    history.push(Group((Opaque(undo, lambda: None),)))
    with pytest.raises(OSError, match="disk"):
        history.undo()
    assert history.can_undo
    assert not history.can_redo
    history.undo()
    assert values == ["undone"]
