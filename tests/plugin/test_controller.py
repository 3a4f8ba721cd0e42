"""A controller on a viewer without a window: the same code as with one, in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from samari.errors import InputError
from samari.plugin.controller import Controller, annotate

if TYPE_CHECKING:
    from collections.abc import Callable

    Annotated = Callable[..., Any]
    Noise = Callable[..., Any]


def _disc(shape: tuple[int, int], center: tuple[float, float], radius: float) -> Any:
    y, x = np.indices(shape)
    return (y - center[0]) ** 2 + (x - center[1]) ** 2 <= radius**2


def test_click_mask_accept_undo_redo(annotated: Annotated, noise: Noise) -> None:
    c = annotated(noise(40, 50))
    c.points.add([12, 20])
    assert c.wait()
    assert c.candidates is not None
    assert c.labels_layer.data.max() == 0
    assert c.accept() == [1]
    wanted = _disc((40, 50), (12, 20), 6)
    np.testing.assert_array_equal(c.labels_layer.data, wanted)
    assert len(c.points.data) == 0
    c.undo()
    assert c.labels_layer.data.max() == 0
    np.testing.assert_array_equal(c.points.data, [[12, 20]])
    c.undo()
    assert len(c.points.data) == 0
    c.redo()
    c.redo()
    np.testing.assert_array_equal(c.labels_layer.data, wanted)


def test_the_preview_shows_the_pending_mask_where_it_is_and_costs_the_same_on_any_image(
    annotated: Annotated, noise: Noise
) -> None:
    c = annotated(noise(600, 800), scale=(2, 0.5), translate=(10, -5))
    c.points.add([30, 40])
    assert c.wait()
    assert c.preview.data.shape == (512, 512)
    rows, cols = np.nonzero(c.preview.data)
    corners = [c.preview.data_to_world((rows.min(), cols.min())),
               c.preview.data_to_world((rows.max(), cols.max()))]  # fmt: skip
    on_image = [c.image.world_to_data(corner) for corner in corners]
    np.testing.assert_allclose(on_image, [(24, 34), (36, 46)])
    assert c.viewer.layers.selection.active == c.points
    c.accept()
    assert not c.preview.data.any()


def test_candidates_are_cycled_in_both_directions(annotated: Annotated, noise: Noise) -> None:
    c = annotated(noise(40, 40))
    c.points.add([20, 20])
    assert c.wait()
    sizes = []
    for step in (c.next_candidate, c.next_candidate, c.next_candidate, c.previous_candidate):
        step()
        assert c.wait()
        sizes.append(int(c.candidates.mask.sum()))
    assert sizes[0] == _disc((40, 40), (20, 20), 4.5).sum()
    assert sizes[1] == _disc((40, 40), (20, 20), 3).sum()
    assert sizes[2] == _disc((40, 40), (20, 20), 6).sum()
    assert sizes[3] == sizes[1]
    c.accept()
    assert (c.labels_layer.data == 1).sum() == sizes[1]


def test_boxes_become_one_object_each_and_enter_accepts_all(
    annotated: Annotated, noise: Noise
) -> None:
    c = annotated(noise(60, 60))
    c.set_tool("shapes")
    for y, x in ((5, 5), (30, 30)):
        c.shapes.add([[y, x], [y, x + 20], [y + 20, x + 20], [y + 20, x]], shape_type="rectangle")
    c.points.add([48, 48])
    assert len(c.session.pending) == 2
    assert c.wait()
    assert set(np.unique(c.preview.data)) > {0, 1, 2}
    assert c.accept() == [1, 2]
    assert c.labels_layer.data[10, 10] == 1
    assert c.labels_layer.data[40, 40] == 2
    assert len(c.shapes.data) == 0
    c.undo()
    assert len(c.shapes.data) == 2
    assert list(c.shapes.shape_type) == ["rectangle"] * 2
    assert len(c.points.data) == 1
    assert len(c.session.pending) == 2


def test_the_shapes_layer_comes_when_it_is_used_and_lies_below_the_points(
    annotated: Annotated, noise: Noise
) -> None:
    for used in ("by the tool", "by a script", "by redo"):
        c = annotated(noise(40, 40))
        assert [layer.name for layer in c.viewer.layers][-2:] == ["cells preview", "cells points"]
        box = [[5, 5], [5, 20], [20, 20], [20, 5]]
        if used == "by the tool":
            c.toggle_tool()
        elif used == "by a script":
            c.shapes.add(box, shape_type="rectangle")
        else:
            c.shapes.add(box, shape_type="rectangle")
            c.undo()
            c.viewer.layers.remove(c.shapes)
            c.redo()
        assert [layer.name for layer in c.viewer.layers][-2:] == ["cells shapes", "cells points"]
        assert c.tool == ("shapes" if used == "by the tool" else "points")
        assert str(c.shapes.mode) == "add_rectangle"
        assert c.shapes.keymap


def test_a_slip_of_the_mouse_is_no_box(
    annotated: Annotated, noise: Noise, said: list[str], qtbot: Any
) -> None:
    c = annotated(noise(60, 60))
    c.shapes.add([[5, 5], [5, 5.3], [5.3, 5.3], [5.3, 5]], shape_type="rectangle")
    qtbot.waitUntil(lambda: len(c.shapes.data) == 0, timeout=1000)
    assert c.session.pending == ()
    assert said == []


@pytest.mark.parametrize("kind", ["polygon", "ellipse"])
def test_an_outline_becomes_box_and_mask_and_comes_back_by_undo(
    annotated: Annotated, noise: Noise, kind: str
) -> None:
    c = annotated(noise(60, 60))
    outline = np.array([[10, 10], [10, 40], [40, 40], [40, 10]], float)
    c.shapes.add(outline, shape_type=kind)
    prompts = c.session.pending[0].newest.prompts
    assert prompts.box is not None
    assert prompts.mask is not None
    mask = np.asarray(prompts.mask)
    assert mask[25, 25]
    assert mask[12, 12] == (kind == "polygon")
    assert c.wait()
    c.accept()
    c.undo()
    assert list(c.shapes.shape_type) == [kind]
    np.testing.assert_allclose(c.shapes.data[0], outline)
    assert c.session.pending[0].newest.prompts == prompts


def test_a_scribble_becomes_points_along_it(annotated: Annotated, noise: Noise, qtbot: Any) -> None:
    c = annotated(noise(60, 60))
    c.shapes.add(np.array([[10, 10], [10, 50]]), shape_type="path")
    assert len(c.points.data) == 5
    np.testing.assert_allclose(c.points.data[:, 0], 10)
    qtbot.waitUntil(lambda: len(c.shapes.data) == 0, timeout=1000)
    assert len(c.session.pending[0].newest.prompts.points) == 5


def test_moving_and_deleting_points_recomputes_the_mask(annotated: Annotated, noise: Noise) -> None:
    c = annotated(noise(60, 60))
    c.points.add([10, 10])
    c.points.add([30, 30])
    assert c.wait()
    c.points.data = np.array([[10, 10], [40, 40.0]])
    assert c.wait()
    assert c.candidates.mask[40, 40]
    assert not c.candidates.mask[30, 30]
    c.points.selected_data = {0}
    c.points.remove_selected()
    assert c.wait()
    assert not c.candidates.mask[10, 10]
    c.undo()
    np.testing.assert_array_equal(c.points.data, [[10, 10], [40, 40]])


def test_polarity_lies_in_the_feature_column(annotated: Annotated, noise: Noise) -> None:
    c = annotated(noise(60, 60))
    c.points.add([30, 30])
    c.toggle_polarity()
    assert c.negative
    c.points.add([33, 33])
    assert list(c.points.features["label"]) == ["positive", "negative"]
    assert c.session.pending[0].newest.prompts.labels == (1, 0)
    c.points.features["label"] = ["positive", "positive"]
    c.points.data = c.points.data  # what napari's own editing emits
    assert c.session.pending[0].newest.prompts.labels == (1, 1)


def test_two_controllers_do_not_disturb_each_other(annotated: Annotated, noise: Noise) -> None:
    """Trap 33: two viewers at once."""
    a, b = annotated(noise(40, 40)), annotated(noise(50, 50))
    a.points.add([10, 10])
    b.points.add([40, 40])
    assert a.wait()
    assert b.wait()
    a.accept()
    assert a.session.labels.max() == 1
    assert b.session.labels.max() == 0
    assert len(b.points.data) == 1
    a.close()
    assert b.accept() == [1]


def test_without_an_image_the_error_says_what_to_do(qapp: Any) -> None:
    from napari.components import ViewerModel

    with pytest.raises(InputError, match="open one first"):
        annotate(ViewerModel())


def test_close_leaves_nothing_but_the_labels(annotated: Annotated, noise: Noise) -> None:
    """Trap 32 and 35: no key, callback or layer is left; other plugins' keys stay."""
    c = annotated(noise(40, 40))
    viewer, labels, points, shapes = c.viewer, c.labels_layer, c.points, c.shapes
    dims = len(viewer.dims.events.point.callbacks)
    c.close()
    assert [layer.name for layer in viewer.layers] == ["cells", "cells objects"]
    assert dict(viewer.keymap) == {}
    assert dict(labels.keymap) == {}
    assert dict(points.keymap) == {}
    assert dict(shapes.keymap) == {}
    assert len(viewer.dims.events.point.callbacks) < dims
    # Twice is once, and nothing happens afterwards.
    c.close()
    viewer.dims.ndisplay = 3
    labels.selected_label = 4
    labels.paint((3, 3), 4)
    assert not c.session.history.can_undo


def test_a_key_of_another_plugin_on_the_viewer_is_left_alone(
    annotated: Annotated, noise: Noise, said: list[str]
) -> None:
    """Trap 35: keys that are taken are skipped, with a notice."""
    from napari.components import ViewerModel

    viewer, calls = ViewerModel(), []
    viewer.bind_key("Q", calls.append)
    c = annotated(noise(40, 40), viewer=viewer)
    assert any("Q" in message for message in said)
    next(f for k, f in viewer.keymap.items() if str(k) == "Q")(viewer)
    assert calls == [viewer]
    c.close()
    assert [str(key) for key in viewer.keymap] == ["Q"]


@pytest.mark.parametrize("which", ["image", "points", "shapes", "labels_layer", "preview"])
@pytest.mark.parametrize("when", ["encoding", "pending", "accepted"])
def test_any_layer_can_be_deleted_at_any_time(
    annotated: Annotated, noise: Noise, discs: Any, which: str, when: str, qtbot: Any
) -> None:
    """Trap 30: delete each layer during encoding, with prompts pending, and after an accept."""
    if when == "encoding":
        discs.hold()
    c = annotated(noise(40, 40))
    c.set_tool("shapes")
    c.points.add([20, 20])
    if when != "encoding":
        assert c.wait()
    if when == "accepted":
        c.accept()
    c.viewer.layers.remove(getattr(c, which))
    discs.let_go()
    qtbot.wait(20)
    if which == "image":
        assert not c.is_open
        assert "cells points" not in c.viewer.layers
        return
    assert c.is_open
    c.set_tool("points")
    c.points.add([10, 30])
    assert c.wait()
    assert c.preview in c.viewer.layers
    c.accept()
    assert c.labels_layer in c.viewer.layers
    assert c.labels_layer.data[10, 30] > 0
    if when == "accepted":
        assert c.labels_layer.data[20, 20] == 1


def test_layers_are_held_by_reference(annotated: Annotated, noise: Noise) -> None:
    """Trap 7: renaming and reordering breaks nothing."""
    c = annotated(noise(40, 40))
    for layer in list(c.viewer.layers):
        layer.name = "x"
    c.viewer.layers.move(0, 3)
    c.points.add([20, 20])
    assert c.wait()
    assert c.accept() == [1]
    assert c.labels_layer.data[20, 20] == 1


def test_another_model_answers_what_is_pending(
    annotated: Annotated, noise: Noise, workshop: Any, discs: Any
) -> None:
    c = annotated(noise(40, 40))
    c.points.add([20, 20])
    assert c.wait()
    other = type(discs)(requested="other", model_name="other", model_hash="07e5")
    workshop.discs = other
    c.set_model("other")
    assert c.wait()
    assert other.decoded[-1].points == ((20, 20),)
    c.accept()
    assert c.session.objects[1].model == "other"


def test_undo_with_nothing_done_says_so(annotated: Annotated, noise: Noise) -> None:
    c = annotated(noise(40, 40))
    assert c.wait()
    c.undo()
    assert "Nothing to undo" in c.status
    c.accept()
    assert "Nothing to accept" in c.status
    c.next_candidate()
    assert "click on an object first" in c.status
    assert isinstance(c, Controller)


def test_the_contrast_of_the_opening_holds_until_the_user_renews_it(
    annotated: Annotated, noise: Noise
) -> None:
    """Trap 3 and 4: moving the slider changes nothing by itself."""
    c = annotated(noise(40, 40))
    before = c.session.planes.contrast_limits
    assert c.renewal == ""
    c.image.contrast_limits = (20, 90)
    assert c.session.planes.contrast_limits == before
    assert c.renewal == "Use the new contrast"
    c.points.add([20, 20])
    c.close()
    again = annotated(noise(40, 40), viewer=c.viewer, contrast_limits=(20, 90))
    assert again.session.planes.contrast_limits != before
    again.take_over(c)
    np.testing.assert_array_equal(again.points.data, [[20, 20]])
    assert again.wait()
    assert again.candidates is not None


def test_another_channel_on_screen_is_offered(annotated: Annotated, noise: Noise) -> None:
    c = annotated(noise(2, 40, 40), axis_labels=("c", "y", "x"))
    assert c.renewal == ""
    c.viewer.dims.point = (1, 0, 0)
    assert c.renewal == "Use channel 1"


def test_an_image_whose_data_was_replaced_is_outdated(
    annotated: Annotated, noise: Noise, qtbot: Any
) -> None:
    """Trap 7: no stale result for other data in the same layer."""
    c = annotated(noise(40, 40))
    assert c.wait()
    with qtbot.waitSignal(c.outdated, timeout=1000):
        c.image.data = noise(40, 40)[::-1]
    assert not c.busy


def test_labels_that_another_plugin_replaced_make_the_session_outdated(
    annotated: Annotated, noise: Noise, qtbot: Any
) -> None:
    """Trap 7: nothing is written into an array that nobody sees any more."""
    c = annotated(noise(40, 40))
    assert c.wait()
    with qtbot.waitSignal(c.outdated, timeout=1000):
        c.labels_layer.data = np.ones((40, 40), np.uint8)


def test_a_step_is_told_once_when_it_is_done(annotated: Any, noise: Any) -> None:
    c = annotated(noise(64, 64))
    c.points.add([30, 30])
    assert c.wait(30)
    told: list[int] = []
    c.changed.connect(lambda: told.append(len(c.session.objects)))
    c.accept()
    assert told == [1]
    c.undo()
    assert told == [1, 0]
    c.redo()
    assert told == [1, 0, 1]
