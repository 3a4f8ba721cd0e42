"""In a real napari window: mouse and keys through the canvas, the dock, and taking it apart."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from samari.plugin.controller import annotate
from samari.plugin.dock import SamariDock
from samari.plugin.keys import KEYS

if TYPE_CHECKING:
    from pathlib import Path


LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NONE, CTRL = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def test_the_whole_way_with_mouse_and_keys(
    docked: Any, noise: Any, tmp_path: Path, qtbot: Any
) -> None:
    viewer, hand, dock = docked(noise(100, 120))
    c = dock.controller
    assert viewer.layers.selection.active == c.points
    hand.click((40, 60))
    hand.click((44, 60), RIGHT)
    hand.click((36, 60), LEFT, CTRL)
    assert list(c.points.features["label"]) == ["positive", "negative", "negative"]
    np.testing.assert_allclose(c.points.data, [(40, 60), (44, 60), (36, 60)], atol=0.5)
    assert c.wait()
    assert "of 3" in dock.ui.candidate.text()
    hand.key(Qt.Key.Key_Q)
    assert c.candidates.chosen == 2
    hand.key(Qt.Key.Key_Q, SHIFT)
    assert c.candidates.chosen == 1
    hand.key(Qt.Key.Key_Return)
    assert c.session.labels[40, 57] == 1
    assert c.session.labels[36, 60] == 0
    hand.key(Qt.Key.Key_W)
    assert c.tool == "shapes"
    assert dock.ui.box.isChecked()
    hand.drag((60, 20), (80, 50))
    hand.drag((10, 80), (30, 110))
    assert c.wait()
    assert len(c.session.pending) == 2
    hand.key(Qt.Key.Key_Return)
    assert c.session.labels[70, 35] == 2
    assert c.session.labels[20, 95] == 3
    np.testing.assert_allclose(np.argwhere(c.session.labels == 2).min(axis=0), (60, 20), atol=1)
    hand.key(Qt.Key.Key_Z, CTRL)
    assert c.session.labels.max() == 1
    assert len(c.shapes.data) == 2
    hand.key(Qt.Key.Key_Z, CTRL | SHIFT)
    assert c.session.labels.max() == 3
    hand.drag((40, 80), (60, 110))
    hand.key(Qt.Key.Key_Escape)
    assert c.session.pending == ()
    assert len(c.shapes.data) == 0
    c.save(tmp_path / "cells.ome.tif")
    (opened,) = viewer.open(tmp_path / "cells.ome.tif", plugin="samari")
    np.testing.assert_array_equal(opened.data, c.session.labels)
    np.testing.assert_array_equal(opened.scale, c.image.scale)


def test_slice_five_of_a_scaled_stack_with_the_mouse(docked: Any, noise: Any) -> None:
    """Trap 5 and 12, through the canvas."""
    viewer, hand, dock = docked(noise(10, 60, 60), scale=(2, 0.5, 0.5), translate=(5, 7, -9))
    viewer.dims.point = hand.layer.data_to_world((5, 0, 0))
    hand.click((5, 20, 40))
    c = dock.controller
    assert c.wait()
    hand.key(Qt.Key.Key_Return)
    assert c.session.labels[5, 20, 40] == 1
    assert np.unique(np.argwhere(c.session.labels)[:, 0]).tolist() == [5]


def test_quick_clicks_on_one_spot_all_count(docked: Any, noise: Any) -> None:
    """Trap 29: napari takes every second quick click for a double click."""
    _, hand, dock = docked(noise(60, 60))
    for _ in range(5):
        hand.double_click((30, 30))
    assert len(dock.controller.points.data) == 10
    assert dock.controller.wait()
    assert len(dock.controller.session.pending[0].newest.prompts.points) == 10


def test_the_polarity_key_and_enter_work_from_the_image_too(docked: Any, noise: Any) -> None:
    viewer, hand, dock = docked(noise(60, 60))
    c = dock.controller
    hand.key(Qt.Key.Key_T)
    assert c.negative
    assert dock.ui.minus.isChecked()
    hand.key(Qt.Key.Key_T)
    hand.click((30, 30))
    assert c.wait()
    viewer.layers.selection.active = c.image
    hand.key(Qt.Key.Key_Return)
    assert c.session.labels[30, 30] == 1


def test_a_polygon_drawn_by_hand_is_finished_by_enter_and_the_next_enter_accepts(
    docked: Any, noise: Any
) -> None:
    """Trap 35: Enter belongs to the drawing while there is one."""
    _, hand, dock = docked(noise(60, 60))
    c = dock.controller
    c.set_tool("shapes")
    c.shapes.mode = "add_polygon"
    for point in ((10, 10), (10, 40), (40, 40)):
        hand.click(point)
    hand.key(Qt.Key.Key_Return)
    assert list(c.shapes.shape_type) == ["polygon"]
    assert c.wait()
    assert c.session.labels.max() == 0
    hand.key(Qt.Key.Key_Return)
    assert c.session.labels[20, 32] == 1


def test_every_key_has_a_button_that_does_the_same(docked: Any, noise: Any) -> None:
    _, _, dock = docked(noise(40, 40))
    c, ui = dock.controller, dock.ui
    buttons = {
        "toggle_tool": ui.box, "toggle_polarity": ui.minus, "next_candidate": ui.next,
        "previous_candidate": ui.previous, "accept": ui.accept, "discard": ui.discard,
        "undo": ui.undo, "redo": ui.redo, "show_keys": ui.keys, "brush": ui.brush,
        "reopen": ui.objects.reopen, "join": ui.objects.join, "delete": ui.objects.delete,
        "next_object": ui.objects.next, "propagate": ui.propagate.start,
    }  # fmt: skip
    assert set(buttons) == {key.action for key in KEYS}
    for key in KEYS:
        assert key.label in buttons[key.action].toolTip() + buttons[key.action].text(), key
    c.points.add([20, 20])
    assert c.wait()
    ui.next.click()
    assert c.candidates.chosen == 2
    ui.previous.click()
    assert c.candidates.chosen == 1
    ui.accept.click()
    assert c.session.labels.max() == 1
    ui.undo.click()
    assert c.session.labels.max() == 0
    ui.redo.click()
    assert c.session.labels.max() == 1
    c.points.add([30, 30])
    ui.discard.click()
    assert c.session.pending == ()
    ui.box.click()
    assert c.tool == "shapes"
    ui.click.click()
    assert c.tool == "points"
    ui.minus.click()
    assert c.negative
    ui.plus.click()
    assert not c.negative


@pytest.mark.parametrize("shape", [(40, 40), (3, 4, 40, 40)], ids=["2D", "TZYX"])
def test_the_dock_is_small_enough_for_a_laptop(docked: Any, noise: Any, shape: Any) -> None:
    _, _, dock = docked(noise(*shape))
    assert dock.minimumSizeHint().width() <= 340
    assert dock.sizeHint().height() <= 800
    # At 900 pixels, napari's own frame leaves 834: room for all that can be open at once.
    further = (dock.ui.lost, dock.ui.renew, dock.ui.target.copy)
    learning = (dock.improve.note, dock.improve._choice)
    dock.improve.note.setText(
        "On 120 objects held out: one click 0.48 \u2192 0.64, box 0.77 \u2192 0.83"
    )
    for widgets in (further, learning, (dock.everything._choice,)):
        for widget in widgets:
            widget.show()
        QApplication.processEvents()
        assert dock.minimumSizeHint().height() <= 834
        assert dock.minimumSizeHint().width() <= 340
        for widget in widgets:
            widget.hide()
        QApplication.processEvents()


def test_opening_and_closing_the_dock_five_times_leaves_nothing(
    window: Any, noise: Any, discs: Any, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    """Trap 27 and 32: no callbacks, keys, layers or threads are left; labels stay."""
    monkeypatch.setattr("samari.plugin.workshop.Workshop.segmenter", lambda self, model: discs)
    viewer, _ = window(noise(40, 40))
    before = {thread.name for thread in threading.enumerate()}
    layer_callbacks = [len(viewer.layers.events.removed.callbacks)]
    dims_callbacks = [len(viewer.dims.events.point.callbacks)]
    for turn in range(5):
        dock = SamariDock(viewer)
        holder = viewer.window.add_dock_widget(dock, name="Samari")
        qtbot.waitUntil(lambda dock=dock: dock.controller is not None, timeout=30_000)
        c = dock.controller
        c.points.add([10, 5 + 7 * turn])
        assert c.wait()
        c.accept()
        c.points.add([30, 30])
        viewer.window.remove_dock_widget(holder)
        qtbot.wait(20)
        assert dock.controller is None
        assert [layer.name for layer in viewer.layers if "objects" not in layer.name] == ["cells"]
        assert dict(viewer.keymap) == {}
        layer_callbacks.append(len(viewer.layers.events.removed.callbacks))
        dims_callbacks.append(len(viewer.dims.events.point.callbacks))
    assert sum("objects" in layer.name for layer in viewer.layers) == 5
    assert all(layer.data.max() == 1 for layer in viewer.layers if "objects" in layer.name)
    # napari keeps its own callbacks of a dock it has removed; none of them is ours or grows by us.
    assert dims_callbacks[1] == dims_callbacks[5]
    qtbot.waitUntil(
        lambda: {t.name for t in threading.enumerate()} <= before | {"MainThread"}, timeout=20_000
    )


def test_closing_the_dock_during_encoding_is_safe(
    docked: Any, noise: Any, discs: Any, qtbot: Any
) -> None:
    """Trap 30."""
    discs.hold()
    viewer, _, dock = docked(noise(40, 40))
    dock.controller.points.add([20, 20])
    viewer.window.remove_dock_widget(dock.parent())
    discs.let_go()
    qtbot.wait(50)
    assert [layer.name for layer in viewer.layers] == ["cells", "cells objects"]


def test_closing_the_window_during_encoding_ends_the_threads(
    docked: Any, noise: Any, discs: Any, qtbot: Any
) -> None:
    """Trap 30 and 36: the viewer is closed in the middle of it."""
    discs.hold()
    viewer, _, dock = docked(noise(40, 40))
    dock.controller.points.add([20, 20])
    viewer.close()
    discs.let_go()
    qtbot.waitUntil(
        lambda: not any(t.name.startswith("samari") for t in threading.enumerate()), timeout=20_000
    )


def test_deleting_the_image_during_encoding_closes_its_session(
    docked: Any, noise: Any, discs: Any, qtbot: Any
) -> None:
    """Trap 30: then the dock takes the next image."""
    discs.hold()
    viewer, _, dock = docked(noise(40, 40))
    first = dock.controller
    first.points.add([20, 20])
    viewer.layers.remove(first.image)
    assert not first.is_open
    discs.let_go()
    viewer.add_image(noise(50, 50), name="next")
    qtbot.waitUntil(lambda: dock.controller is not None, timeout=30_000)
    assert dock.controller.image.name == "next"
    dock.controller.points.add([20, 20])
    assert dock.controller.wait()
    assert dock.controller.accept() == [1]


def test_switching_the_image_keeps_the_labels_of_both(docked: Any, noise: Any, qtbot: Any) -> None:
    """Trap 19 and 27: images of different size used in turn."""
    viewer, _, dock = docked(noise(40, 40))
    dock.controller.points.add([20, 20])
    assert dock.controller.wait()
    dock.controller.accept()
    other = viewer.add_image(noise(30, 70), name="other")
    dock.ui.image.value = other
    qtbot.waitUntil(lambda: dock.controller.image is other, timeout=30_000)
    dock.controller.points.add([15, 60])
    assert dock.controller.wait()
    dock.controller.accept()
    assert viewer.layers["cells objects"].data[20, 20] == 1
    assert viewer.layers["other objects"].data[15, 60] == 1
    dock.ui.image.value = viewer.layers["cells"]
    qtbot.waitUntil(lambda: dock.controller.image is viewer.layers["cells"], timeout=30_000)
    # With the labels that it had, their prompts and steps.
    assert dock.controller.labels_layer is viewer.layers["cells objects"]
    dock.controller.points.add([5, 5])
    assert dock.controller.wait()
    assert dock.controller.accept() == [2]
    assert viewer.layers["cells objects"].data[20, 20] == 1
    assert dock.controller.session.objects.keys() == {1, 2}
    dock.ui.image.value = other
    qtbot.waitUntil(lambda: dock.controller.image is other, timeout=30_000)
    viewer.layers.remove("cells objects")
    dock.ui.image.value = viewer.layers["cells"]
    qtbot.waitUntil(lambda: dock.controller.image is viewer.layers["cells"], timeout=30_000)
    assert not dock.controller.labels_layer.data.any(), "those were deleted"


def test_cancel_button_stops_the_encoding_and_the_next_click_starts_again(
    docked: Any, noise: Any, discs: Any, qtbot: Any
) -> None:
    """Trap 31."""
    discs.hold()
    _, _, dock = docked(noise(40, 40))
    qtbot.waitUntil(lambda: dock.ui.cancel.isEnabled(), timeout=30_000)
    dock.ui.cancel.click()
    assert not dock.controller.busy
    assert "Cancelled" in dock.ui.status.text()
    discs.let_go()
    dock.controller.points.add([20, 20])
    assert dock.controller.wait()
    assert dock.controller.accept() == [1]


def test_a_long_encoding_is_shown_in_napari_and_its_worker_ends(
    docked: Any, noise: Any, discs: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers: list[Any] = []
    import samari.plugin.inference as inference

    shown = inference.show_activity

    def show(*arguments: Any) -> Any:
        worker = shown(*arguments)
        steps: list[int] = []
        worker.yielded.connect(steps.append)
        workers.append((worker, steps))
        return worker

    monkeypatch.setattr(inference, "show_activity", show)
    discs.hold()
    _, _, dock = docked(noise(40, 40))
    qtbot.waitUntil(lambda: len(workers) == 1, timeout=30_000)
    discs.let_go()
    assert dock.controller.wait()
    worker, steps = workers[0]
    qtbot.waitUntil(lambda: steps == [1, 2, 3, 4], timeout=30_000)
    qtbot.waitUntil(lambda: not worker.is_running, timeout=30_000)


def test_annotate_with_a_real_model_finds_accepts_and_saves(
    window: Any, noise: Any, tiny_model_folder: Path, tmp_path: Path, qtbot: Any
) -> None:
    """The same, with a network (of random weights) instead of the stand-in."""
    viewer, _ = window(noise(64, 64))
    c = annotate(viewer, viewer.layers["cells"], model=str(tiny_model_folder))
    c.points.add([30, 30])
    assert c.wait(60)
    assert c.candidates is not None
    assert c.where.startswith("CPU") or c.where
    for _ in range(len(c.candidates.masks)):
        if c.candidates.mask.any():
            break
        c.next_candidate()
    wanted = c.candidates.mask.copy()
    c.accept()
    np.testing.assert_array_equal(c.labels_layer.data > 0, wanted)
    c.save(tmp_path / "a.ome.tif")
    assert (tmp_path / "a.ome.tif").stat().st_size > 0
    c.close()
    qtbot.waitUntil(
        lambda: not any(t.name.startswith("samari") for t in threading.enumerate()), timeout=20_000
    )


def test_an_image_that_cannot_be_annotated_is_told_once(
    docked: Any, noise: Any, said: list[str], qtbot: Any
) -> None:
    viewer, _, dock = docked(noise(40, 40))
    dock.ui.image.value = viewer.add_image(np.zeros((2,) * 6), name="six")
    qtbot.waitUntil(lambda: len(said) == 1, timeout=30_000)
    viewer.add_points(name="something else")
    qtbot.wait(50)
    assert len(said) == 1
    assert "2 to 5 axes" in said[0]
    dock.ui.image.value = viewer.layers["cells"]
    qtbot.waitUntil(lambda: dock.controller is not None, timeout=30_000)


def test_the_contrast_is_renewed_by_its_button_and_the_prompts_stay(
    docked: Any, noise: Any
) -> None:
    """Trap 3 and 4."""
    _, _, dock = docked(noise(40, 40))
    first, layer = dock.controller, dock.controller.labels_layer
    assert not dock.ui.renew.isVisible()
    first.points.add([20, 20])
    first.image.contrast_limits = (30, 90)
    assert dock.ui.renew.isVisible()
    dock.ui.renew.click()
    assert dock.controller is not first
    assert dock.controller.labels_layer is layer
    assert dock.controller.session.planes.contrast_limits == (30, 90)
    assert not dock.ui.renew.isVisible()
    assert dock.controller.wait()
    assert dock.controller.accept() == [1]


def test_a_layer_that_gets_another_array_is_annotated_anew(
    docked: Any, noise: Any, qtbot: Any
) -> None:
    """Trap 7: mutate the data; no stale result."""
    _, _, dock = docked(noise(40, 40))
    first = dock.controller
    other = noise(40, 40)[::-1].copy()
    first.image.data = other
    qtbot.waitUntil(lambda: dock.controller is not first, timeout=30_000)
    assert dock.controller.session.planes.image is other
    assert dock.controller.labels_layer is first.labels_layer


@pytest.mark.parametrize("which", ["image", "labels_layer"])
def test_an_array_of_another_shape_goes_on_in_new_labels(
    docked: Any, noise: Any, qtbot: Any, said: list[str], which: str
) -> None:
    """Cropped, binned or read again; what was annotated stays in its layer."""
    viewer, _, dock = docked(noise(40, 40))
    first = dock.controller
    image, former = first.image, first.labels_layer
    first.points.add([30, 30])
    assert first.wait()
    assert first.accept() == [1]
    first.points.add([35, 35])
    getattr(first, which).data = noise(20, 30)
    qtbot.waitUntil(lambda: dock.controller is not first, timeout=30_000)
    c = dock.controller
    assert c is not None
    assert c.image is image
    assert c.session.planes.label_shape == image.data.shape
    assert c.session.pending == ()
    assert dock.ui.target.isEnabled()
    assert former in viewer.layers
    assert former is not c.labels_layer
    assert "shape" in said[0]
    assert "new labels layer" in said[-1]
    if which == "image":
        assert former.data[30, 30] == 1
    c.points.add([10, 15])
    assert c.wait()
    assert c.accept() == [1]
