"""Any dtype to RGB: traps 1 and 2, and the intensity part of trap 10."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from samari.engine.planes import auto_contrast_limits, to_rgb_uint8
from samari.errors import InputError

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
FLOATS = ["float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", INTEGERS + FLOATS + [">u2", ">f4", "longdouble"])
def test_values_beyond_the_limits_saturate_in_every_dtype(dtype):
    """Trap 1: nothing wraps around."""
    plane = np.array([[0, 10, 60, 110, 120, 127]]).astype(dtype)
    rgb = to_rgb_uint8(plane, (10, 110))
    assert rgb.dtype == np.uint8
    assert rgb.shape == (1, 6, 3)
    assert rgb[0, :, 0].tolist() == [0, 0, 128, 255, 255, 255]
    assert (rgb == rgb[..., :1]).all()


@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_the_extremes_of_every_dtype_stay_in_order(dtype):
    """Trap 1: the smallest value is black and the largest white, whatever lies between."""
    info = np.finfo(dtype) if dtype in FLOATS else np.iinfo(dtype)
    plane = np.array([[info.min, 0, 1, info.max]], dtype=dtype).repeat(50, axis=0)
    grey = to_rgb_uint8(plane)[0, :, 0].astype(int)
    assert grey[0] == 0
    assert grey[-1] == 255
    assert (np.diff(grey) >= 0).all()


def test_a_ramp_is_mapped_linearly_whatever_its_dtype():
    """Trap 2: the same numbers give the same picture as integers and as floats."""
    ramp = np.arange(100).reshape(10, 10)
    pictures = [to_rgb_uint8(ramp.astype(dtype)) for dtype in INTEGERS + FLOATS]
    assert all((picture == pictures[0]).all() for picture in pictures)
    assert len(np.unique(pictures[0])) > 90


def test_twelve_bits_in_uint16_use_the_whole_range():
    """Trap 2."""
    plane = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)
    rgb = to_rgb_uint8(plane)
    assert rgb.min() == 0
    assert rgb.max() == 255
    assert 110 < rgb.mean() < 145


def test_floats_within_0_and_1_use_the_whole_range():
    """Trap 2."""
    plane = np.linspace(0.2, 0.4, 400, dtype=np.float32).reshape(20, 20)
    assert set(np.unique(to_rgb_uint8(plane))) >= {0, 255}


def test_a_small_difference_on_a_large_offset_is_resolved():
    """Trap 2: float32 arithmetic would lose it."""
    plane = (2**40 + np.arange(100)).reshape(10, 10)
    assert len(np.unique(to_rgb_uint8(plane))) > 90


def test_bool_is_black_and_white():
    """Trap 2."""
    plane = np.zeros((8, 8), bool)
    plane[2, 3] = True
    assert auto_contrast_limits(plane) == (0, 1)
    assert to_rgb_uint8(plane).sum() == 3 * 255
    assert (to_rgb_uint8(np.ones((4, 4), bool)) == 255).all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_nan_and_infinities_do_not_disturb_the_others(dtype):
    """Trap 2: NaN is black, -inf black, +inf white."""
    plane = np.arange(100, dtype=dtype).reshape(10, 10)
    clean = to_rgb_uint8(plane)
    plane[0, :3] = [np.nan, -np.inf, np.nan]
    plane[9, 9] = np.inf
    low, high = auto_contrast_limits(plane)
    assert np.isfinite([low, high]).all()
    rgb = to_rgb_uint8(plane)
    assert (rgb[0, :3] == 0).all()
    assert (rgb[9, 9] == 255).all()
    assert abs(rgb[5].astype(int) - clean[5]).max() <= 12


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_plane_without_any_finite_value_still_gives_a_picture(value):
    """Trap 2."""
    plane = np.full((4, 5), value, np.float32)
    assert auto_contrast_limits(plane) == (0, 1)
    assert to_rgb_uint8(plane).shape == (4, 5, 3)


@pytest.mark.parametrize("value", [0, 7, -3, 0.25, 1e20, -1e308, 1.7e308, 5e-324])
def test_a_constant_plane_gives_limits_in_order_and_an_even_picture(value):
    """Trap 2."""
    plane = np.full((6, 6), value)
    low, high = auto_contrast_limits(plane)
    assert low < high
    assert np.isfinite(high - low)
    assert len(np.unique(to_rgb_uint8(plane))) == 1


def test_a_lone_pixel_gives_a_picture():
    """Trap 2: an image of one pixel."""
    assert to_rgb_uint8(np.array([[1234]], np.uint16)).shape == (1, 1, 3)


def test_a_lone_bright_spot_on_an_even_background_keeps_its_shades():
    """Trap 2: both percentiles fall on the background."""
    plane = np.zeros((100, 100), np.uint16)
    plane[50, 50:53] = 1000, 2000, 4000
    assert auto_contrast_limits(plane) == (0, 4000)
    assert to_rgb_uint8(plane)[50, 50:53, 0].tolist() == [64, 128, 255]


def test_hot_pixels_do_not_darken_the_rest():
    plane = np.random.default_rng(0).integers(100, 200, (100, 100)).astype(np.uint16)
    plane[::33, ::40] = 65535
    assert auto_contrast_limits(plane)[1] < 250


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (0, 5, 3)])
def test_an_empty_plane_is_refused_with_its_shape(shape):
    """Trap 2."""
    with pytest.raises(InputError, match=r"empty.*0"):
        to_rgb_uint8(np.zeros(shape))


def test_rgb_uint8_passes_unchanged_and_alpha_is_dropped():
    """Trap 2: RGBA."""
    rgba = np.random.default_rng(0).integers(0, 256, (7, 9, 4)).astype(np.uint8)
    assert (to_rgb_uint8(rgba) == rgba[..., :3]).all()
    assert (to_rgb_uint8(rgba[..., :3]) == rgba[..., :3]).all()
    assert (to_rgb_uint8(rgba, (0, 255)) == rgba[..., :3]).all()
    assert to_rgb_uint8(rgba).flags.c_contiguous


def test_rgb_floats_within_0_and_1_are_mapped_as_napari_shows_them():
    rgb = np.array([[[0.0, 0.5, 1.0], [0.2, 0.2, 0.2]]])
    assert to_rgb_uint8(rgb).tolist() == [[[0, 128, 255], [51, 51, 51]]]


def test_rgb_uint16_keeps_its_hue():
    """Trap 2: one pair of limits for the three colours."""
    plane = np.zeros((20, 20, 3), np.uint16)
    plane[..., 0] = 4000
    plane[:10, :, 1] = 2000
    rgb = to_rgb_uint8(plane)
    assert rgb[0, 0].tolist() == [255, 128, 0]
    assert rgb[19, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("shape", [(5,), (5, 5, 5), (5, 5, 1), (2, 5, 5, 3)])
def test_a_plane_of_another_shape_is_refused(shape):
    """Trap 10: 5x5x5 is not RGB."""
    with pytest.raises(InputError, match="shape"):
        to_rgb_uint8(np.zeros(shape))


@pytest.mark.parametrize("dtype", ["complex64", "U3", "object", "datetime64[s]"])
def test_an_unsupported_dtype_is_named(dtype):
    """Trap 2."""
    for function in (to_rgb_uint8, auto_contrast_limits):
        with pytest.raises(InputError, match=re.escape(f"dtype {np.dtype(dtype)}")):
            function(np.zeros((4, 4), dtype))


@pytest.mark.parametrize("limits", [(1, 1), (2, 1), (0, np.nan), (0, np.inf), (1,), "ab", 3])
def test_limits_without_low_below_high_are_refused(limits):
    with pytest.raises(InputError, match="contrast limits"):
        to_rgb_uint8(np.zeros((4, 4)), limits)


def test_percentiles_of_a_large_array_come_from_an_even_subset_of_it():
    rows = np.linspace(0, 1000, 5000, dtype=np.float32)[:, None]
    low, high = auto_contrast_limits(np.broadcast_to(rows, (5000, 1000)))
    assert low == pytest.approx(10, abs=2)
    assert high == pytest.approx(998, abs=2)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.dtype(d) for d in ["bool", *INTEGERS, *FLOATS]]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
    )
)
def test_any_plane_of_any_dtype_gives_a_picture_in_the_order_of_its_values(plane):
    """Traps 1 and 2."""
    low, high = auto_contrast_limits(plane)
    assert np.isfinite([low, high, high - low]).all()
    assert low < high
    rgb = to_rgb_uint8(plane)
    assert rgb.shape == (*plane.shape, 3)
    finite = np.isfinite(plane.astype(np.float64))
    order = np.argsort(plane[finite].astype(np.float64), kind="stable")
    assert (np.diff(rgb[..., 0][finite][order].astype(int)) >= 0).all()


@pytest.mark.parametrize("shape", [(3, 100_000), (700, 300), (2, 70_000, 3)])
def test_a_large_plane_is_converted_as_its_rows_are(shape):
    """Large planes are converted in strips; where one ends must not show."""
    plane = np.random.default_rng(0).normal(size=shape)
    plane[0, ::7] = np.nan
    limits = (-1.0, 2.0)
    rows = [to_rgb_uint8(row[None], limits) for row in plane]
    np.testing.assert_array_equal(to_rgb_uint8(plane, limits), np.concatenate(rows))
