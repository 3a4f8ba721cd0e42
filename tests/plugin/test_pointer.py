"""Which object a key means: where the mouse is now, what was looked at, or none at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QEnterEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable

    Noise = Callable[..., Any]

Key = Qt.Key
PLACES = ([100, 100], [200, 200], [300, 300])


class Desk:
    """A dock on a window, three objects, and a mouse that comes to the canvas and leaves it."""

    def __init__(self, docked: Any, image: Any, qtbot: Any) -> None:
        self.viewer, self.hand, self.dock = docked(image)
        self.viewer.scene.camera.zoom = 4
        self.viewer.scene.camera.center = (0, 100, 100)
        self.qtbot = qtbot
        self.c = self.dock.controller
        self.table = self.dock.objects
        for place in PLACES:
            point = place if image.ndim == 2 else [self.viewer.dims.point[0], *place]
            self.c.points.add(point)
            assert self.c.wait()
            self.c.accept()
        qtbot.wait(50)

    @property
    def left(self) -> list[int]:
        return sorted(self.c.session.objects)

    def enter(self, point: Any) -> None:
        place = QPointF(self.hand.at(point))
        QApplication.sendEvent(self.hand.native, QEnterEvent(place, place, place))
        self.hand.move(point)
        self.qtbot.wait(20)

    def leave(self) -> None:
        QApplication.sendEvent(self.hand.native, QEvent(QEvent.Type.Leave))

    def press(self, key: Any) -> None:
        self.hand.key(key)
        self.qtbot.wait(30)

    def click_row(self, label: int, modifiers: Any = Qt.KeyboardModifier.NoModifier) -> None:
        view, model = self.table.view, self.table.model
        place = view.visualRect(model.index(model.row_of(label), 0)).center()
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, modifiers, place)
        self.qtbot.wait(30)

    def wheel(self, point: Any, turn: int) -> None:
        place = QPointF(self.hand.at(point))
        everywhere = QPointF(self.hand.native.mapToGlobal(place.toPoint()))
        event = QWheelEvent(
            place, everywhere, QPoint(), QPoint(0, turn), Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(self.hand.native, event)
        self.qtbot.wait(50)


@pytest.fixture
def desk(docked: Any, noise: Noise, qtbot: Any) -> Desk:
    return Desk(docked, noise(400, 400), qtbot)


def test_n_below_a_mouse_at_rest_means_the_object_it_brought(desk: Desk) -> None:
    c = desk.c
    desk.press(Key.Key_N)
    desk.enter([100, 100])
    assert c.object_under_cursor() == 1
    desk.press(Key.Key_N)
    assert "Object 2" in c.status
    assert c.object_under_cursor() == 2, "the camera has moved below the mouse"
    desk.press(Key.Key_U)
    assert desk.left == [1, 3]


def test_a_mouse_that_rests_beside_the_middle_means_what_n_brought_and_only_that(
    desk: Desk,
) -> None:
    c = desk.c
    desk.press(Key.Key_N)
    desk.enter([100, 100])
    c.points.add([210, 210])  # will lie below the mouse
    assert c.wait()
    c.accept()
    desk.hand.move([110, 110])
    desk.press(Key.Key_N)
    assert c.object_under_cursor() == 4
    desk.press(Key.Key_U)
    assert desk.left == [1, 3, 4]
    desk.press(Key.Key_U)  # once more, by mistake
    assert desk.left == [1, 3, 4]
    assert "Point at an object" in c.status
    desk.hand.move([212, 211])
    desk.press(Key.Key_U)
    assert desk.left == [1, 3]


def test_a_mouse_outside_the_canvas_means_nothing(desk: Desk) -> None:
    c = desk.c
    desk.enter([100, 100])
    desk.leave()
    before = c.session.labels.copy()
    for key in (Key.Key_U, Key.Key_K, Key.Key_J):
        desk.press(key)
        assert "Point at an object" in c.status
    np.testing.assert_array_equal(c.session.labels, before)
    assert c.session.pending == ()
    desk.enter([100, 100])
    desk.press(Key.Key_U)
    assert desk.left == [2, 3]


def test_a_dock_on_which_no_mouse_was_yet_deletes_nothing(
    docked: Any, noise: Noise, qtbot: Any
) -> None:
    _, hand, dock = docked(noise(60, 60))
    dock.controller.points.add([1, 1])  # where napari says that the cursor is at the beginning
    assert dock.controller.wait()
    dock.controller.accept()
    hand.key(Key.Key_U)
    assert list(dock.controller.session.objects) == [1]


def test_a_row_that_was_clicked_is_meant_while_the_mouse_is_on_the_table(desk: Desk) -> None:
    desk.enter([100, 100])
    desk.leave()
    desk.click_row(3)
    desk.press(Key.Key_K)
    assert desk.c.session.pending[0].replaces == 3
    desk.press(Key.Key_Escape)
    desk.click_row(2)
    desk.press(Key.Key_U)
    assert desk.left == [1, 3]


def test_several_rows_are_for_the_buttons(desk: Desk) -> None:
    desk.enter([100, 100])
    desk.leave()
    desk.click_row(1)
    desk.click_row(2, Qt.KeyboardModifier.ControlModifier)
    assert sorted(desk.table.selected) == [1, 2]
    desk.press(Key.Key_U)
    assert desk.left == [1, 2, 3]
    assert "buttons" in desk.c.status


def test_j_after_n_waits_for_the_other_object(desk: Desk) -> None:
    desk.enter([100, 100])
    desk.press(Key.Key_N)
    looked_at = desk.c.last_object
    desk.press(Key.Key_J)
    assert desk.left == [1, 2, 3]
    assert f"object {looked_at}" in desk.c.status
    label = 2 if looked_at == 1 else 1
    desk.viewer.scene.camera.center = (0, *PLACES[label - 1])
    desk.hand.move(PLACES[label - 1])
    desk.press(Key.Key_J)
    assert label not in desk.left
    assert looked_at in desk.left


def test_a_wheel_below_the_mouse_changes_nothing(desk: Desk) -> None:
    desk.enter([104, 97])
    for turn in (240, -120, -240):
        desk.wheel([104, 97], turn)
        assert desk.c.object_under_cursor() == 1
    desk.press(Key.Key_U)
    assert desk.left == [2, 3]


@pytest.mark.parametrize("turned", [False, True])
def test_the_place_is_where_napari_says_once_the_mouse_moves_again(
    desk: Desk, turned: bool
) -> None:
    viewer, pointer = desk.viewer, desk.c._pointer
    if turned:
        viewer.scene.camera.orientation2d = ("up", "left")
    desk.enter([90, 120])
    pixel = desk.hand.at([90, 120])
    viewer.scene.camera.center = (0, 180, 230)
    viewer.scene.camera.zoom = 2.5
    desk.qtbot.wait(30)
    found = pointer.world()
    desk.hand._send_move(QPointF(pixel) + QPointF(1, 0), Qt.MouseButton.NoButton)
    desk.qtbot.wait(15)
    desk.hand._send_move(QPointF(pixel), Qt.MouseButton.NoButton)
    np.testing.assert_allclose(found, viewer.cursor.position, atol=1e-3)


def test_another_slice_is_another_object(docked: Any, noise: Noise, qtbot: Any) -> None:
    desk = Desk(docked, noise(4, 400, 400), qtbot)
    z = int(desk.viewer.dims.point[0])
    desk.leave()
    desk.click_row(1)
    desk.viewer.dims.set_point(0, (z + 1) % 4)
    desk.press(Key.Key_U)
    assert desk.left == [1, 2, 3], "it is not to be seen any more"
    assert "Point at an object" in desk.c._note


def test_g_means_what_n_brought_below_a_mouse_at_rest(
    docked: Any, noise: Noise, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(docked, noise(4, 400, 400), qtbot)
    started: list[Any] = []
    monkeypatch.setattr(desk.c, "_propagate", started.append)
    z = desk.viewer.dims.point[0]
    desk.enter([z, 100, 100])
    desk.c.look_at(2)
    desk.press(Key.Key_G)
    desk.c.look_at(1)
    desk.hand.move([z, 105, 100])
    desk.press(Key.Key_G)
    desk.leave()
    desk.click_row(3)
    desk.press(Key.Key_G)
    assert started == [[2], [1], [3]]


def test_nothing_is_left_on_the_viewer(annotated: Any, noise: Noise) -> None:
    def held(viewer: Any) -> list[int]:
        lists = (viewer.mouse_move_callbacks, viewer.mouse_wheel_callbacks)
        emitter = viewer.events.mouse_over_canvas
        return [*map(len, lists), len(viewer.mouse_drag_callbacks), len(emitter.callbacks)]

    c = annotated(noise(60, 60))
    assert held(c.viewer) != held(ViewerModel())
    c.close()
    assert held(c.viewer) == held(ViewerModel())
