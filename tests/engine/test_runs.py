from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from samari.engine.masks import boxed
from samari.engine.runs import array_of, crop_of, mask_of, plane_runs, runs_of, value_runs

shapes = st.lists(st.integers(0, 6), min_size=1, max_size=4).map(tuple)


@settings(deadline=None, derandomize=True, database=None)
@given(shapes.flatmap(lambda shape: arrays(bool, shape)))
def test_every_mask_comes_back(mask):
    np.testing.assert_array_equal(mask_of(runs_of(mask), mask.shape), mask)


@settings(deadline=None, derandomize=True, database=None)
@given(shapes.flatmap(lambda shape: arrays(np.int32, shape, elements=st.integers(-2, 2))))
def test_every_label_array_comes_back(labels):
    back = array_of(value_runs(labels), labels.shape, "int32")
    np.testing.assert_array_equal(back, labels)
    assert back.dtype == labels.dtype


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(lambda shape: arrays(bool, shape)),
    st.tuples(*[st.integers(0, 3)] * 4),
)
def test_runs_of_a_plane_are_written_and_read_by_its_part_alone(mask, rim):
    plane = np.pad(mask, (rim[:2], rim[2:]))
    runs, (crop, box) = runs_of(plane), boxed(plane)
    back, corner = crop_of(runs, plane.shape)
    np.testing.assert_array_equal(back, crop)
    if box is not None:
        assert corner == box[:2]
        assert plane_runs(crop, box[:2], plane.shape[1]) == runs
        assert plane_runs(mask, (rim[0], rim[2]), plane.shape[1]) == runs


def test_runs_that_take_nothing_or_touch_each_other_are_read_too():
    runs = [3, 0, 2, 1, 0, 2, 4, 0]
    crop, corner = crop_of(runs, (3, 4))
    whole = mask_of(runs, (3, 4))
    np.testing.assert_array_equal(crop, whole[1:2, 1:])
    assert corner == (1, 1)
    assert np.count_nonzero(whole) == np.count_nonzero(crop) == 3


def test_runs_skip_and_take_in_turn():
    mask = np.zeros((3, 4), bool)
    mask[0, 1:3] = mask[2, 3] = True
    assert runs_of(mask) == [1, 2, 8, 1]


@pytest.mark.parametrize("runs", [[1], [-1, 2], [3, 4], [0, 2, 0, 5], 4 * [2**62], [2**64, 1]])
def test_runs_that_are_no_mask_are_refused(runs):
    with pytest.raises(ValueError, match=r"no mask of shape \(2, 3\)"):
        mask_of(runs, (2, 3))
    with pytest.raises(ValueError, match=r"no mask of shape \(2, 3\)"):
        crop_of(runs, (2, 3))


def test_values_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="no array of shape"):
        array_of([3, 1], (2, 2), "uint8")
    with pytest.raises(ValueError, match="do not fit uint8"):
        array_of([4, 300], (2, 2), "uint8")
