from __future__ import annotations

import numpy as np
import pytest

from samari.engine.polygons import polygon_mask
from samari.errors import InputError


def inside(vertices: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Even-odd rule, one pixel and one edge after the other."""
    mask = np.zeros(shape, bool)
    for y in range(shape[0]):
        for x in range(shape[1]):
            for (ya, xa), (yb, xb) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
                if (ya > y) != (yb > y) and x > xa + (y - ya) * (xb - xa) / (yb - ya):
                    mask[y, x] ^= True
    return mask


@pytest.mark.parametrize("seed", range(12))
def test_random_outlines_are_filled_by_the_even_odd_rule(seed):
    vertices = np.random.default_rng(seed).uniform(-8, 30, (3 + seed % 6, 2))
    np.testing.assert_array_equal(polygon_mask(vertices, (24, 19)), inside(vertices, (24, 19)))


def test_a_square_between_pixel_centres_covers_whole_pixels():
    mask = polygon_mask([(1.5, 2.5), (1.5, 6.5), (4.5, 6.5), (4.5, 2.5)], (8, 9))
    wanted = np.zeros((8, 9), bool)
    wanted[2:5, 3:7] = True
    np.testing.assert_array_equal(mask, wanted)


def test_touching_polygons_share_no_pixel_and_leave_no_gap():
    left = np.asarray(polygon_mask([(0, 0), (0, 5), (9, 5), (9, 0)], (9, 10)))
    right = np.asarray(polygon_mask([(0, 5), (0, 10), (9, 10), (9, 5)], (9, 10)))
    assert not (left & right).any()
    assert (left | right).all()


def test_an_outline_too_thin_for_a_pixel_centre_keeps_the_pixels_of_its_vertices():
    mask = np.asarray(polygon_mask([(2.2, 1.1), (2.3, 1.2), (2.2, 6.3)], (5, 8)))
    np.testing.assert_array_equal(np.argwhere(mask), [[2, 1], [2, 6]])


def test_a_polygon_over_the_edge_is_cut_off():
    mask = polygon_mask([(-9, -9), (-9, 50), (50, 50), (50, -9)], (4, 5))
    assert np.asarray(mask).all()


def test_a_polygon_beside_the_plane_is_refused():
    with pytest.raises(InputError, match=r"outside the plane of shape \(4, 5\)"):
        polygon_mask([(10, 1), (12, 1), (12, 3)], (4, 5))


@pytest.mark.parametrize(
    ("vertices", "message"),
    [
        ([(1, 2), (3, 4)], r"\(2, 2\)"),
        ([1, 2, 3], r"\(3,\)"),
        ([(1, 2, 3)] * 4, r"\(4, 3\)"),
        ("abc", "abc"),
        ([(1, 2), (3, np.nan), (4, 4)], "vertex 1"),
    ],
)
def test_what_is_not_an_outline_is_named(vertices, message):
    with pytest.raises(InputError, match=message):
        polygon_mask(vertices, (9, 9))
