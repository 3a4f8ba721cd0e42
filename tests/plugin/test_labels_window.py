"""Planes too large for a labels layer: a part that follows the view, over an overview."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from samari.plugin import labels_window
from samari.plugin.controller import Controller
from samari.plugin.large_labels import labels_of
from samari.plugin.writer import write_labels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let planes of more than 500 pixels a side be large, and the part 256 x 256."""
    monkeypatch.setattr(labels_window, "LONGEST", 500)
    monkeypatch.setattr(labels_window, "SIDE", 256)
    monkeypatch.setattr(labels_window, "GRID", 64)
    monkeypatch.setattr("samari.plugin.labels_overview._SIDE", 300)


@pytest.fixture
def opened(small: None, annotated: Any, noise: Any) -> Callable[..., Any]:
    """Give `opened(*shape)`: a controller whose labels are shown in parts."""

    def open_image(*shape: int, **layer: Any) -> Any:
        c = annotated(noise(*(shape or (1000, 1200))), **layer)
        assert c.wait(30)
        look_at(c, 500, 600)
        return c

    return open_image


def look_at(c: Any, row: float, col: float) -> None:
    c._viewer.scene.camera.center = (0, row, col)
    c._labels.settle()


def accepted(c: Any, *point: float) -> int:
    """Accept what a click gives."""
    c.points.add(point)
    assert c.wait(30)
    (label,) = c.accept()
    return label


def is_true(c: Any) -> bool:
    """Whether window and overview show what is in the session's labels."""
    c._labels.settle()
    shown = c.session.labels[c._labels._box]
    overview = c._labels._overview
    k = overview.factor
    labels = np.asarray(c.session.labels)
    padded = np.pad(labels, [(0, 0)] * (labels.ndim - 2) + [(0, -n % k) for n in labels.shape[-2:]])
    *others, rows, cols = padded.shape
    wanted = padded.reshape(*others, rows // k, k, cols // k, k).max(axis=(-3, -1))
    wanted[overview._hidden] = 0
    seen = np.asarray(overview.layer.data).reshape(wanted.shape)
    return np.array_equal(c.labels_layer.data.reshape(shown.shape), shown) and np.array_equal(
        seen, wanted
    )


def test_the_layer_shows_the_middle_of_the_screen_and_follows(opened: Any) -> None:
    c = opened()
    layer = c.labels_layer
    assert layer.data.shape == (256, 256)
    assert layer.translate.tolist() == [384, 448]
    look_at(c, 100, 1100)
    assert layer.translate.tolist() == [0, 944]
    look_at(c, 110, 1101)
    assert layer.translate.tolist() == [0, 944]
    overview = c.label_helpers[0]
    assert overview.data.shape == (250, 300)
    assert not overview.editable
    np.testing.assert_allclose(overview.extent.world, c.image.extent.world, atol=4)


def test_accepted_objects_are_in_the_part_and_in_the_overview(opened: Any) -> None:
    c = opened()
    near, far = accepted(c, 500, 600), accepted(c, 100, 100)
    assert is_true(c)
    assert near in c.labels_layer.data
    assert far not in c.labels_layer.data
    assert set(np.unique(c.label_helpers[0].data)) == {0, far}  # what the part shows is not below
    look_at(c, 100, 100)
    assert is_true(c)
    assert set(np.unique(c.labels_layer.data)) == {0, far}
    assert set(np.unique(c.label_helpers[0].data)) == {0, near}
    c.undo()
    assert is_true(c)
    assert not c.labels_layer.data.any()


def test_strokes_go_into_the_labels_and_the_one_history(opened: Any) -> None:
    """Also those that are not in view any more."""
    c = opened()
    layer = c.labels_layer
    layer.selected_label, layer.brush_size = 7, 9
    layer.paint((20, 30), 7)
    assert c.session.labels[404, 478] == 7
    assert is_true(c)
    accepted(c, 450, 500)
    look_at(c, 900, 100)
    layer.paint((200, 50), 9)
    assert is_true(c)
    painted = np.asarray(c.session.labels).copy()
    assert set(np.unique(painted)) == {0, 7, 8, 9}
    for _ in range(4):  # the click is one of them
        c.undo()
    assert not c.session.labels.any()
    assert is_true(c)
    for _ in range(4):
        c.redo()
    np.testing.assert_array_equal(c.session.labels, painted)
    assert is_true(c)
    assert not layer._undo_history


def test_a_stroke_that_nobody_understands_is_found_by_comparing(opened: Any, qtbot: Any) -> None:
    c = opened()
    c.labels_layer.data[10:20, 10:15] = 5
    c._labels._on_paint(SimpleNamespace(value=object()))
    qtbot.waitUntil(lambda: 5 in c.session.labels, timeout=30_000)
    assert np.count_nonzero(c.session.labels == 5) == 50
    assert is_true(c)
    c.undo()
    assert not c.session.labels.any()
    assert is_true(c)


def test_an_object_is_under_the_mouse_wherever_the_part_lies(opened: Any) -> None:
    c = opened()
    label = accepted(c, 500, 600)
    for row, col in ((500, 600), (100, 100)):
        look_at(c, row, col)
        c._viewer.cursor.position = (500.0, 600.0)
        assert c.object_under_cursor() == label
        c._viewer.cursor.position = (400.0, 600.0)
        assert c.object_under_cursor() == 0
    assert c.look_at(label)
    np.testing.assert_allclose(c._viewer.scene.camera.center[-2:], (500, 600), atol=1)


def test_in_a_stack_the_part_lies_on_the_plane_on_screen(opened: Any) -> None:
    c = opened(3, 700, 800)
    viewer, layer = c._viewer, c.labels_layer
    viewer.dims.set_point(0, 1)
    look_at(c, 300, 400)
    assert c.wait(30)
    label = accepted(c, 1, 300, 400)
    assert is_true(c)
    assert layer.translate[0] == 1
    viewer.dims.set_point(0, 2)
    c._labels.settle()
    assert layer.translate[0] == 2
    assert not layer.data.any()
    assert label in c.label_helpers[0].data[1]
    layer.paint((0, 100, 100), 9)
    assert is_true(c)
    assert 9 in c.session.labels[2]


def test_another_controller_goes_on_with_the_same_layer(
    opened: Any, workshop: Any, tmp_path: Path
) -> None:
    c = opened()
    label = accepted(c, 500, 600)
    layer, viewer, image = c.labels_layer, c._viewer, c.image
    count = len(viewer.layers)
    c.close()
    again = Controller(viewer, image, labels=layer, workshop=workshop)
    try:
        assert again.labels_layer is layer
        assert again.session.labels is labels_of(layer)
        assert len(viewer.layers) == count
        again._labels.settle()
        assert is_true(again)
        assert label in layer.data
        assert accepted(again, 700, 300) == label + 1
        assert label + 1 in again.label_helpers[0].data
        assert is_true(again)
    finally:
        again.close()


@pytest.mark.parametrize("way", ["dock", "menu"])
def test_all_labels_are_saved(opened: Any, workshop: Any, tmp_path: Path, way: str) -> None:
    c = opened(scale=(0.5, 0.5))
    accepted(c, 250, 300)
    accepted(c, 50, 50)
    path = tmp_path / "labels.ome.tif"
    if way == "dock":
        c.save_in_background(path)
        assert workshop.files.wait(30)
    else:
        data, meta, _ = c.labels_layer.as_layer_data_tuple()
        write_labels(str(path), data, meta)
    with tifffile.TiffFile(path) as file:
        np.testing.assert_array_equal(file.asarray(), c.session.labels)
        assert 'PhysicalSizeX="0.5"' in (file.ome_metadata or "")


def test_deleted_layers_come_back_with_the_next_object(opened: Any) -> None:
    c = opened()
    accepted(c, 500, 600)
    c._viewer.layers.remove(c.labels_layer)
    c._viewer.layers.remove(c.label_helpers[0])
    accepted(c, 400, 500)
    assert c.labels_layer in c._viewer.layers
    assert is_true(c)


def test_close_leaves_no_callback(opened: Any) -> None:
    """Trap 32."""
    c = opened()
    place = c.labels_layer.translate.copy()
    c.close()
    c._viewer.scene.camera.center = (0, 100, 100)
    assert not c._labels._rest.isActive()
    np.testing.assert_array_equal(c.labels_layer.translate, place)
