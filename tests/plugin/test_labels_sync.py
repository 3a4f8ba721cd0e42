"""The labels layer of a controller: strokes of the brush, its dtype, and what is in it already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel

from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    Annotated = Callable[..., Any]
    Noise = Callable[..., Any]


def test_a_brush_stroke_is_a_step_of_the_one_history(annotated: Annotated, noise: Noise) -> None:
    """Trap 34: undo over accepts and strokes, in the order in which they were made."""
    c = annotated(noise(60, 60))
    c.points.add([10, 10])
    assert c.wait()
    c.accept()
    c.labels_layer.selected_label = 7
    c.labels_layer.brush_size = 5
    c.labels_layer.paint((40, 40), 7)
    c.points.add([10, 40])
    assert c.wait()
    assert c.accept() == [8]
    painted = c.session.labels.copy()
    c.undo()
    c.undo()
    assert 7 in c.session.labels
    c.undo()
    assert 7 not in c.session.labels
    assert 1 in c.session.labels
    c.undo()
    assert c.session.labels.max() == 0
    for _ in range(4):
        c.redo()
    np.testing.assert_array_equal(c.session.labels, painted)
    np.testing.assert_array_equal(c.labels_layer.data, painted)


def test_more_strokes_than_napari_remembers_can_be_taken_back(
    annotated: Annotated, noise: Noise
) -> None:
    c = annotated(noise(20, 20))
    layer = c.labels_layer
    layer.brush_size = 1
    for k in range(105):
        layer.paint((k // 20, k % 20), 1 + k % 3)
    painted = c.session.labels.copy()
    assert np.count_nonzero(painted) == 105
    for left in range(104, -1, -1):
        assert c.session.undo()
        assert np.count_nonzero(layer.data) == left
    assert not c.session.undo()
    assert not list(c.session.store.census)
    while c.session.redo():
        pass
    np.testing.assert_array_equal(layer.data, painted)


def test_undo_of_a_stroke_leaves_alone_what_changed_since(
    annotated: Annotated, noise: Noise
) -> None:
    c = annotated(noise(20, 20))
    layer = c.labels_layer
    layer.brush_size = 3
    layer.paint((5, 5), 2)
    corner = (slice(5, 6), slice(5, 6))
    c.session.store.write(corner, np.ones((1, 1), bool), 9, keep=())  # not a step of the history
    c.undo()
    assert np.argwhere(layer.data).tolist() == [[5, 5]]
    c.redo()
    assert layer.data[5, 5] == 9
    around = np.count_nonzero(layer.data == 2)
    assert around > 1
    census = c.session.store.census
    assert (census.pixels(2), census.pixels(9)) == (around, 1)


def test_a_stroke_that_only_napari_understands_is_taken_back_by_napari(
    annotated: Annotated, noise: Noise, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = annotated(noise(20, 20))
    layer = c.labels_layer
    layer.brush_size = 1
    layer.paint((1, 1), 1)
    with monkeypatch.context() as patch:
        patch.setattr("samari.plugin.labels_sync.read_stroke", lambda edits, data: None)
        layer.paint((2, 2), 2)
    layer.paint((3, 3), 3)
    for left in ([0, 1, 2], [0, 1], [0]):
        c.undo()
        assert np.unique(layer.data).tolist() == left
    for back in ([0, 1], [0, 1, 2], [0, 1, 2, 3]):
        c.redo()
        assert np.unique(layer.data).tolist() == back


def test_labels_outgrow_their_dtype_and_the_layer_follows(
    annotated: Annotated, noise: Noise
) -> None:
    """Trap 23: the 256th object of a uint8 layer of ours, or a clear refusal."""
    from napari.layers import Labels

    start = np.zeros((40, 40), np.uint8)
    start[0, 0] = 255
    layer = Labels(start, name="mine")
    c = annotated(noise(40, 40), labels=layer)
    c.points.add([20, 20])
    assert c.wait()
    assert c.accept() == [256]
    assert c.labels_layer is layer
    assert layer.data[20, 20] == 256
    assert layer.data[0, 0] == 255
    c.undo()
    assert layer.data.max() == 255


def test_an_existing_labels_layer_is_only_added_to(annotated: Annotated, noise: Noise) -> None:
    """Trap 22 and 27: other objects and their pixels stay, also when the controller closes."""
    from napari.layers import Labels

    start = np.zeros((40, 40), np.int32)
    start[18:22, :] = 5
    layer = Labels(start.copy(), name="mine")
    c = annotated(noise(40, 40), labels=layer)
    c.points.add([20, 20])
    assert c.wait()
    assert c.accept() == [6]
    np.testing.assert_array_equal(layer.data[start == 5], 5)
    assert (layer.data == 6).any()
    c.close()
    assert layer.data[20, 20] == 5


@pytest.mark.parametrize("z", [(), (3,)])
def test_labels_without_the_channels_of_the_image(
    z: tuple[int, ...], annotated: Annotated, noise: Noise
) -> None:
    """Those of another tool have none; napari lays them beside the last axes of the image."""
    viewer = ViewerModel()
    array = np.zeros((*z, 60, 70), np.uint8)
    array[..., 40:50, 50:60] = 254
    layer = viewer.add_labels(array)
    axes = "CZYX" if z else "CYX"
    c = annotated(noise(2, *z, 60, 70), viewer=viewer, labels=layer, axis_labels=list(axes))
    middle = [1] * len(z)
    viewer.dims.set_point(range(1 + len(z)), [0, *middle])
    c.points.add([0, *middle, 10, 20])
    assert c.wait()
    assert c.accept() == [255]
    assert layer.data[(*middle, 10, 20)] == 255
    viewer.cursor.position = (0, *middle, 10, 20)
    assert c.object_under_cursor() == 255
    assert c.look_at(254)
    assert viewer.scene.camera.center[-2:] == (44.5, 54.5)
    layer.brush_size = 3
    layer.paint((*middle, 30, 30), 7)
    assert c.session.labels[(*middle, 30, 30)] == 7
    c.undo()
    assert c.session.labels[(*middle, 30, 30)] == 0
    # More than 255 objects: the array is another one, of the same axes.
    c.points.add([0, *middle, 30, 20])
    assert c.wait()
    assert c.accept() == [256]
    assert layer.data.shape == array.shape
    assert layer.data[(*middle, 30, 20)] == 256
    c.delete(255)
    assert not (layer.data == 255).any()


def test_labels_of_another_shape_are_refused_in_words(annotated: Annotated, noise: Noise) -> None:
    from napari.layers import Labels

    with pytest.raises(InputError, match=r"\(40, 40\).*needs \(50, 50\)"):
        annotated(noise(50, 50), labels=Labels(np.zeros((40, 40), int)))


def test_the_screen_follows_right_after_a_step_and_not_within(
    annotated: Annotated, noise: Noise, qtbot: Any
) -> None:
    c = annotated(noise(60, 60))
    c.points.add([30, 30])
    assert c.wait()
    drawn: list[int] = []
    c.labels_layer.events.set_data.connect(lambda: drawn.append(int(c.labels_layer.data.max())))
    c.accept()
    c.undo()
    c.redo()
    assert drawn == []
    qtbot.waitUntil(lambda: drawn == [1], timeout=5_000)
    c.undo()
    c.close()
    assert drawn == [1, 0]
