from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from samari.engine.runs import array_of, mask_of, runs_of, value_runs

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


def test_runs_skip_and_take_in_turn():
    mask = np.zeros((3, 4), bool)
    mask[0, 1:3] = mask[2, 3] = True
    assert runs_of(mask) == [1, 2, 8, 1]


@pytest.mark.parametrize("runs", [[1], [-1, 2], [3, 4], [0, 2, 0, 5]])
def test_runs_that_are_no_mask_are_refused(runs):
    with pytest.raises(ValueError, match=r"no mask of shape \(2, 3\)"):
        mask_of(runs, (2, 3))


def test_values_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="no array of shape"):
        array_of([3, 1], (2, 2), "uint8")
    with pytest.raises(ValueError, match="do not fit uint8"):
        array_of([4, 300], (2, 2), "uint8")
