"""What is being painted on a part of large labels while the view moves on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.plugin.test_labels_window import is_true, look_at, opened, small

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["opened", "small"]


@pytest.fixture
def painting(opened: Callable[..., Any]) -> Any:
    """Give a controller whose labels layer is active, with label 7 and a small brush."""
    c = opened()
    c._viewer.layers.selection.active = c.labels_layer
    c.labels_layer.selected_label, c.labels_layer.brush_size = 7, 9
    return c


def test_the_part_waits_for_the_end_of_a_stroke(painting: Any) -> None:
    c = painting
    layer, place = c.labels_layer, c._labels._box
    with layer.block_history():
        layer.paint((20, 30), 7)
        look_at(c, 900, 100)
        assert c._labels._box == place
        layer.paint((20, 40), 7)
    assert c.session.labels[404, 478] == c.session.labels[404, 488] == 7
    c._labels.settle()
    assert c._labels._box != place
    assert is_true(c)
    c.undo()
    assert not c.session.labels.any()


def test_a_stroke_that_begins_while_the_next_part_is_read(painting: Any) -> None:
    c = painting
    layer, place = c.labels_layer, c._labels._box
    c._viewer.scene.camera.center = (0, 900, 100)
    c._labels._rest.stop()
    c._labels.follow()
    assert c._labels._coming is not None
    with layer.block_history():
        layer.paint((20, 30), 7)
        c._labels.settle()
        assert c._labels._box == place
    assert c.session.labels[404, 478] == 7
    c._labels.settle()
    assert c._labels._box != place
    assert is_true(c)


def test_labels_read_again_during_a_stroke_are_shown_after_it(painting: Any) -> None:
    c = painting
    layer = c.labels_layer
    c.session.labels[380:640, 440:700] = 5  # behind our back
    with layer.block_history():
        layer.paint((20, 30), 7)
        c._labels._read_again()
        c._labels.settle()
    assert is_true(c)
    assert 5 in layer.data


def test_the_part_waits_for_the_end_of_a_polygon(painting: Any) -> None:
    c = painting
    layer, place = c.labels_layer, c._labels._box
    layer.mode = "polygon"
    polygon = layer._overlays["polygon"]
    polygon.points = [(20.0, 30.0), (20.0, 60.0)]
    look_at(c, 900, 100)
    assert c._labels._box == place
    polygon.points = [*polygon.points, (60.0, 60.0), (60.0, 30.0)]
    polygon.add_polygon_to_labels(layer)
    assert c.session.labels[424, 498] == 7
    c._labels.settle()
    assert c._labels._box != place
    assert is_true(c)


def test_a_polygon_left_for_another_layer_does_not_hold_the_part(painting: Any) -> None:
    c = painting
    layer, place = c.labels_layer, c._labels._box
    layer.mode = "polygon"
    layer._overlays["polygon"].points = [(20.0, 30.0), (20.0, 60.0)]
    c._viewer.layers.selection.active = c.points
    look_at(c, 900, 100)
    assert c._labels._box != place
    assert not layer._overlays["polygon"].points


def test_no_pixel_goes_to_a_plane_that_is_not_on_screen(opened: Callable[..., Any]) -> None:
    c = opened(3, 700, 800)
    viewer, layer = c._viewer, c.labels_layer
    viewer.dims.set_point(0, 1)
    look_at(c, 300, 400)
    viewer.layers.selection.active = layer
    layer.mode = "paint"
    with layer.block_history():
        layer.paint((0, 100, 100), 7)
        viewer.dims.set_point(0, 2)  # what was painted until now is kept
        assert not layer.editable
        assert layer.mode == "pan_zoom"
        assert 7 in c.session.labels[1]
    c._labels.settle()
    assert layer.editable
    assert layer.mode == "paint"
    assert is_true(c)
    assert not c.session.labels[2].any()
    viewer.dims.set_point(0, 1)
    viewer.dims.set_point(0, 2)
    assert layer.editable
    viewer.dims.set_point(0, 0)
    c.close()
    assert layer.editable


def test_labels_that_cannot_be_read_are_told_of_once(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Torn:
        dtype, shape = np.dtype("u2"), (1000, 1200)

        def __getitem__(self, key: Any) -> Any:
            raise OSError("torn")

    said: list[BaseException] = []
    monkeypatch.setattr("samari.plugin.notices.tell_error", said.append)
    c = opened()
    place, labels = c._labels._box, c.session.labels
    with monkeypatch.context() as patch:
        patch.setattr(type(c.session), "labels", Torn())
        for _ in range(2):
            look_at(c, 900, 100)
    assert [str(error) for error in said] == ["torn"]
    assert c.session.labels is labels
    assert c._labels._box == place
    c._labels._on_view()
    c._labels.settle()
    assert c._labels._box != place
    assert is_true(c)


def test_the_overview_holds_labels_of_a_type_that_grew(opened: Callable[..., Any]) -> None:
    assert opened().label_helpers[0].data.dtype == np.uint32


def test_other_axes_leave_no_overview_and_none_is_a_target(small: None, docked: Any) -> None:
    viewer, _, dock = docked(np.zeros((3, 700, 800), np.uint8), contrast_limits=(0, 255))
    (overview,) = dock.controller.label_helpers
    dock._on_axes("TYX" if dock.controller.source.axes == "ZYX" else "ZYX")
    assert overview not in viewer.layers
    (overview,) = dock.controller.label_helpers
    dock._use(None)
    assert overview in viewer.layers
    assert overview not in dock.ui.target._layers
