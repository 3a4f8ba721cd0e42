"""Undo and redo a hundred deep over everything a user does: layers come back exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


def _state(c: Any) -> dict[str, Any]:
    """What the user sees, and what the session knows."""
    preview = c.preview
    shown = []
    if preview.data.any():
        where = np.argwhere(preview.data)
        shown = [
            (tuple(np.round(preview.data_to_world(place), 6)), int(preview.data[tuple(place)]))
            for place in where
        ]
    return {
        "labels": np.array(c.labels_layer.data),
        "session": np.array(c.session.labels),
        "points": np.array(c.points.data),
        "polarity": list(c.points.features["label"]),
        "shapes": [np.array(shape) for shape in c.shapes.data],
        "pending": c.session.pending,
        "objects": dict(c.session.objects),
        "preview": sorted(shown),
        "sizes": {label: c.session.store.census.pixels(label) for label in c.session.store.census},
    }


def _same(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Return the names of what differs."""
    differing = []
    for name, value in a.items():
        if name == "shapes":
            same = len(value) == len(b[name]) and all(
                np.allclose(one, other) for one, other in zip(value, b[name], strict=True)
            )
        elif isinstance(value, np.ndarray):
            same = value.shape == b[name].shape and np.array_equal(value, b[name])
        else:
            same = value == b[name]
        if not same:
            differing.append(name)
    return differing


class Person:
    """Does something at random that a user can do; `wait` until it is answered."""

    def __init__(self, c: Any, seed: int) -> None:
        self.c, self.rng = c, np.random.default_rng(seed)

    def spot(self) -> list[float]:
        return [float(value) for value in self.rng.integers(4, 76, 2)]

    def point(self) -> None:
        if self.rng.random() < 0.3:
            self.c.toggle_polarity()
        self.c.points.add(self.spot())

    def box(self) -> None:
        y, x = self.spot()
        h, w = self.rng.integers(4, 20, 2)
        corners = [[y, x], [y, x + w], [y + h, x + w], [y + h, x]]
        self.c.shapes.add(corners, shape_type="rectangle")

    def candidate(self) -> None:
        self.c.next_candidate()

    def accept(self) -> None:
        self.c.accept()

    def discard(self) -> None:
        self.c.discard()

    def delete(self) -> None:
        self._one(self.c.delete)

    def reopen(self) -> None:
        self._one(self.c.reopen)

    def join(self) -> None:
        labels = self._labels()
        if len(labels) > 1:
            a, b = self.rng.choice(labels, 2, replace=False)
            self.c.join(int(a), into=int(b))

    def stroke(self) -> None:
        """Napari's own brush on the labels layer."""
        layer = self.c.labels_layer
        layer.brush_size = 5
        layer.paint(self.spot(), int(self.rng.integers(0, 6)))

    def brush(self) -> None:
        """Napari's brush on the pending mask."""
        self.c.brush()
        if self.c.brushing:
            self.c.brush_layer.brush_size = 5
            self.c.brush_layer.paint(
                self.c.brush_layer.world_to_data(self.spot()), int(self.rng.integers(0, 2))
            )
            self.c.brush()

    def step(self) -> None:
        """Do one of these; the history may or may not have become longer."""
        deeds = [self.point] * 4 + [self.box] * 2 + [self.accept] * 4 + [
            self.candidate, self.delete, self.reopen, self.join, self.stroke, self.brush,
            self.discard,
        ]  # fmt: skip
        deeds[int(self.rng.integers(len(deeds)))]()
        assert self.c.wait()

    def _labels(self) -> list[int]:
        found = np.unique(self.c.session.labels)
        busy = {obj.replaces for obj in self.c.session.pending}
        return [int(label) for label in found if label and int(label) not in busy]

    def _one(self, action: Any) -> None:
        labels = self._labels()
        if labels:
            action(int(self.rng.choice(labels)))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_hundred_steps_back_and_forth_bring_back_what_was_seen(
    annotated: Callable[..., Any], noise: Callable[..., Any], seed: int
) -> None:
    """Trap 34."""
    c = annotated(noise(80, 80))
    person = Person(c, seed)
    assert c.wait()
    seen = [_state(c)]
    while len(c.session.history) < 100:
        before = len(c.session.history)
        person.step()
        after = len(c.session.history)
        if after == before + 1:
            seen.append(_state(c))
        else:
            # Nothing, or several steps at once: states in between were never on screen.
            seen += [None] * (after - before - 1)
            if after > before:
                seen.append(_state(c))
    assert len(seen) == len(c.session.history) + 1
    for wanted in reversed(seen[:-1]):
        c.undo()
        assert c.wait()
        assert wanted is None or _same(wanted, _state(c)) == []
    assert not c.session.history.can_undo
    assert not np.asarray(c.labels_layer.data).any()
    for wanted in seen[1:]:
        c.redo()
        assert c.wait()
        assert wanted is None or _same(wanted, _state(c)) == []
    assert not c.session.history.can_redo
