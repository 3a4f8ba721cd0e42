"""B: the pending mask is edited with napari's brush before Enter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.utils.key_bindings import coerce_keybinding

if TYPE_CHECKING:
    from collections.abc import Callable

    Annotated = Callable[..., Any]
    Noise = Callable[..., Any]


def _paint(c: Any, *point: float, label: int = 1) -> None:
    """Paint on the brush's layer at a data point of the image."""
    layer = c.viewer.layers["cells mask"]
    layer.brush_size = 3
    layer.paint(layer.world_to_data(c.image.data_to_world(point)), label)


def _pending_mask(c: Any) -> Any:
    return c.session.prediction(c.session.pending[-1].newest).mask


def _opened(
    annotated: Annotated, noise: Noise, shape: tuple[int, ...] = (90, 80), **kw: Any
) -> Any:
    c = annotated(noise(*shape), **kw)
    if len(shape) > 2:
        c.viewer.dims.set_point(0, 0)
    c.points.add([0] * (len(shape) - 2) + [40, 40])
    assert c.wait()
    c.brush()
    return c


def test_the_brushed_mask_is_what_is_accepted(annotated: Annotated, noise: Noise) -> None:
    c = _opened(annotated, noise)
    layer = c.viewer.layers["cells mask"]
    assert c.viewer.layers.selection.active == layer
    assert str(layer.mode) == "paint"
    _paint(c, 60, 60)
    _paint(c, 40, 40, label=0)
    wanted = _pending_mask(c).copy()
    assert wanted[60, 60]
    assert not wanted[40, 40]
    assert c.session.labels.max() == 0
    assert c.accept() == [1]
    np.testing.assert_array_equal(c.session.labels == 1, wanted)
    assert "cells mask" not in c.viewer.layers
    assert c.tool == "points"
    assert c.preview.visible


@pytest.mark.parametrize(
    "place", [{}, {"scale": (2, 0.5), "translate": (10, -4)}, {"rotate": 30}], ids=str
)
def test_the_brush_lies_where_the_mask_is(
    annotated: Annotated, noise: Noise, place: dict[str, Any]
) -> None:
    c = _opened(annotated, noise, (400, 300), **place)
    layer = c.viewer.layers["cells mask"]
    assert layer.data.size < 400 * 300
    rows, cols = np.nonzero(layer.data)
    corner = c.image.world_to_data(layer.data_to_world((rows.min(), cols.min())))
    np.testing.assert_allclose(corner, (34, 34), atol=1e-6)
    _paint(c, 70, 45)
    assert _pending_mask(c)[70, 45]


def test_each_stroke_is_undone_in_the_one_history(annotated: Annotated, noise: Noise) -> None:
    c = _opened(annotated, noise)
    layer = c.viewer.layers["cells mask"]
    start = layer.data.copy()
    _paint(c, 60, 60)
    one = layer.data.copy()
    _paint(c, 20, 20)
    c.undo()
    np.testing.assert_array_equal(layer.data, one)
    c.undo()
    np.testing.assert_array_equal(layer.data, start)
    c.redo()
    np.testing.assert_array_equal(layer.data, one)
    c.accept()
    c.undo()
    assert _pending_mask(c)[60, 60]


def test_a_further_point_keeps_what_was_painted(annotated: Annotated, noise: Noise) -> None:
    c = _opened(annotated, noise)
    _paint(c, 60, 60)
    c.points.add([10, 10])
    assert c.wait()
    layer = c.viewer.layers["cells mask"]
    mask = _pending_mask(c)
    assert mask[10, 10]
    assert mask[60, 60]
    assert layer.data.sum() == mask.sum()
    c.next_candidate()
    assert _pending_mask(c)[60, 60]


def test_a_stroke_while_an_answer_is_on_its_way_is_not_lost(
    annotated: Annotated, noise: Noise, discs: Any
) -> None:
    c = _opened(annotated, noise)
    discs.encoded.clear()
    discs.hold()
    c.points.add([20, 20])
    _paint(c, 60, 60)
    assert c.session.pending[-1].newest.prompts.painted is None
    discs.let_go()
    assert c.wait()
    mask = _pending_mask(c)
    assert mask[20, 20]
    assert mask[60, 60]


def test_escape_takes_back_what_was_painted_and_keeps_the_prompts(
    annotated: Annotated, noise: Noise
) -> None:
    c = _opened(annotated, noise)
    before = _pending_mask(c).copy()
    _paint(c, 60, 60)
    _paint(c, 20, 20)
    c.discard()
    assert "cells mask" not in c.viewer.layers
    np.testing.assert_array_equal(_pending_mask(c), before)
    assert len(c.points.data) == 1
    c.undo()
    assert _pending_mask(c)[60, 60]
    c.discard()
    assert c.session.pending == ()


def test_b_again_goes_back_to_clicks_and_keeps_what_was_painted(
    annotated: Annotated, noise: Noise
) -> None:
    c = _opened(annotated, noise)
    _paint(c, 60, 60)
    c.brush()
    assert not c.brushing
    assert c.tool == "points"
    assert _pending_mask(c)[60, 60]
    assert c.preview.visible
    assert c.preview.data.any()


@pytest.mark.parametrize("end", ["slice", "tool", "delete", "close"])
def test_the_brush_ends_with_whatever_ends_it(annotated: Annotated, noise: Noise, end: str) -> None:
    """Trap 30 and 32: neither layer nor keys are left."""
    c = _opened(annotated, noise, (4, 90, 80))
    layer = c.viewer.layers["cells mask"]
    assert coerce_keybinding("Escape") in layer.keymap
    _paint(c, 0, 60, 60)
    if end == "slice":
        c.viewer.dims.set_point(0, 2)
    elif end == "tool":
        c.set_tool("shapes")
    elif end == "delete":
        c.viewer.layers.remove(layer)
    else:
        c.close()
    assert "cells mask" not in c.viewer.layers
    assert dict(layer.keymap) == {}
    if end != "close":
        assert not c.brushing
        assert _pending_mask(c)[60, 60]
        assert c.accept() == [1]
        assert c.session.labels[0, 60, 60] == 1


def test_without_a_mask_there_is_nothing_to_paint_on(annotated: Annotated, noise: Noise) -> None:
    c = annotated(noise(40, 40))
    assert c.wait()
    c.brush()
    assert not c.brushing
    assert "click on an object first" in c.status


def test_a_reopened_object_can_be_painted(annotated: Annotated, noise: Noise) -> None:
    c = _opened(annotated, noise)
    _paint(c, 60, 60)
    c.accept()
    c.reopen(1)
    assert c.wait()
    assert _pending_mask(c)[60, 60]
    c.brush()
    _paint(c, 60, 60, label=0)
    c.accept()
    assert c.session.labels[60, 60] == 0
    assert c.session.labels[40, 40] == 1
