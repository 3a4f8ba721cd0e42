"""Through a stack from the window: G, the button and the table; live, cancelled, undone, closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from samari.engine.regions import Region
from samari.engine.tracking import Scene, Step
from tests.plugin.conftest import Discs

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Middles (Y, X) of the two objects, which are discs of radius 6 on the planes 2 to 9.
LEFT, RIGHT = (16.0, 16.0), (16.0, 46.0)
PLANES = list(range(2, 10))
G, ENTER, CTRL = Qt.Key.Key_G, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier


@dataclass
class Follower(Discs):
    """Answers clicks with discs; what it follows through a stack is what is equally bright."""

    device: str = "cpu"


class BrightTracker:
    """Stands for `Tracker`: an object is every pixel of its brightness."""

    def __init__(self, model: Any, shape: tuple[int, int]) -> None:
        self.shape = shape

    def start(self, region: Region, grey: Any) -> Step:
        return Step(region, self._logits(region), 1.0, region.contrast(grey))

    def _logits(self, region: Region) -> Any:
        return np.where(region.on((0, 0, *self.shape)), 4, -4).astype(np.float32)

    def joined(self, logits: Any) -> Region | None:
        return Region.of(logits > 0)

    def follow(self, scene: Scene, last: Sequence[Step]) -> list[Step | None]:
        found: list[Step | None] = []
        for step in last:
            value = scene.grey[tuple(map(int, step.region.interior))]
            region = Region.of((scene.grey == value) & (value > 50))
            region = None if region is None else region.connected_to(step.region)
            if region is None:
                found.append(None)
            else:
                # Plane 8 is a doubtful one.
                score = 0.3 if scene.grey[0, 0] == 8 else 0.9
                contrast = region.contrast(scene.grey)
                found.append(Step(region, self._logits(region), score, contrast))
        return found


@pytest.fixture
def discs(monkeypatch: pytest.MonkeyPatch) -> Follower:
    monkeypatch.setattr("samari.engine.tracking.Tracker", BrightTracker)
    return Follower()


def stack(planes: int = 12) -> Any:
    """Two columns; the corner pixel counts the planes."""
    image = np.zeros((planes, 48, 64), np.uint8)
    y, x = np.indices(image.shape[1:])
    for (row, col), value in ((LEFT, 200), (RIGHT, 100)):
        image[PLANES[0] : PLANES[-1] + 1, (y - row) ** 2 + (x - col) ** 2 <= 36] = value
    image[:, 0, 0] = np.arange(planes)
    return image


def planes_of(session: Any, label: int, axis: int = 0) -> list[int]:
    """The planes that an object has pixels on."""
    across = tuple(a for a in range(session.labels.ndim) if a != axis)
    return np.flatnonzero((session.labels == label).any(axis=across)).tolist()


def follows(session: Any, label: int, value: int) -> bool:
    """Whether an object is what has this brightness; plane 5 is what a click made it."""
    wanted, found = stack() == value, session.labels == label
    others = np.arange(len(wanted)) != 5
    return bool(found[5].any() and (found[others] == wanted[others]).all())


@pytest.fixture
def opened(docked: Any, qtbot: Any) -> Any:
    """Give `opened(image)`: viewer, hand and dock, plane 5 on screen and encoded."""

    def open_stack(image: Any, **layer: Any) -> tuple[Any, Any, Any]:
        viewer, hand, dock = docked(image, contrast_limits=(0, 255), **layer)
        show(viewer, 0, 5)
        assert dock.controller.wait(20)
        return viewer, hand, dock

    return open_stack


def show(viewer: Any, axis: int, index: int) -> None:
    viewer.dims.set_current_step(axis, index)


def click(hand: Any, controller: Any, point: tuple[float, ...]) -> None:
    hand.click(point)
    assert controller.wait(20)


def ended(controller: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not controller.propagation.busy, timeout=20_000)


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


def test_g_before_the_answer_propagates_when_it_is_there(
    opened: Any, discs: Follower, qtbot: Any
) -> None:
    viewer, hand, dock = opened(stack())
    show(viewer, 0, 4)
    discs.hold()
    hand.click((4, *LEFT))
    hand.key(G)
    assert dock.controller.session.pending
    assert not dock.controller.propagation.busy
    discs.let_go()
    qtbot.waitUntil(lambda: planes_of(dock.controller.session, 1) == PLANES, timeout=20_000)
    ended(dock.controller, qtbot)


def test_g_takes_the_rows_that_are_selected(opened: Any, discs: Follower, qtbot: Any) -> None:
    _, hand, dock = opened(stack())
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


def test_g_means_the_object_under_the_mouse_once_it_has_moved_there(
    opened: Any, qtbot: Any
) -> None:
    _, hand, dock = opened(stack())
    controller = dock.controller
    accept(hand, controller, LEFT, RIGHT)
    choose_row(dock, 1)
    qtbot.wait(20)
    hand.move((5, *RIGHT))
    hand.key(G)
    ended(controller, qtbot)
    assert planes_of(controller.session, 2) == PLANES
    assert planes_of(controller.session, 1) == [5]


def test_planes_appear_while_it_goes_on_and_clicks_go_first(
    opened: Any, discs: Follower, qtbot: Any
) -> None:
    """Trap 31."""
    viewer, hand, dock = opened(stack())
    controller = dock.controller
    accept(hand, controller, LEFT)
    discs.encoded.clear()
    discs.seconds_a_block = 0.02
    hand.key(G)
    show(viewer, 0, 7)
    qtbot.waitUntil(lambda: 7 in planes_of(controller.session, 1), timeout=20_000)
    assert controller.propagation.busy
    # On the screen, not only in the array.
    shown = controller.labels_layer._slice.image.raw
    assert (shown == 1).sum() == (stack()[7] == 200).sum()
    assert "Following object 1" in dock.ui.status.text()
    assert dock.ui.cancel.isEnabled()
    hand.click((7, *RIGHT))
    qtbot.waitUntil(lambda: controller.candidates is not None, timeout=20_000)
    assert controller.propagation.busy
    hand.key(ENTER)
    assert planes_of(controller.session, 2) == [7]
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
    discs.encoded.clear()
    discs.seconds_a_block = 0.05
    hand.key(G)
    qtbot.waitUntil(lambda: 7 in planes_of(controller.session, 1), timeout=20_000)
    QTest.mouseClick(dock.ui.cancel, Qt.MouseButton.LeftButton)
    ended(controller, qtbot)
    kept = planes_of(controller.session, 1)
    assert kept[:3] == [5, 6, 7]
    assert 9 not in kept
    assert controller.report.cancelled
    assert [part.plane.index[0] for part in controller.session.objects[1].parts] == kept
    assert "Cancelled" in controller.status
    discs.seconds_a_block = 0.0
    hand.key(G)
    ended(controller, qtbot)
    assert planes_of(controller.session, 1) == PLANES
    hand.key(Qt.Key.Key_Z, CTRL)
    assert planes_of(controller.session, 1) == kept
    hand.key(Qt.Key.Key_Z, CTRL)
    assert planes_of(controller.session, 1) == [5]


def test_undo_in_the_middle_ends_it(opened: Any, discs: Follower, qtbot: Any) -> None:
    _, hand, dock = opened(stack())
    controller = dock.controller
    accept(hand, controller, LEFT)
    discs.encoded.clear()
    discs.seconds_a_block = 0.05
    hand.key(G)
    qtbot.waitUntil(lambda: 7 in planes_of(controller.session, 1), timeout=20_000)
    hand.key(Qt.Key.Key_Z, CTRL)
    ended(controller, qtbot)
    assert planes_of(controller.session, 1) == [5]
    assert controller.wait(20)
    assert planes_of(controller.session, 1) == [5]


def test_the_lowest_confidence_is_in_the_table_and_n_goes_there(opened: Any, qtbot: Any) -> None:
    viewer, hand, dock = opened(stack())
    controller = dock.controller
    accept(hand, controller, LEFT, RIGHT)
    hand.move((5, *LEFT))
    choose_row(dock, 1)
    hand.key(G)
    ended(controller, qtbot)
    model = dock.objects.model
    score = model.index(model.row_of(1), 3).data()
    assert float(score) < 0.31
    show(viewer, 0, 2)
    hand.key(Qt.Key.Key_N)
    assert viewer.dims.current_step[0] == 8
    assert "z=8" in controller.status
    hand.key(Qt.Key.Key_N)
    assert viewer.dims.current_step[0] == 5


def test_the_range_of_the_dock_is_kept(opened: Any, qtbot: Any) -> None:
    _, hand, dock = opened(stack())
    controller = dock.controller
    panel = dock.propagate
    assert (panel.first.value(), panel.last.value()) == (0, 11)
    assert not panel.axis.isVisible()
    panel.last.setValue(7)
    panel.first.setValue(4)
    click(hand, controller, (5, *LEFT))
    hand.key(G)
    ended(controller, qtbot)
    assert planes_of(controller.session, 1) == [4, 5, 6, 7]
    panel.first.setValue(9)
    assert panel.last.value() == 9


def test_a_negative_point_alone_is_a_stop_sign(opened: Any, qtbot: Any) -> None:
    viewer, hand, dock = opened(stack())
    controller = dock.controller
    click(hand, controller, (5, *LEFT))
    show(viewer, 0, 8)
    assert controller.wait(20)
    hand.click((8, *LEFT), button=Qt.MouseButton.RightButton)
    assert controller.wait(20)
    hand.key(G)
    ended(controller, qtbot)
    assert planes_of(controller.session, 1) == [2, 3, 4, 5, 6, 7]
    assert controller.report.ended[1][8] == "stop sign"


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
    np.testing.assert_array_equal(controller.session.labels[7], painted)
