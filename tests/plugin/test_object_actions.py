"""Reopen, delete, join, next: what the keys do to accepted objects, without a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.layers import Labels

if TYPE_CHECKING:
    from collections.abc import Callable

    Annotated = Callable[..., Any]
    Noise = Callable[..., Any]


def _aim(c: Any, *point: float) -> None:
    """Put the mouse on a data point of the image."""
    world = c.image.data_to_world(point)
    c.viewer.cursor.position = tuple(float(value) for value in world)


def _on(annotated: Annotated, image: Any, labels: Any = None, **layer: Any) -> Any:
    """Return a controller on labels that are in the viewer."""
    target = None if labels is None else Labels(labels, scale=layer.get("scale"))
    c = annotated(image, labels=target, **layer)
    if target is not None:
        c.viewer.add_layer(target)
    assert c.wait()
    return c


def _object(c: Any, *point: float) -> int:
    c.points.add(point)
    assert c.wait()
    (label,) = c.accept()
    return int(label)


def _press(c: Any, letter: str) -> None:
    next(f for k, f in c.viewer.keymap.items() if str(k) == letter)(c.viewer)


def test_k_brings_the_prompts_back_and_enter_replaces_the_object(
    annotated: Annotated, noise: Noise
) -> None:
    c = _on(annotated, noise(60, 60))
    first = _object(c, 20, 20)
    _object(c, 45, 45)
    _aim(c, 21, 19)
    assert c.object_under_cursor() == first
    _press(c, "K")
    np.testing.assert_array_equal(c.points.data, [[20, 20]])
    assert c.tool == "points"
    c.points.add([20, 30])
    assert c.wait()
    assert c.accept() == [first]
    assert c.session.labels[20, 34] == first
    assert set(np.unique(c.session.labels)) == {0, 1, 2}
    for _ in range(3):  # accept, point, reopen
        c.undo()
    assert len(c.points.data) == 0
    assert c.session.labels[20, 34] == 0
    assert c.session.labels[20, 20] == first


def test_u_deletes_the_object_under_the_cursor_and_undo_brings_it_back(
    annotated: Annotated, noise: Noise
) -> None:
    c = _on(annotated, noise(60, 60))
    label = _object(c, 20, 20)
    before = c.session.labels.copy()
    _aim(c, 20, 22)
    _press(c, "U")
    assert label not in c.session.labels
    assert label not in c.session.objects
    c.undo()
    np.testing.assert_array_equal(c.labels_layer.data, before)
    assert c.session.objects[label].parts


def test_j_joins_the_object_under_the_cursor_to_the_last_one(
    annotated: Annotated, noise: Noise
) -> None:
    c = _on(annotated, noise(60, 60))
    first, second = _object(c, 15, 15), _object(c, 45, 45)
    assert c.last_object == second
    _aim(c, 15, 15)
    _press(c, "J")
    assert c.session.labels[15, 15] == second
    assert first not in c.session.labels
    assert c.session.objects[second].merged
    c.undo()
    assert c.session.labels[15, 15] == first


def test_j_and_u_and_k_beside_all_objects_say_what_to_do(
    annotated: Annotated, noise: Noise
) -> None:
    c = _on(annotated, noise(60, 60))
    _object(c, 15, 15)
    before = c.session.labels.copy()
    for place in ((50, 50), (-5, 10), (10, 500)):
        _aim(c, *place)
        for letter in "JUK":
            _press(c, letter)
            assert "Point at an object" in c.status
    np.testing.assert_array_equal(c.session.labels, before)
    assert c.session.pending == ()


def test_j_without_a_last_object_says_what_to_do(annotated: Annotated, noise: Noise) -> None:
    given = np.zeros((60, 60), np.uint8)
    given[10:20, 10:20] = 3
    c = _on(annotated, noise(60, 60), labels=given)
    _aim(c, 15, 15)
    _press(c, "J")
    assert "first" in c.status
    assert (c.session.labels == 3).sum() == 100


def test_n_goes_from_the_lowest_score_up_and_round_again(
    annotated: Annotated, noise: Noise, discs: Any
) -> None:
    """In a scaled and translated stack: slice and camera go to the object."""
    c = _on(annotated, noise(8, 60, 60), scale=(2, 0.5, 0.5), translate=(5, 7, -9))
    centres = {}
    for z, y, x, choice in ((1, 20, 20, 1), (4, 40, 30, 0), (6, 10, 50, 2)):
        c.viewer.dims.set_point(0, float(c.image.data_to_world((z, 0, 0))[0]))
        c.points.add((z, y, x))
        assert c.wait()
        c.session.choose(choice)
        (label,) = c.accept()
        centres[label] = (z, y, x)
    seen = []
    for _ in range(4):
        _press(c, "N")
        seen.append(c.last_object)
        z, y, x = centres[c.last_object]
        world = c.image.data_to_world((z, y, x))
        np.testing.assert_allclose(c.viewer.dims.point[0], world[0], atol=1e-6)
        np.testing.assert_allclose(c.viewer.scene.camera.center[-2:], world[1:], atol=0.3)
    assert seen == [2, 3, 1, 2]  # scores 0.5, 0.7, 0.9


def test_n_looks_at_objects_without_a_score_last(annotated: Annotated, noise: Noise) -> None:
    given = np.zeros((60, 60), np.int32)
    given[2:8, 2:8], given[50:56, 50:58] = 4, 9
    c = _on(annotated, noise(60, 60), labels=given)
    label = _object(c, 30, 30)
    assert c.wait()
    seen = []
    for _ in range(4):
        c.next_object()
        seen.append(c.last_object)
    assert seen == [label, 4, 9, label]
    np.testing.assert_allclose(c.viewer.scene.camera.center[-2:], (30, 30), atol=0.6)


@pytest.mark.parametrize("kind", ["cellpose", "brush"])
def test_an_object_without_prompts_is_reopened_from_its_mask_and_corrected(
    annotated: Annotated, noise: Noise, kind: str
) -> None:
    """Labels of another tool are corrected: the object starts from its mask, the id stays."""
    given = np.zeros((60, 60), np.int32)
    if kind == "cellpose":
        given[10:20, 10:20], given[40:50, 40:50] = 7, 9
    c = _on(annotated, noise(60, 60), labels=given)
    if kind == "brush":
        c.labels_layer.brush_size = 9
        c.labels_layer.paint((15, 15), 7)
    before = c.session.labels.copy()
    _aim(c, 15, 15)
    _press(c, "K")
    (obj,) = c.session.pending
    assert obj.replaces == 7
    np.testing.assert_array_equal(obj.newest.prompts.mask, before == 7)
    assert obj.newest.prompts.box is not None
    assert len(c.shapes.data) == 1
    c.points.add([15, 24])
    assert c.wait()
    assert c.accept() == [7]
    assert c.session.labels[15, 24] == 7
    np.testing.assert_array_equal(c.session.labels == 9, before == 9)
    c.undo()
    c.undo()
    c.undo()
    np.testing.assert_array_equal(c.labels_layer.data, before)


def test_an_object_without_prompts_is_reopened_on_the_plane_on_screen_only(
    annotated: Annotated, noise: Noise, discs: Any
) -> None:
    given = np.zeros((20, 40, 40), np.uint16)
    given[2:18, 10:20, 10:20] = 3
    c = _on(annotated, noise(20, 40, 40), labels=given)
    c.viewer.dims.set_point(0, 5)
    _aim(c, 5, 15, 15)
    _press(c, "K")
    assert [plane.index for plane in c.session.pending[0].planes] == [(5,)]
    c.points.add([5, 15, 25])
    assert c.wait()
    c.accept()
    assert c.session.labels[5, 15, 25] == 3
    assert (c.session.labels[6] == 3).sum() == 100


def test_the_object_under_the_cursor_is_that_of_the_slice_on_screen(
    annotated: Annotated, noise: Noise
) -> None:
    given = np.zeros((4, 40, 40), np.uint16)
    for z in range(4):
        given[z, 10:20, 10:20] = z + 1
    c = _on(annotated, noise(4, 40, 40), labels=given, scale=(3, 1, 1))
    _aim(c, 0, 15, 15)
    for z in range(4):
        c.viewer.dims.set_point(0, 3 * z)
        assert c.object_under_cursor() == z + 1
    c.viewer.dims.order = (1, 0, 2)
    c.viewer.dims.set_point(1, 15)
    _aim(c, 2, 15, 15)
    assert c.object_under_cursor() == 3
    c.viewer.dims.ndisplay = 3
    assert c.object_under_cursor() == 0


def test_objects_cannot_be_changed_while_an_accept_waits(
    annotated: Annotated, noise: Noise, discs: Any
) -> None:
    c = _on(annotated, noise(60, 60))
    label = _object(c, 15, 15)
    discs.encoded.clear()
    discs.hold()
    discs.cache.clear()
    c.points.add([40, 40])
    assert c.accept() == []
    c.delete(label)
    assert (c.session.labels == label).any()
    discs.let_go()
    assert c.wait()
    assert set(np.unique(c.session.labels)) == {0, 1, 2}
