"""Through a stack, without a window: what is meant, ranges, stop signs, ends in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
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

if TYPE_CHECKING:
    from collections.abc import Callable

    from samari.plugin.controller import Controller


@pytest.fixture
def discs(monkeypatch: pytest.MonkeyPatch) -> Follower:
    monkeypatch.setattr("samari.engine.tracking.Tracker", DoubtfulTracker)
    return Follower()


@pytest.fixture
def opened(annotated: Any) -> Callable[..., Controller]:
    """Give `opened(image)`: a controller, plane 5 on screen and encoded."""

    def open_stack(image: Any = None, **layer: Any) -> Controller:
        controller: Controller = annotated(
            stack() if image is None else image, contrast_limits=(0, 256), **layer
        )
        controller.viewer.dims.set_current_step(0, 5)  # type: ignore[attr-defined]
        assert controller.wait(20)
        return controller

    return open_stack


def click(controller: Any, *point: float) -> None:
    controller.points.add(np.array(point))
    assert controller.wait(20)


def busy(controller: Any) -> bool:
    return bool(controller.propagation.busy)


def test_it_waits_for_an_answer_that_is_not_there_yet(opened: Any, discs: Follower) -> None:
    c = opened()
    c.viewer.dims.set_current_step(0, 4)
    discs.hold()
    c.points.add(np.array((4.0, *LEFT)))
    c.propagate()
    assert c.session.pending
    assert not busy(c)
    discs.let_go()
    assert c.wait(20)
    assert planes_of(c.session, 1) == PLANES
    assert "7 planes found" in c.status


@pytest.mark.parametrize("way_out", ["undo", "discard", "cancel"])
def test_what_was_given_up_before_the_answer_is_not_propagated(
    opened: Any, discs: Follower, way_out: str
) -> None:
    c = opened()
    c.viewer.dims.set_current_step(0, 4)
    discs.hold()
    c.points.add(np.array((4.0, *LEFT)))
    c.propagate()
    getattr(c, way_out)()
    discs.let_go()
    assert c.wait(20)
    c.viewer.dims.set_current_step(0, 5)
    c.discard()
    click(c, 5, *RIGHT)
    c.accept()
    assert c.wait(20)
    assert planes_of(c.session, 1) == [5]


def test_an_undo_in_the_middle_ends_it(opened: Any, discs: Follower, qtbot: Any) -> None:
    c = opened()
    click(c, 5, *LEFT)
    discs.stop_at = 8
    c.propagate()
    qtbot.waitUntil(lambda: 7 in planes_of(c.session, 1), timeout=20_000)
    assert busy(c)
    c.undo()
    assert c.wait(20)
    assert planes_of(c.session, 1) == [5]
    assert c.report.cancelled
    c.undo()
    c.redo()
    c.redo()
    assert planes_of(c.session, 1) == [5, 6, 7]


def test_an_object_deleted_in_the_middle_does_not_come_back(
    opened: Any, discs: Follower, qtbot: Any
) -> None:
    c = opened()
    click(c, 5, *LEFT)
    discs.stop_at = 8
    c.propagate()
    qtbot.waitUntil(lambda: 7 in planes_of(c.session, 1), timeout=20_000)
    c.delete(1)
    assert not c.session.labels.any()
    assert c.wait(20)
    assert not c.session.labels.any()
    assert 1 not in c.session.objects


def test_a_second_one_has_to_wait(opened: Any, discs: Follower, qtbot: Any) -> None:
    c = opened()
    click(c, 5, *LEFT)
    discs.stop_at = 8
    c.propagate()
    c.propagate()
    assert "One propagation at a time" in c._note
    discs.stop_at = -1
    assert c.wait(20)
    assert follows(c.session, 1, 200)


@pytest.mark.parametrize("end", ["close", "image", "switch", "model"])
def test_whatever_ends_it_what_was_found_stays(
    opened: Any, discs: Follower, qtbot: Any, end: str
) -> None:
    """Trap 31, and trap 30 for propagation."""
    c = opened()
    click(c, 5, *LEFT)
    session, layer = c.session, c.labels_layer
    discs.stop_at = 8
    c.propagate()
    qtbot.waitUntil(lambda: 7 in planes_of(session, 1), timeout=20_000)
    if end == "image":
        c.viewer.layers.remove(c.image)
    elif end == "switch":
        c.close()
        discs.stop_at = -1
        other = opened(stack(), name="other")
        click(other, 5, *RIGHT)
        other.accept()
        assert planes_of(other.session, 1) == [5]
    elif end == "model":
        c.set_model("another")
    else:
        c.close()
    if end != "model":
        assert not c.is_open
    qtbot.waitUntil(lambda: not busy(c), timeout=20_000)
    kept = planes_of(session, 1)
    assert kept == [5, 6, 7]
    assert sorted(part.plane.index[0] for part in session.objects[1].parts) == kept
    qtbot.wait(100)
    assert planes_of(session, 1) == kept
    assert np.shares_memory(np.asarray(layer.data), session.labels)


def test_a_deleted_labels_layer_hides_the_objects_and_loses_none(
    opened: Any, discs: Follower, qtbot: Any
) -> None:
    c = opened()
    click(c, 5, *LEFT)
    discs.stop_at = 8
    c.propagate()
    qtbot.waitUntil(lambda: 6 in planes_of(c.session, 1), timeout=20_000)
    c.viewer.layers.remove(c.labels_layer)
    discs.stop_at = -1
    assert c.wait(20)
    assert follows(c.session, 1, 200)
    c.undo()
    assert c.labels_layer in c.viewer.layers
    assert planes_of(c.session, 1) == [5]


def test_an_error_of_the_model_is_told_and_what_was_found_stays(
    opened: Any, discs: Follower, qtbot: Any, said: list[str]
) -> None:
    c = opened()
    click(c, 5, *LEFT)
    discs.stop_at = 8
    c.propagate()
    qtbot.waitUntil(lambda: 6 in planes_of(c.session, 1), timeout=20_000)
    discs.error = MemoryError()
    discs.stop_at = -1
    assert c.wait(20)
    assert any("not enough memory" in message for message in said)
    assert 6 in planes_of(c.session, 1)
    discs.error = None
    c.propagate()
    assert c.wait(20)
    assert follows(c.session, 1, 200)


def test_labels_that_cannot_be_written_any_more_end_it_once(
    opened: Any, discs: Follower, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    c = opened()
    click(c, 5, *LEFT)
    c.accept()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(c.session, "_write_propagated", full)
    c.propagate()
    assert c.wait(20)
    assert sum("No space left" in message for message in said) == 1
    assert planes_of(c.session, 1) == [5]


def test_the_range_is_kept(opened: Any) -> None:
    c = opened()
    c.planes = (4, 8)
    click(c, 5, *LEFT)
    c.propagate()
    assert c.wait(20)
    assert planes_of(c.session, 1) == [4, 5, 6, 7]
    c.planes = None
    c.propagate()
    assert c.wait(20)
    assert planes_of(c.session, 1) == PLANES


def test_a_negative_point_alone_is_a_stop_sign(opened: Any) -> None:
    c = opened()
    click(c, 5, *LEFT)
    c.viewer.dims.set_current_step(0, 8)
    c.toggle_polarity()
    click(c, 8, *LEFT)
    c.propagate()
    assert c.wait(20)
    assert planes_of(c.session, 1) == [2, 3, 4, 5, 6, 7]
    assert c.report.ended[1][8] == "stop sign"


def test_a_stop_sign_can_be_set_afterwards(opened: Any) -> None:
    c = opened()
    click(c, 5, *LEFT)
    c.propagate()
    assert c.wait(20)
    assert planes_of(c.session, 1) == PLANES
    c.reopen(1)
    c.viewer.dims.set_current_step(0, 8)
    c.toggle_polarity()
    click(c, 8, *LEFT)
    c.propagate()
    assert c.wait(20)
    assert planes_of(c.session, 1) == [2, 3, 4, 5, 6, 7]


def test_a_corrected_plane_is_an_anchor_of_the_next_run(opened: Any) -> None:
    c = opened()
    click(c, 5, *LEFT)
    c.propagate()
    assert c.wait(20)
    c.viewer.dims.set_current_step(0, 7)
    c.reopen(1)
    c.toggle_polarity()
    click(c, 7, LEFT[0], LEFT[1] + 5)
    c.accept()
    corrected = c.session.labels[7].copy()
    assert corrected.any()
    assert (corrected != c.session.labels[6]).any()
    c.propagate()
    assert c.wait(20)
    np.testing.assert_array_equal(c.session.labels[7], corrected)
    assert planes_of(c.session, 1) == PLANES


def test_labels_of_another_tool_are_propagated_from_their_planes(opened: Any) -> None:
    image = stack()
    labels = np.zeros(image.shape, np.uint16)
    labels[5][image[5] == 200] = 7
    from napari.layers import Labels

    layer = Labels(labels)
    c = opened(image, labels=layer)
    c.select([7])
    c.propagate()
    assert c.wait(20)
    np.testing.assert_array_equal(labels == 7, image == 200)


def test_labels_that_nobody_has_counted_yet_are_propagated_too(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari.layers import Labels

    monkeypatch.setattr("samari.plugin.label_count.LabelCount._start", lambda self: None)
    image = stack()
    labels = np.zeros(image.shape, np.uint16)
    labels[5][image[5] == 200] = 7
    c = opened(image, labels=Labels(labels))
    assert not c.session.store.census.complete
    c.select([7])
    c.propagate()
    assert c.wait(20)
    np.testing.assert_array_equal(labels == 7, image == 200)


def test_a_table_of_many_planes_is_planned_and_told_in_one_note(opened: Any) -> None:
    c = opened()
    for place in (LEFT, RIGHT):
        click(c, 5, *place)
        c.accept()
    c.select([1, 2])
    c.propagate()
    assert "2 objects" in c.propagation.text
    assert c.wait(20)
    assert "14 planes found" in c.status
    assert c.session.objects[1].score == pytest.approx(0.45, abs=0.02)


def test_where_there_is_nothing_to_follow_it_says_so(opened: Any, annotated: Any) -> None:
    c = opened()
    c.propagate()
    assert "select its row" in c.status
    flat = annotated(stack()[5], contrast_limits=(0, 256), name="flat")
    assert flat.axes_to_go == ""
    flat.propagate()
    assert "one plane" in flat._note


def test_twenty_objects_hold_the_window_for_moments_only(
    gui_times: Any, opened: Any, qtbot: Any
) -> None:
    image = np.zeros((12, 512, 512), np.uint8)
    labels = np.zeros(image.shape, np.uint16)
    places = [(60 + 100 * row, 60 + 100 * col) for row in range(4) for col in range(5)]
    for number, (row, col) in enumerate(places):
        image[2:10, row - 40 : row + 40, col - 40 : col + 40] = 60 + 9 * number
        labels[5, row - 40 : row + 40, col - 40 : col + 40] = number + 1
    image[:, 0, 0] = np.arange(12)
    from napari.layers import Labels

    c = opened(image, labels=Labels(labels))
    qtbot.waitUntil(lambda: 20 in c.session.store.census)
    c.select(range(1, 21))
    c._labels.put_back()
    gui_times.clear()
    c.propagate()
    assert c.wait(120)
    print(f"\nplanning, writing, finishing: {gui_times}; longest {gui_times.longest()}")
    np.testing.assert_array_equal(labels > 0, image > 50)
    assert gui_times.percentile(50) < 16
    # On a machine that does other things as well, the limit is exceeded now and then.
    assert gui_times.percentile(90) < 160
