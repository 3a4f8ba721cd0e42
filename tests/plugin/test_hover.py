"""The contour of what a click would take follows the mouse, and leaves no trace."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.utils.interactions import mouse_move_callbacks
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from samari.plugin.layers import HOVER_EDGE, OBJECT_EDGE, OBJECT_FILL

if TYPE_CHECKING:
    from collections.abc import Callable


def shown(controller: Any) -> set[int]:
    """Return the labels that the preview shows."""
    return set(np.unique(controller.preview.data).tolist()) - {0}


def bounds(controller: Any, *values: int) -> Any:
    """Return the lowest and the highest corner of these labels in data coordinates of the image."""
    pixels = np.argwhere(np.isin(controller.preview.data, values))
    corners = (pixels.min(axis=0), pixels.max(axis=0))
    return [
        np.round(controller.image.world_to_data(controller.preview.data_to_world(corner)), 3)
        for corner in corners
    ]


@pytest.fixture
def ready(docked: Any, qtbot: Any) -> Callable[..., Any]:
    """Give `ready(image, **layer)`: viewer, hand and controller, the plane on screen encoded."""

    def open_dock(image: Any, **layer: Any) -> Any:
        viewer, hand, dock = docked(image, **layer)
        c = dock.controller
        assert c.wait(30)
        return viewer, hand, c

    return open_dock


def see(qtbot: Any, controller: Any, *values: int) -> None:
    """Wait until the preview shows these labels and no others."""
    qtbot.waitUntil(lambda: shown(controller) == set(values), timeout=30_000)


def test_the_contour_follows_the_mouse_and_a_click_takes_what_it_shows(
    ready: Any, noise: Any, qtbot: Any, discs: Any
) -> None:
    viewer, hand, c = ready(noise(100, 120))
    active = viewer.layers.selection.active
    hand.move((40, 60))
    see(qtbot, c, HOVER_EDGE)
    np.testing.assert_allclose(bounds(c, HOVER_EDGE), [(34, 54), (46, 66)], atol=1.1)
    hand.move((60, 30))
    qtbot.waitUntil(lambda: abs(bounds(c, HOVER_EDGE)[0][0] - 54) < 1.1, timeout=30_000)
    hovered = c.preview.data > 0
    asked = len(discs.decoded)
    assert viewer.layers.selection.active == active
    assert not c.session.pending
    assert not c.session.history.can_undo
    assert not np.any(c.session.labels)
    assert not c.session.requests()
    assert not c.busy
    hand.click((60, 30))
    qtbot.waitUntil(lambda: c.candidates is not None, timeout=30_000)
    assert len(discs.decoded) == asked  # the answer was there before the click
    see(qtbot, c, 1, 101)
    np.testing.assert_array_equal(c.preview.data == 101, hovered)


def test_while_something_is_pending_the_mouse_changes_nothing(
    ready: Any, noise: Any, qtbot: Any, discs: Any
) -> None:
    _viewer, hand, c = ready(noise(100, 120))
    hand.click((40, 60))
    assert c.wait(30)
    before, asked = c.preview.data.copy(), len(discs.decoded)
    for column in range(20, 100, 10):
        hand.move((70, column))
        qtbot.wait(10)
    np.testing.assert_array_equal(c.preview.data, before)
    assert len(discs.decoded) == asked
    c.discard()
    assert not c.preview.data.any()
    hand.move((41, 60))
    see(qtbot, c, HOVER_EDGE)


def test_over_an_accepted_object_the_object_is_highlighted(
    ready: Any, noise: Any, qtbot: Any
) -> None:
    _viewer, hand, c = ready(noise(100, 120))
    hand.click((40, 60))
    assert c.wait(30)
    (label,) = c.accept()
    hand.move((41, 61))
    see(qtbot, c, OBJECT_EDGE, OBJECT_FILL)
    assert c.hovered == label
    lowest, highest = bounds(c, OBJECT_EDGE, OBJECT_FILL)
    pixels = np.argwhere(c.session.labels == label)
    np.testing.assert_array_equal(lowest, pixels.min(axis=0))
    np.testing.assert_array_equal(highest, pixels.max(axis=0))
    hand.move((80, 20))
    see(qtbot, c, HOVER_EDGE)
    assert c.hovered == 0
    hand.move((41, 61))
    see(qtbot, c, OBJECT_EDGE, OBJECT_FILL)
    c.delete(label)
    assert not c.preview.data.any()


def test_the_highlight_of_an_object_in_3d_comes_back_on_another_slice(
    ready: Any, noise: Any, qtbot: Any
) -> None:
    viewer, hand, c = ready(noise(3, 100, 120))
    viewer.dims.set_point(0, 0)
    assert c.wait(30)
    c.session.brush(np.ones((3, 20, 20), bool), 3, (0, 30, 50))
    for plane in (0, 1, 0):
        viewer.dims.set_point(0, plane)
        assert c.hovered == 0
        assert not c.preview.data.any()
        qtbot.wait(30)
        hand.move((plane, 40, 60))
        see(qtbot, c, OBJECT_EDGE, OBJECT_FILL)
        assert c.hovered == 3
        assert bounds(c, OBJECT_EDGE, OBJECT_FILL)[0][0] == plane


def test_dragging_shows_nothing(ready: Any, noise: Any, qtbot: Any) -> None:
    _viewer, hand, c = ready(noise(100, 120))
    c.points.mode = "pan_zoom"
    c.points.mode = "add"
    hand.move((40, 60))
    see(qtbot, c, HOVER_EDGE)
    c.set_tool("shapes")
    assert not c.preview.data.any()  # a click of the box tool takes nothing
    hand.move((42, 60))
    c.wait(30)
    assert not c.preview.data.any()
    c.set_tool("points")
    hand.move((40, 60))
    see(qtbot, c, HOVER_EDGE)
    qtbot.wait(20)  # drawn, too
    seen = []
    c.preview.events.set_data.connect(lambda: seen.append(shown(c)))
    # What the mouse had asked for before the button went down may still be drawn, once.
    hand.drag((40, 60), (60, 80), pressed=lambda: (qtbot.wait(100), seen.clear()))
    c.wait(30)
    assert all(HOVER_EDGE not in labels for labels in seen)


def test_a_negative_click_would_take_nothing(ready: Any, noise: Any, qtbot: Any) -> None:
    _viewer, hand, c = ready(noise(100, 120))
    hand.move((40, 60))
    see(qtbot, c, HOVER_EDGE)
    c.toggle_polarity()
    hand.move((42, 60))
    see(qtbot, c)


def test_off_on_planes_that_are_not_encoded(ready: Any, noise: Any, qtbot: Any, discs: Any) -> None:
    viewer, hand, c = ready(noise(4, 100, 120))
    hand.move((0, 40, 60))
    discs.hold()
    viewer.dims.set_point(0, 2)
    asked = len(discs.decoded)
    for column in (30, 60, 90):
        hand.move((2, 40, column))
        qtbot.wait(30)
    assert len(discs.decoded) == asked
    assert not c.preview.data.any()
    discs.let_go()
    assert c.wait(30)
    hand.move((2, 44, 60))
    see(qtbot, c, HOVER_EDGE)
    assert bounds(c, HOVER_EDGE)[0][0] == 2
    viewer.dims.set_point(0, 0)
    assert not c.preview.data.any()


def test_the_mouse_does_not_begin_again_what_failed(
    docked: Any, noise: Any, qtbot: Any, discs: Any, said: list[str]
) -> None:
    discs.error = MemoryError("no memory left")
    _, hand, dock = docked(noise(80, 80))
    c = dock.controller
    qtbot.waitUntil(lambda: not c.busy and len(said) == 1, timeout=30_000)
    for column in range(20, 50, 3):
        hand.move((20, column))
        assert c.wait(30)
    assert len(said) == 1, said
    # A click is an order, and says again what is wrong.
    hand.click((20, 20))
    qtbot.waitUntil(lambda: len(said) == 2, timeout=30_000)
    discs.error = None
    hand.click((40, 40))
    assert c.wait(30)
    qtbot.waitUntil(lambda: not c.session.requests(), timeout=30_000)
    c.discard()
    hand.move((60, 60))
    see(qtbot, c, HOVER_EDGE)


def test_the_mouse_does_not_begin_again_what_was_cancelled(
    docked: Any, noise: Any, qtbot: Any, discs: Any
) -> None:
    discs.hold()
    viewer, hand, dock = docked(noise(4, 80, 80))
    c = dock.controller
    qtbot.waitUntil(lambda: c.busy, timeout=30_000)
    dock.ui.cancel.click()
    assert not c.busy
    hand.move((0, 30, 30))
    qtbot.wait(100)
    assert not c.busy
    assert "next click" in dock.ui.status.text()
    # Another slice is something new to look at.
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: c.busy, timeout=30_000)
    discs.let_go()
    assert c.wait(30)


def test_where_the_embedding_has_left_the_cache_the_mouse_brings_it_back(
    ready: Any, noise: Any, qtbot: Any, discs: Any
) -> None:
    _viewer, hand, c = ready(noise(100, 120))
    discs.encoded.clear()
    discs.cache.clear()
    hand.move((40, 60))
    see(qtbot, c, HOVER_EDGE)
    assert len(discs.encoded) == 1


def test_it_can_be_switched_off_and_on(ready: Any, noise: Any, qtbot: Any, discs: Any) -> None:
    _viewer, hand, c = ready(noise(100, 120))
    told = []
    c.changed.connect(lambda: told.append(c.hover))
    hand.move((40, 60))
    see(qtbot, c, HOVER_EDGE)
    c.hover = False
    assert told[-1] is False
    assert not c.preview.data.any()
    asked = len(discs.decoded)
    hand.move((60, 60))
    qtbot.wait(50)
    assert len(discs.decoded) == asked
    c.hover = True
    hand.move((40, 61))
    see(qtbot, c, HOVER_EDGE)


def test_outside_the_image_hidden_and_in_3d_there_is_nothing(
    ready: Any, noise: Any, qtbot: Any, discs: Any
) -> None:
    """Trap 13."""
    viewer, hand, c = ready(noise(5, 100, 120))

    def stays_empty(point: Any) -> None:
        asked = len(discs.decoded)
        hand.move(point)
        qtbot.wait(40)
        assert len(discs.decoded) == asked
        assert not c.preview.data.any()

    hand.move((0, 40, 60))
    see(qtbot, c, HOVER_EDGE)
    stays_empty((0, -4, 60))
    c.image.visible = False
    stays_empty((0, 40, 60))
    c.image.visible = True
    hand.move((0, 42, 60))
    see(qtbot, c, HOVER_EDGE)
    viewer.dims.ndisplay = 3
    assert not c.preview.data.any()
    QTest.mouseMove(hand.native)
    qtbot.wait(40)
    assert not c.preview.data.any()


def test_another_layer_of_the_users_is_active(ready: Any, noise: Any, qtbot: Any) -> None:
    viewer, hand, c = ready(noise(100, 120))
    hand.move((40, 60))
    see(qtbot, c, HOVER_EDGE)
    viewer.add_points(np.zeros((0, 2)), name="mine")
    assert not c.preview.data.any()
    hand.move((45, 60))
    qtbot.wait(40)
    assert not c.preview.data.any()


@pytest.mark.parametrize(
    ("axes", "point", "low", "high"),
    [
        ((0, 1, 2), (3, 30, 50), (3, 24, 44), (3, 36, 56)),
        ((2, 0, 1), (20, 30, 12), (14, 24, 12), (26, 36, 12)),
        ((1, 0, 2), (20, 7, 50), (14, 7, 44), (26, 7, 56)),
        ((0, 2, 1), (3, 30, 50), (3, 24, 44), (3, 36, 56)),
    ],
    ids=["YX", "ZY rolled", "ZX", "transposed"],
)
def test_scaled_shifted_and_turned_layers(
    ready: Any, noise: Any, qtbot: Any, axes: Any, point: Any, low: Any, high: Any
) -> None:
    """Traps 5, 11 and 12."""
    viewer, hand, c = ready(noise(40, 60, 80), scale=(2, 0.5, 0.5), translate=(30, -20, 7))
    viewer.dims.order = axes
    across = axes[0]
    viewer.dims.set_point(across, c.image.data_to_world(point)[across])
    viewer.reset_view()
    assert c.wait(30)
    qtbot.wait(50)
    hand.move(point)
    see(qtbot, c, HOVER_EDGE)
    np.testing.assert_allclose(bounds(c, HOVER_EDGE), [low, high], atol=1.1)


def test_the_newest_place_wins(ready: Any, noise: Any, qtbot: Any, discs: Any) -> None:
    _viewer, hand, c = ready(noise(100, 120))
    asked = len(discs.decoded)
    for column in range(10, 100):
        hand.move((50, column), wait=0)
    hand.move((50, 100))
    c.wait(30)
    see(qtbot, c, HOVER_EDGE)
    qtbot.waitUntil(lambda: abs(bounds(c, HOVER_EDGE)[1][1] - 106) < 1.1, timeout=30_000)
    assert 1 <= len(discs.decoded) - asked < 50


def test_an_answer_from_before_a_change_of_the_image_is_not_believed(
    ready: Any, noise: Any, qtbot: Any, discs: Any
) -> None:
    """Trap 7."""
    _viewer, hand, c = ready(noise(100, 120))
    hand.move((40, 60))
    see(qtbot, c, HOVER_EDGE)
    c.image.data[...] = 7
    c.image.refresh()
    asked = len(discs.decoded)
    hand.click((40, 60))
    assert c.wait(30)
    assert len(discs.decoded) == asked + 1


def test_nothing_is_left_when_it_is_closed(ready: Any, noise: Any, qtbot: Any) -> None:
    """Trap 32."""
    viewer, hand, c = ready(noise(100, 120))
    hand.move((40, 60))
    see(qtbot, c, HOVER_EDGE)
    preview = c.preview
    c.close()
    assert not any("Hover" in repr(f) for f in viewer.mouse_move_callbacks)
    assert not any("Hover" in repr(f) for f in viewer.mouse_drag_callbacks)
    emitters = (
        viewer.events.mouse_over_canvas,
        viewer.layers.selection.events.active,
        c.image.events.set_data,
    )
    assert not any("hover" in repr(callback) for e in emitters for callback in e.callbacks)
    assert preview not in viewer.layers
    hand.move((60, 60))
    QTest.keyClick(hand.native, Qt.Key.Key_Escape)


def test_two_viewers_do_not_mix(ready: Any, annotated: Any, noise: Any, qtbot: Any) -> None:
    """Trap 33."""
    _viewer, hand, c = ready(noise(100, 120))
    other = annotated(noise(90, 90))  # without a window: two of them do not draw well in one test
    assert other.wait(30)
    hand.move((40, 60))
    see(qtbot, c, HOVER_EDGE)
    assert not other.preview.data.any()
    other.viewer.cursor.position = (30, 30)
    mouse_move_callbacks(other.viewer, SimpleNamespace(is_dragging=False))
    see(qtbot, other, HOVER_EDGE)
    other.hover = False
    assert not other.preview.data.any()
    assert c.hover
    hand.move((50, 60))
    see(qtbot, c, HOVER_EDGE)
