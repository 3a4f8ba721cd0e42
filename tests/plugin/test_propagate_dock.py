"""Through a stack with mouse and keys: G, the button and the table; live, cancelled, undone."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from tests.plugin.following import (
    LEFT,
    PLANES,
    RIGHT,
    DoubtfulTracker,
    Follower,
    follows,
    planes_of,
    stack,
)

G, ENTER, CTRL = Qt.Key.Key_G, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def discs(monkeypatch: pytest.MonkeyPatch) -> Follower:
    monkeypatch.setattr("samari.engine.tracking.Tracker", DoubtfulTracker)
    return Follower()


@pytest.fixture
def opened(docked: Any) -> Any:
    """Give `opened(image)`: viewer, hand and dock, plane 5 on screen and encoded."""

    def open_stack(image: Any, **layer: Any) -> tuple[Any, Any, Any]:
        viewer, hand, dock = docked(image, contrast_limits=(0, 256), **layer)
        show(viewer, 0, 5)
        assert dock.controller.wait(30)
        return viewer, hand, dock

    return open_stack


def show(viewer: Any, axis: int, index: int) -> None:
    viewer.dims.set_current_step(axis, index)


def click(hand: Any, controller: Any, point: tuple[float, ...]) -> None:
    hand.click(point)
    assert controller.wait(30)


def ended(controller: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not controller.propagation.busy, timeout=30_000)


def choose_row(dock: Any, label: int, modifiers: Any = Qt.KeyboardModifier.NoModifier) -> None:
    """Click on an object's row."""
    view = dock.objects.view
    row = dock.objects.model.row_of(label)
    place = QPoint(20, view.rowViewportPosition(row) + view.rowHeight(row) // 2)
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, modifiers, place)


def accept(hand: Any, controller: Any, *points: tuple[float, float], plane: int = 5) -> None:
    for point in points:
        click(hand, controller, (plane, *point))
        hand.key(ENTER)


def test_g_accepts_what_is_pending_and_follows_it(opened: Any, qtbot: Any) -> None:
    _, hand, dock = opened(stack())
    controller = dock.controller
    click(hand, controller, (5, *LEFT))
    hand.key(G)
    assert not controller.session.pending
    ended(controller, qtbot)
    session = controller.session
    assert follows(session, 1, 200)
    assert "7 planes found" in controller.status
    hand.key(Qt.Key.Key_Z, CTRL)
    assert planes_of(session, 1) == [5]
    hand.key(Qt.Key.Key_Z, CTRL)
    assert not session.labels.any()
    assert len(session.pending) == 1
    hand.key(Qt.Key.Key_Z, CTRL | Qt.KeyboardModifier.ShiftModifier)
    hand.key(Qt.Key.Key_Z, CTRL | Qt.KeyboardModifier.ShiftModifier)
    assert follows(session, 1, 200)


def test_g_takes_the_selected_rows_or_the_object_under_the_mouse(
    opened: Any, discs: Follower, qtbot: Any
) -> None:
    viewer, hand, dock = opened(stack())
    controller = dock.controller
    accept(hand, controller, LEFT, RIGHT)
    hand.move((5, 40, 32))
    choose_row(dock, 2)
    hand.key(G)
    ended(controller, qtbot)
    assert follows(controller.session, 2, 100)
    assert planes_of(controller.session, 1) == [5]
    hand.key(Qt.Key.Key_Z, CTRL)
    choose_row(dock, 1)
    choose_row(dock, 2, CTRL)
    assert dock.objects.selected == [1, 2]
    discs.encoded.clear()
    QTest.mouseClick(dock.propagate.start, Qt.MouseButton.LeftButton)
    ended(controller, qtbot)
    assert follows(controller.session, 1, 200)
    assert follows(controller.session, 2, 100)
    # Planes 1 to 10, each once for both.
    seen = sorted(int(plane[0, 0, 0]) for plane in discs.encoded)
    assert seen == sorted(set(seen))
    hand.key(Qt.Key.Key_Z, CTRL)
    assert planes_of(controller.session, 1) == planes_of(controller.session, 2) == [5]
    # The mouse has not been on an object since the rows were chosen; now it is.
    choose_row(dock, 1)
    qtbot.wait(20)
    hand.move((5, *RIGHT))
    hand.key(G)
    ended(controller, qtbot)
    assert planes_of(controller.session, 2) == PLANES
    assert planes_of(controller.session, 1) == [5]
    # Plane 8 is the doubtful one: it is the score in the table, and N goes there.
    model = dock.objects.model
    assert float(model.index(model.row_of(2), 3).data()) < 0.46
    viewer.dims.set_current_step(0, 2)
    controller._looked = None
    hand.key(Qt.Key.Key_N)
    assert viewer.dims.current_step[0] == 8
    assert "z=8" in controller.status
    hand.key(Qt.Key.Key_N)
    assert viewer.dims.current_step[0] == 5


def test_planes_appear_while_it_goes_on_and_clicks_go_first(
    opened: Any, discs: Follower, qtbot: Any
) -> None:
    """Trap 31."""
    viewer, hand, dock = opened(stack())
    controller = dock.controller
    accept(hand, controller, LEFT)
    # Upwards, and then downwards as far as plane 4.
    discs.stop_at = 3
    hand.key(G)
    show(viewer, 0, 7)
    qtbot.waitUntil(lambda: 7 in planes_of(controller.session, 1), timeout=30_000)
    assert controller.propagation.busy
    # On the screen, not only in the array.
    shown = controller.labels_layer._slice.image.raw
    assert (shown == 1).sum() == (stack()[7] == 200).sum()
    # The plane on screen may still be encoded, which the status tells first.
    qtbot.waitUntil(lambda: "Following object 1" in dock.ui.status.text(), timeout=30_000)
    assert dock.ui.cancel.isEnabled()
    hand.click((7, *RIGHT))
    qtbot.waitUntil(lambda: controller.candidates is not None, timeout=30_000)
    assert controller.propagation.busy
    hand.key(ENTER)
    assert planes_of(controller.session, 2) == [7]
    discs.stop_at = -1
    ended(controller, qtbot)
    assert planes_of(controller.session, 1) == PLANES
    hand.key(Qt.Key.Key_Z, CTRL)
    hand.key(Qt.Key.Key_Z, CTRL)
    hand.key(Qt.Key.Key_Z, CTRL)
    assert planes_of(controller.session, 1) == [5]


def test_cancel_keeps_what_is_done_and_it_can_go_on(
    opened: Any, discs: Follower, qtbot: Any
) -> None:
    """Trap 31: cancel during propagation, then go on."""
    _, hand, dock = opened(stack())
    controller = dock.controller
    accept(hand, controller, LEFT)
    discs.stop_at = 8
    hand.key(G)
    qtbot.waitUntil(lambda: 7 in planes_of(controller.session, 1), timeout=30_000)
    QTest.mouseClick(dock.ui.cancel, Qt.MouseButton.LeftButton)
    ended(controller, qtbot)
    kept = planes_of(controller.session, 1)
    assert kept == [5, 6, 7]
    assert controller.report.cancelled
    assert [part.plane.index[0] for part in controller.session.objects[1].parts] == kept
    assert "Cancelled" in controller.status
    discs.stop_at = -1
    hand.key(G)
    ended(controller, qtbot)
    assert planes_of(controller.session, 1) == PLANES
    hand.key(Qt.Key.Key_Z, CTRL)
    assert planes_of(controller.session, 1) == kept
    hand.key(Qt.Key.Key_Z, CTRL)
    assert planes_of(controller.session, 1) == [5]


def test_planes_painted_with_the_brush_are_anchors(opened: Any, qtbot: Any) -> None:
    viewer, hand, dock = opened(stack())
    controller = dock.controller
    accept(hand, controller, LEFT)
    layer = controller.labels_layer
    viewer.layers.selection.active = layer
    layer.selected_label, layer.brush_size, layer.mode = 1, 4, "paint"
    show(viewer, 0, 7)
    qtbot.wait(50)
    hand.drag((7, 16, 14), (7, 16, 18))
    painted = controller.session.labels[7].copy()
    assert painted.any()
    layer.mode = "pan_zoom"
    hand.move((7, 16, 16))
    hand.key(G)
    ended(controller, qtbot)
    assert planes_of(controller.session, 1) == PLANES
    assert (controller.session.labels[7] == painted).all()


def test_across_the_stack_with_the_mouse_and_then_the_dock_is_closed(
    opened: Any, discs: Follower, qtbot: Any
) -> None:
    """Traps 11 and 31: XZ along Y; closing in the middle keeps what was found."""
    viewer, hand, dock = opened(stack())
    controller = dock.controller
    viewer.dims.order = (1, 0, 2)
    show(viewer, 1, 16)
    viewer.reset_view()
    assert controller.wait(20)
    assert dock.propagate.first.prefix() == "y "
    click(hand, controller, (5, *LEFT))
    hand.key(G)
    ended(controller, qtbot)
    found = planes_of(controller.session, 1, axis=1)
    assert set(range(12, 21)) <= set(found) <= set(range(10, 23))
    hand.key(Qt.Key.Key_Z, CTRL)
    assert planes_of(controller.session, 1, axis=1) == [16]
    viewer.dims.order = (0, 1, 2)
    show(viewer, 0, 5)
    viewer.reset_view()
    click(hand, controller, (5, *RIGHT))
    discs.stop_at = 8
    hand.key(G)
    session, layer = controller.session, controller.labels_layer
    qtbot.waitUntil(lambda: 7 in planes_of(session, 2), timeout=20_000)
    viewer.window.remove_dock_widget(dock.parent())
    assert dock.controller is None
    assert planes_of(session, 2) == [5, 6, 7]
    assert [part.plane.index[0] for part in session.objects[2].parts] == [5, 6, 7]
    qtbot.wait(50)
    assert planes_of(session, 2) == [5, 6, 7]
    assert layer in viewer.layers
