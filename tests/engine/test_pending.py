from __future__ import annotations

import numpy as np
import pytest

from samari.engine.pending import PendingObject, PendingPart, check_pending, mask_prompts
from samari.engine.planes import ImagePlanes, PlaneIndex
from samari.engine.prompts import PlanePrompts
from samari.errors import InputError


@pytest.fixture
def planes():
    return ImagePlanes(np.zeros((5, 20, 30), np.uint8), axes="ZYX")


def part(z, *points, **more):
    return PendingPart(PlaneIndex("YX", (z,)), PlanePrompts(points, (1,) * len(points), **more))


def test_equal_content_is_an_equal_and_equally_hashed_object():
    mask = np.eye(20, 30, dtype=bool)
    one, two = (PendingObject((part(1, (2, 3), mask=mask.copy()),)) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    mask[0, 0] = False
    assert one != PendingObject((part(1, (2, 3), mask=mask),))


def test_the_part_changed_last_is_the_newest():
    obj = PendingObject((part(1, (2, 3)), part(2, (2, 3))))
    changed = obj.with_part(part(1, (2, 3), (4, 5)))
    assert changed.newest.plane.index == (1,)
    assert changed.planes == (PlaneIndex("YX", (2,)), PlaneIndex("YX", (1,)))
    assert changed.part_on(PlaneIndex("YX", (3,))) is None


def test_parts_and_objects_without_prompts_are_dropped(planes):
    empty = PendingPart(PlaneIndex("YX", (1,)), PlanePrompts())
    kept = check_pending([PendingObject((empty,)), PendingObject((part(2, (1, 1)), empty))], planes)
    assert kept == (PendingObject((part(2, (1, 1)),)),)


@pytest.mark.parametrize(
    ("pending", "message"),
    [
        ([PendingObject((part(1, (2, 3)), part(1, (4, 5))))], "several parts"),
        ([PendingObject((part(5, (2, 3)),))], "5"),
        ([PendingObject((part(1, (25, 3)),))], "25"),
        ([PendingObject((part(z, (2, 3)),), replaces=7) for z in (1, 2)], "object 7"),
    ],
)
def test_pending_objects_that_cannot_be_are_refused(planes, pending, message):
    with pytest.raises(InputError, match=message):
        check_pending(pending, planes)


def test_a_reopened_object_keeps_the_planes_it_was_reopened_on(planes):
    scope = (PlaneIndex("YX", (1,)), PlaneIndex("YX", (2,)))
    before = (PendingObject((part(1, (2, 3)), part(2, (2, 3))), 7, scope),)
    (edited,) = check_pending([PendingObject((part(1, (9, 9)),), 7)], planes, before)
    assert edited.scope == scope


def test_a_mask_comes_with_the_box_of_its_outer_edges():
    mask = np.zeros((20, 30), bool)
    mask[3, 4] = mask[8, 9] = True
    assert mask_prompts(mask).box == (2.5, 3.5, 8.5, 9.5)
