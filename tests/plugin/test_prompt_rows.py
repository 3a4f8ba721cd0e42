from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.layers import Image

from samari.engine.pending import PendingObject, PendingPart
from samari.engine.plane_mask import PlaneMask
from samari.engine.planes import ImagePlanes, PlaneIndex
from samari.engine.prompts import PlanePrompts
from samari.plugin.layers import PointRow, ShapeRow, rectangle
from samari.plugin.prompt_rows import PromptRows
from samari.plugin.source import ImageSource

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def rows() -> Callable[..., PromptRows]:
    def make(*shape: int) -> PromptRows:
        image = np.zeros(shape, np.uint8)
        source = ImageSource(Image(image))
        return PromptRows(source, ImagePlanes(image, source.axes))

    return make


def _point(position: tuple[float, ...], label: int = 1, member: int = 0) -> PointRow:
    return PointRow(position, label, member, "YX")


def _box(y0: float, x0: float, y1: float, x1: float, member: int = 0) -> ShapeRow:
    return ShapeRow(rectangle((y0, x0), (y1, x1), (0, 1)), "rectangle", member, "YX")


def test_points_of_one_object_keep_their_order(rows: Any) -> None:
    reading = rows(20, 20).read([_point((1, 2)), _point((3, 4), 0), _point((5, 6))], [], (), "YX")
    (obj,) = reading.pending
    assert obj.newest.prompts.points == ((1, 2), (3, 4), (5, 6))
    assert obj.newest.prompts.labels == (1, 0, 1)


def test_a_second_box_of_one_object_starts_another(rows: Any) -> None:
    shapes = [_box(1, 1, 5, 5), _box(8, 8, 12, 12), _box(1, 8, 5, 12)]
    reading = rows(20, 20).read([], shapes, (), "YX")
    assert [obj.newest.prompts.box for obj in reading.pending] == [
        (1, 1, 5, 5),
        (8, 8, 12, 12),
        (1, 8, 5, 12),
    ]
    assert [row.member for row in reading.shapes] == [0, 1, 2]


def test_objects_are_numbered_anew_when_one_has_lost_its_rows(rows: Any) -> None:
    reading = rows(20, 20).read([_point((1, 1), member=2), _point((5, 5), member=4)], [], (), "YX")
    assert [row.member for row in reading.points] == [0, 1]
    assert len(reading.pending) == 2


def test_choices_stay_for_the_steps_that_did_not_change(rows: Any) -> None:
    prompts = PlanePrompts(((1, 1), (2, 2)), (1, 1), choices=(2, 0))
    before = (PendingObject((PendingPart(PlaneIndex("YX"), prompts),)),)
    reader = rows(20, 20)
    more = reader.read([_point((1, 1)), _point((2, 2)), _point((3, 3))], [], before, "YX")
    assert more.pending[0].newest.prompts.choices == (2, 0)
    moved = reader.read([_point((1, 1)), _point((9, 9))], [], before, "YX")
    assert moved.pending[0].newest.prompts.choices == (2,)
    first = reader.read([_point((9, 9)), _point((2, 2))], [], before, "YX")
    assert first.pending[0].newest.prompts.choices == ()
    boxed = reader.read([_point((1, 1)), _point((2, 2))], [_box(0, 0, 9, 9)], before, "YX")
    assert boxed.pending[0].newest.prompts.choices == ()


def test_the_part_changed_last_is_the_newest(rows: Any) -> None:
    reader = rows(5, 20, 20)
    points = [PointRow((z, 5, 5), 1, 0, "YX") for z in (1, 3)]
    before = reader.read(points, [], (), "YX").pending
    assert [part.plane.index for part in before[0].parts] == [(1,), (3,)]
    points.append(PointRow((1, 8, 8), 1, 0, "YX"))
    after = reader.read(points, [], before, "YX").pending
    assert [part.plane.index for part in after[0].parts] == [(3,), (1,)]


def test_rows_that_were_written_are_read_as_the_same_prompts(rows: Any) -> None:
    """Trap 34: what undo writes into the layers says exactly what was pending."""
    reader = rows(5, 20, 30)
    mask = np.zeros((20, 30), bool)
    mask[3:6, 4:9] = True
    pending = (
        PendingObject(
            (
                PendingPart(
                    PlaneIndex("YX", (2,)), PlanePrompts(((1.25, 2.5),), (0,), (0, 1, 5, 7))
                ),
                PendingPart(PlaneIndex("ZX", (4,)), PlanePrompts(((1, 2),), (1,))),
            )
        ),
        PendingObject((PendingPart(PlaneIndex("YX", (1,)), PlanePrompts(mask=mask)),), replaces=7),
    )
    points, shapes = reader.write(pending)
    assert len(points) == 2
    assert [row.kind for row in shapes] == ["rectangle"] * 2
    assert reader.read(points, shapes, pending, "YX").pending == pending


def test_an_outline_on_a_large_plane_is_read_and_written_in_little_memory() -> None:
    image = np.broadcast_to(np.uint8(0), (50_000, 50_000))
    source = ImageSource(Image(image, contrast_limits=(0, 255)))
    reader = PromptRows(source, ImagePlanes(image, source.axes))
    outline = ((4e4, 3e4), (4e4 + 90, 3e4), (4e4 + 50, 3e4 + 70))
    mask = PlaneMask(np.ones((8, 9), bool), (49_992, 7), image.shape)
    tracemalloc.start()
    try:
        reading = reader.read([], [ShapeRow(outline, "polygon", 0, "YX")], (), "YX")
        reopened = PendingPart(PlaneIndex("YX"), PlanePrompts(mask=mask))
        pending = (*reading.pending, PendingObject((reopened,), replaces=4))
        points, shapes = reader.write(pending)
        again = reader.read(points, shapes, pending, "YX").pending
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert again == pending
    assert [row.kind for row in shapes] == ["polygon", "rectangle"]
    assert peak < 4e6


@pytest.mark.parametrize("member", [0, 3])
def test_an_outline_is_kept_for_the_way_back(rows: Any, member: int) -> None:
    reader = rows(20, 30)
    vertices = ((2.0, 2.0), (2.0, 12.0), (15.0, 7.0))
    row = ShapeRow(vertices, "polygon", member, "YX")
    pending = reader.read([], [row], (), "YX").pending
    assert reader.write(pending)[1] == [replace(row, member=0)]


def test_a_view_that_a_row_does_not_know_is_the_one_on_screen(rows: Any) -> None:
    reading = rows(5, 20, 20).read([PointRow((1, 2, 3), 1, 0, "nan")], [], (), "ZX")
    assert reading.pending[0].newest.plane == PlaneIndex("ZX", (2,))


def test_boxes_thinner_than_a_pixel_and_sub_pixel_points_are_kept_as_they_are(rows: Any) -> None:
    """Trap 8."""
    reader = rows(20, 20)
    reading = reader.read([_point((0.4, -0.4))], [_box(5, 5, 5.3, 9)], (), "YX")
    prompts = reading.pending[0].newest.prompts
    assert prompts.points == ((0.4, -0.4),)
    assert prompts.box == (5, 5, 5.3, 9)


def test_a_click_with_the_box_tool_is_no_box_and_no_complaint(rows: Any) -> None:
    reading = rows(20, 20).read([], [_box(5, 5, 5.3, 5.35)], (), "YX")
    assert reading.pending == ()
    assert reading.n_refused == 1
    assert reading.refused == []
