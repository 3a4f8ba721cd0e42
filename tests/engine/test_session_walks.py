"""Random walks of a user: whatever is undone and redone, the state is that of a replay. Trap 34."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from samari.engine.pending import PendingObject
from samari.engine.planes import PlaneIndex
from samari.engine.session import Session
from samari.errors import InputError, LabelsError

SHAPE = (3, 24, 30)
DOES = (
    "point point point positive box box polygon choose edit accept accept accept discard delete "
    "merge reopen reopen paint"
).split()


class Walker:
    """A session, and the way of the actions that led to its state."""

    def __init__(self, segmenter):
        labels = np.zeros(SHAPE, np.uint8)
        labels[1, :3, :3], labels[0, 20:, 20:] = 3, 253
        self.session = Session(
            np.zeros(SHAPE, np.uint8), axes="ZYX", labels=labels, segmenter=segmenter
        )
        self.done, self.undone = [], []
        self.states = [self.state()]

    def state(self):
        session = self.session
        labels = np.asarray(session.labels).astype(np.int64)
        return labels, session.pending, dict(session.objects), session._state.store.highest

    def act(self, action):
        """Do it; return whether it was a step of the history."""
        depth = len(self.session.history)
        before = self.state()
        try:
            getattr(self, action[0])(*action[1:])
        except (InputError, LabelsError):
            same(self.state(), before)
        return len(self.session.history) > depth

    def step(self, action):
        if action[0] == "undo":
            moved = self.session.undo()
            assert moved == bool(self.done)
            if moved:
                self.undone.append(self.done.pop())
        elif action[0] == "redo":
            moved = self.session.redo()
            assert moved == bool(self.undone)
            if moved:
                self.done.append(self.undone.pop())
        elif self.act(action):
            self.done.append(action)
            self.undone.clear()
            del self.states[len(self.done) :]
            self.states.append(self.state())
        same(self.state(), self.states[len(self.done)])

    def label(self, k):
        there = np.unique(self.session.labels).tolist()
        return there[k % len(there)]

    def point(self, a, b, c):
        self.session.add_point((a % 3, b % 24, c % 30), label=(a // 3) % 2)

    def positive(self, a, b, c):
        self.session.add_point((a % 3, b % 24, c % 30))

    def box(self, a, b, c):
        self.session.add_box((a % 3, b % 20, c % 25), (a % 3, b % 20 + 1 + a, c % 25 + 1 + a))

    def polygon(self, a, b, c):
        y, x = b % 18, c % 24
        self.session.add_polygon([(a % 3, y, x), (a % 3, y + 6, x), (a % 3, y, x + 6)])

    def choose(self, a, b, c):
        self.session.choose(a % 4)

    def edit(self, a, b, c):
        pending = list(self.session.pending)
        if pending:
            k = a % len(pending)
            pending[k] = PendingObject(pending[k].parts[b % 2 :], pending[k].replaces)
        self.session.set_pending(pending)

    def accept(self, a, b, c):
        self.session.accept()

    def discard(self, a, b, c):
        self.session.discard()

    def delete(self, a, b, c):
        self.session.delete(self.label(a))

    def merge(self, a, b, c):
        self.session.merge(self.label(a), self.label(b))

    def reopen(self, a, b, c):
        plane = PlaneIndex("YX", (c % 3,)) if c % 2 else None
        self.session.reopen(self.label(a), plane)

    def paint(self, a, b, c):
        """Paint a square as a brush does, over whatever is there."""
        where = (a % 3, slice(b % 20, b % 20 + 4), slice(c % 24, c % 24 + 4))
        before = self.session.labels[where].copy()
        after = np.full_like(before, (a * b) % 256)

        def put(pixels):
            self.session.labels[where] = pixels

        put(after)
        self.session.record_edit(lambda: put(before), lambda: put(after), slices=where)


def same(one, other):
    assert one[1:] == other[1:]
    np.testing.assert_array_equal(one[0], other[0])


number = st.integers(0, 240)
actions = st.one_of(
    st.tuples(st.sampled_from(DOES), number, number, number),
    st.tuples(st.sampled_from(DOES), number, number, number),
    st.tuples(st.sampled_from(["undo", "undo", "redo"])),
)


@pytest.mark.parametrize("length", [12, 150])
def test_every_state_of_a_walk_comes_back_by_undo_and_redo(discs, soak, length):
    examples = soak(8, 200) if length > 100 else soak(60, 1000)

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(actions, min_size=length, max_size=length))
    def walk(way):
        walker = Walker(discs)
        for action in way:
            walker.step(action)
        replayed = Walker(discs)
        for action in walker.done:
            assert replayed.act(action)
        same(replayed.state(), walker.state())

    walk()


def test_a_walk_of_400_steps_is_undone_to_the_start_and_redone_to_the_end(discs):
    walker = Walker(discs)
    random = np.random.default_rng(7)
    while len(walker.done) < 400:
        walker.step((str(random.choice(DOES)), *random.integers(0, 240, 3).tolist()))
    assert walker.session.labels.dtype == np.uint16
    for _ in range(400):
        walker.step(("undo",))
    assert not walker.session.history.can_undo
    for _ in range(400):
        walker.step(("redo",))
    assert len(walker.done) == 400


def test_any_walk_comes_back_from_its_journal_and_is_replayed_bit_for_bit(
    tmp_path_factory, discs, soak
):
    """Traps 34 and 43: whatever was done, undone and redone."""

    @settings(
        max_examples=soak(25, 500),
        phases=(Phase.generate, Phase.shrink),  # explaining a failure takes minutes
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(actions, min_size=10, max_size=80))
    def walk(way):
        path = tmp_path_factory.mktemp("walk") / "a.jsonl"
        walker = Walker(discs)
        for action in way:
            walker.step(action)
        session = walker.session
        session.journal.write_to(path)
        image = session.planes.image
        back = Session.restore(path, image, segmenter=discs, resume=False)
        again = Session.replay(path, image, segmenter=discs)
        for one in (back, again):
            np.testing.assert_array_equal(one.labels, session.labels)
            assert one.labels.dtype == session.labels.dtype
            assert dict(one.objects) == dict(session.objects)
            assert one.store.highest == session.store.highest
        assert again.missing == ()
        while session.history.can_undo:
            session.undo()
        while back.history.can_undo:
            back.undo()
        np.testing.assert_array_equal(back.labels, session.labels)

    walk()
