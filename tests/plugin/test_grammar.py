"""The whole grammar, with mouse and keys through the canvas of a real window, in every view."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog

from samari.plugin.keys import KEYS

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
RIGHT = Qt.MouseButton.RightButton
Key = Qt.Key


@dataclass(frozen=True)
class Place:
    """An image, how it lies in the world, and the plane of it that is on screen.

    `rows` and `cols` are its axes on screen from top and from left, `at` the data point of the
    slice.
    """

    shape: tuple[int, ...]
    rows: int
    cols: int
    at: tuple[float, ...]
    layer: dict[str, Any] = field(default_factory=dict)

    def point(self, row: float, col: float) -> tuple[float, ...]:
        """Return the data point at a row and a column of the screen's plane."""
        values = list(self.at)
        values[self.rows], values[self.cols] = row, col
        return tuple(values)

    def order(self) -> tuple[int, ...]:
        others = [axis for axis in range(len(self.at)) if axis not in (self.rows, self.cols)]
        return (*others, self.rows, self.cols)


_STACK = {"scale": (2, 0.5, 0.5), "translate": (5, 7, -9)}
PLACES = {
    "2D": Place((60, 80), 0, 1, (0, 0)),
    "RGB": Place((60, 80, 3), 0, 1, (0, 0), {"rgb": True}),
    "a scaled and translated stack": Place((5, 60, 80), 1, 2, (3, 0, 0), _STACK),
    "a transposed view": Place((60, 5, 80), 2, 0, (0, 3, 0), {"scale": (0.5, 3, 0.5)}),
}


@dataclass
class Walk:
    """A person at the window: `place` says where things are."""

    place: Place
    hand: Any
    controller: Any
    keys: set[str] = field(default_factory=set)

    def label(self, row: float, col: float) -> int:
        index = tuple(round(value) for value in self.place.point(row, col))
        return int(self.controller.session.labels[index])

    def click(self, row: float, col: float, *how: Any) -> None:
        self.hand.click(self.place.point(row, col), *how)

    def press(self, key: Any, modifiers: Any = Qt.KeyboardModifier.NoModifier) -> None:
        self.hand.key(key, modifiers)

    def aim(self, row: float, col: float) -> None:
        self.hand.move(self.place.point(row, col))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.hand.drag(self.place.point(*start), self.place.point(*end))

    def answered(self) -> None:
        assert self.controller.wait()


def _image(place: Place) -> Any:
    return np.random.default_rng(0).integers(0, 255, place.shape, np.uint8)


@pytest.mark.parametrize("name", PLACES)
def test_every_gesture_of_the_grammar(docked: Any, qtbot: Any, name: str) -> None:
    """Trap 5, 11, 12 and 35."""
    place = PLACES[name]
    viewer, hand, dock = docked(_image(place), **place.layer)
    viewer.dims.order = place.order()
    viewer.dims.point = hand.layer.data_to_world(place.at)
    viewer.reset_view()
    qtbot.wait(20)
    walk = Walk(place, hand, dock.controller)
    _hover(walk, qtbot)
    _clicks(walk)
    _boxes(walk)
    _candidates_and_polarity(walk)
    _brush(walk, qtbot)
    _objects(walk)
    _other_layers(walk)
    _cheat_sheet(walk, qtbot)


def _hover(w: Walk, qtbot: Any) -> None:
    """The mouse moves: what a click would select is outlined, and nothing is changed."""
    c = w.controller
    w.answered()

    def outlined() -> bool:
        w.aim(30, 40)
        return bool(c.preview.data.any())

    qtbot.waitUntil(outlined, timeout=30_000)
    assert c.session.pending == ()
    assert not c.session.history.can_undo
    assert not np.asarray(c.session.labels).any()


def _clicks(w: Walk) -> None:
    """Click, right-click, Ctrl+click, quick clicks; Enter, undo and redo."""
    c = w.controller
    w.click(20, 20)
    w.click(24, 20, RIGHT)
    w.click(16, 20, Qt.MouseButton.LeftButton, CTRL)
    assert list(c.points.features["label"]) == ["positive", "negative", "negative"]
    wanted = [w.place.point(*spot) for spot in ((20, 20), (24, 20), (16, 20))]
    np.testing.assert_allclose(c.points.data, wanted, atol=0.5)
    w.hand.double_click(w.place.point(20, 26))
    assert len(c.points.data) == 5
    w.answered()
    w.press(Key.Key_Return)
    assert w.label(20, 18) == 1
    assert w.label(24, 20) == 0
    w.press(Key.Key_Z, CTRL)
    assert w.label(20, 18) == 0
    assert len(c.points.data) == 5
    w.press(Key.Key_Z, CTRL | SHIFT)
    assert w.label(20, 18) == 1
    assert len(c.points.data) == 0


def _boxes(w: Walk) -> None:
    """W, two drags, Enter accepts both; Escape drops."""
    c = w.controller
    w.press(Key.Key_W)
    assert c.tool == "shapes"
    w.drag((5, 45), (15, 60))
    w.drag((20, 45), (30, 60))
    assert len(c.session.pending) == 2
    w.answered()
    w.press(Key.Key_Return)
    assert (w.label(10, 52), w.label(25, 52)) == (2, 3)
    w.drag((40, 45), (50, 60))
    assert len(c.session.pending) == 1
    w.press(Key.Key_Escape)
    assert c.session.pending == ()
    assert len(c.shapes.data) == 0
    w.press(Key.Key_W)
    assert c.tool == "points"


def _candidates_and_polarity(w: Walk) -> None:
    """Q, Shift+Q and T."""
    c = w.controller
    w.click(45, 20)
    w.answered()
    w.press(Key.Key_Q)
    assert c.candidates.chosen == 2
    w.press(Key.Key_Q, SHIFT)
    w.press(Key.Key_Q, SHIFT)
    assert c.candidates.chosen == 0
    w.press(Key.Key_T)
    w.click(45, 24)
    w.press(Key.Key_T)
    assert list(c.points.features["label"]) == ["positive", "negative"]
    w.answered()
    w.press(Key.Key_Escape)
    assert c.session.pending == ()


def _brush(w: Walk, qtbot: Any) -> None:
    """B, a stroke, undo and redo, Enter: what was painted is accepted."""
    c = w.controller
    w.click(45, 20)
    w.answered()
    before = c.session.prediction(c.session.pending[-1].newest).mask.sum()
    w.press(Key.Key_B)
    assert c.brushing
    c.brush_layer.brush_size = 4
    w.drag((45, 28), (45, 36))

    def mask() -> Any:
        return c.session.prediction(c.session.pending[-1].newest).mask

    assert mask().sum() > before
    w.press(Key.Key_Z, CTRL)
    assert mask().sum() == before
    w.press(Key.Key_Z, CTRL | SHIFT)
    w.press(Key.Key_Return)
    assert not c.brushing
    assert w.label(45, 20) == w.label(45, 32) == 4


def _objects(w: Walk) -> None:
    """K, J, U and N on the objects under the mouse."""
    c = w.controller
    w.aim(45, 20)
    w.press(Key.Key_K)
    assert len(c.points.data) == 1
    assert c.session.pending[0].replaces == 4
    w.click(52, 20)
    w.answered()
    w.press(Key.Key_Return)
    assert w.label(55, 20) == w.label(45, 32) == 4
    w.aim(10, 52)
    w.press(Key.Key_J)
    assert w.label(10, 52) == 4
    w.aim(25, 52)
    w.press(Key.Key_U)
    assert w.label(25, 52) == 0
    w.press(Key.Key_Z, CTRL)
    assert w.label(25, 52) == 3
    w.press(Key.Key_Z, CTRL)
    assert w.label(10, 52) == 2
    seen = []
    for _ in range(5):
        w.press(Key.Key_N)
        seen.append(c.last_object)
    assert sorted(seen[:4]) == [1, 2, 3, 4]
    assert seen[4] == seen[0]
    w.hand.viewer.reset_view()


def _other_layers(w: Walk) -> None:
    """The letters, Enter and Escape also work with the image or the labels selected."""
    c, selection = w.controller, w.hand.viewer.layers.selection
    for layer in (c.image, c.labels_layer):
        selection.active = layer
        w.aim(20, 18)
        w.press(Key.Key_K)
        assert [obj.replaces for obj in c.session.pending] == [1]
        selection.active = layer
        w.press(Key.Key_Escape)
        assert c.session.pending == ()
        selection.active = layer
        w.press(Key.Key_U)
        assert w.label(20, 18) == 0
        selection.active = c.labels_layer
        w.press(Key.Key_Z, CTRL)
        assert w.label(20, 18) == 1


def _cheat_sheet(w: Walk, qtbot: Any) -> None:
    """H shows the list of keys."""
    w.press(Key.Key_H)
    sheet = w.controller._sheet
    assert isinstance(sheet, QDialog)
    assert sheet.isVisible()
    sheet.close()


def test_every_key_of_the_table_is_in_the_walk() -> None:
    pressed = {"W", "T", "Q", "Shift-Q", "Enter", "Escape", "Control-Z", "Control-Shift-Z", "B"}
    assert pressed | {"K", "J", "U", "N", "H", "G"} == {key.combo for key in KEYS}
