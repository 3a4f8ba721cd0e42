"""Mask prompts are kept cut to their pixels, and are the same however they were given."""

from __future__ import annotations

import numpy as np
import pytest

from samari.engine.journal_values import prompts_json, read_prompts
from samari.engine.plane_mask import PlaneMask
from samari.engine.polygons import polygon_mask
from samari.engine.prompts import PlanePrompts
from samari.engine.runs import runs_of
from samari.errors import InputError

SHAPE = (12, 10)


def disc() -> np.ndarray:
    y, x = np.indices(SHAPE)
    return np.hypot(y - 6, x - 5) < 2.5


def test_only_the_box_of_the_pixels_is_kept():
    mask = PlanePrompts(mask=disc()).mask
    assert mask.box == (4, 3, 9, 8)
    assert mask.edges == (3.5, 2.5, 8.5, 7.5)
    assert mask.shape == SHAPE
    np.testing.assert_array_equal(mask.crop, disc()[4:9, 3:8])
    assert mask.crop.base is None, "a view would keep the whole plane in memory"


def test_it_is_an_array_of_the_plane_for_whoever_wants_one():
    mask = PlaneMask.of(disc())
    assert np.asarray(mask).dtype == bool
    np.testing.assert_array_equal(np.asarray(mask), disc())
    np.testing.assert_array_equal(np.asarray(mask, np.uint8), disc().astype(np.uint8))
    with pytest.raises(ValueError, match="never without copy"):
        mask.__array__(copy=False)


def test_equal_masks_have_equal_keys_however_they_were_given():
    whole = disc()
    given = [
        whole,
        whole.astype(np.uint16) * 300,
        whole[::-1][::-1],
        PlaneMask(whole[4:9, 3:8], (4, 3), SHAPE),
        PlaneMask(whole[2:, 1:], (2, 1), SHAPE),
        PlaneMask.of(whole),
    ]
    prompts = [PlanePrompts(mask=mask, box=(1, 1, 9, 9)) for mask in given]
    assert len({one.key for one in prompts}) == 1
    assert len({one.step_key(0) for one in prompts}) == 1
    assert len(set(prompts)) == 1
    assert len({one.mask for one in prompts}) == 1


def test_a_polygon_and_the_mask_that_it_covers_are_equal_prompts():
    outline = [(1.5, 2.5), (1.5, 6.5), (4.5, 6.5), (4.5, 2.5)]
    whole = np.zeros(SHAPE, bool)
    whole[2:5, 3:7] = True
    drawn = PlanePrompts().with_polygon(outline, SHAPE)
    assert drawn == PlanePrompts(mask=whole, box=drawn.box)
    assert polygon_mask(outline, SHAPE).box == (2, 3, 5, 7)


def test_the_same_pixels_elsewhere_or_on_another_plane_are_another_mask():
    crop = disc()[4:9, 3:8]
    masks = [
        PlaneMask(crop, (4, 3), SHAPE),
        PlaneMask(crop, (4, 4), SHAPE),
        PlaneMask(crop, (4, 3), (12, 11)),
        PlaneMask(~crop, (4, 3), SHAPE),
        PlaneMask(np.ones((2, 3), bool), (4, 3), SHAPE),
        PlaneMask(np.ones((3, 2), bool), (4, 3), SHAPE),
    ]
    assert len({mask.key for mask in masks}) == len(masks)
    assert len({PlanePrompts(mask=mask).key for mask in masks}) == len(masks)


@pytest.mark.parametrize(
    "box",
    [(0, 0, 12, 10), (0, 0, 6, 5), (6, 5, 12, 10), (5, 4, 7, 6), (0, 5, 12, 6), (4, 0, 5, 10)],
)
def test_a_tile_gets_its_part_of_a_mask(box):
    y0, x0, y1, x1 = box
    prompts = PlanePrompts(((6, 5),), (1,), (3, 2, 9, 8), disc(), (2, 1))
    part = prompts.within(box)
    np.testing.assert_array_equal(part.mask, disc()[y0:y1, x0:x1])
    assert part.mask == PlaneMask.of(disc()[y0:y1, x0:x1])
    assert part.points == ((6 - y0, 5 - x0),)
    assert part.box == (3 - y0, 2 - x0, 9 - y0, 8 - x0)
    assert part.choices == (2, 1)


@pytest.mark.parametrize("box", [(0, 0, 4, 10), (9, 0, 12, 10), (0, 8, 12, 10), (0, 0, 5, 4)])
def test_a_tile_without_a_pixel_of_the_mask_is_refused(box):
    with pytest.raises(InputError, match="no pixel set"):
        PlanePrompts(mask=disc()).within(box)


@pytest.mark.parametrize(
    ("corner", "shape"), [((-1, 0), (9, 9)), ((0, 7), (9, 9)), ((8, 0), (9, 9)), ((0, 0), (0, 0))]
)
def test_pixels_outside_the_plane_are_refused(corner, shape):
    with pytest.raises(InputError, match="lies outside the plane of shape"):
        PlaneMask(np.ones((2, 3), bool), corner, shape)


def test_a_journal_says_what_it_always_said_of_a_mask():
    """Runs over the whole plane: journals of all versions are read by all versions."""
    prompts = PlanePrompts(mask=disc())
    written = prompts_json(prompts)
    assert written == {"mask": {"shape": [12, 10], "runs": runs_of(disc())}}
    assert read_prompts(written) == prompts
    old = {"mask": {"shape": [3, 4], "runs": [1, 2, 8, 1]}, "box": [-0.5, 0.5, 2.5, 3.5]}
    mask = np.zeros((3, 4), bool)
    mask[0, 1:3] = mask[2, 3] = True
    assert read_prompts(old) == PlanePrompts(box=(-0.5, 0.5, 2.5, 3.5), mask=mask)


@pytest.mark.parametrize(
    "value",
    [
        {"shape": [3, 4], "runs": []},
        {"shape": [3, 4], "runs": [1, 12]},
        {"shape": [3, 4], "runs": [1]},
        {"shape": [12], "runs": [1, 2]},
        {"shape": [1, 3, 4], "runs": [1, 2]},
        {"shape": [-3, -4], "runs": [1, 2]},
        {"runs": [1, 2]},
    ],
)
def test_what_no_journal_says_of_a_mask_is_refused(value):
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_prompts({"mask": value})
