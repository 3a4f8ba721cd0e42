from __future__ import annotations

import numpy as np
import pytest

from samari.engine.regions import Region


def drawn(*rows: str) -> Region:
    region = Region.of(np.array([[pixel == "#" for pixel in row] for row in rows]))
    assert region is not None
    return region


def test_a_mask_is_cut_to_its_box_and_an_empty_one_is_none() -> None:
    region = drawn("....", ".##.", "..#.")
    assert region.box == (1, 1, 3, 3)
    assert region.area == 3
    assert Region.of(np.ones((1, 2), bool), (5, 7)).box == (5, 7, 6, 9)
    assert Region.of(np.zeros((3, 3), bool)) is None


def test_the_interior_is_far_from_the_outline() -> None:
    ring = np.ones((9, 30), bool)
    ring[2:7, 2:12] = False
    row, col = Region.of(ring, (10, 20)).interior
    assert ring[int(row) - 10, int(col) - 20]
    assert (row, col) == (14.0, 36.0)


def test_overlap_is_intersection_over_union() -> None:
    first, second = drawn("####", "####"), drawn("..##", "..##", "..##")
    assert first.overlap(second) == second.overlap(first) == 4 / 10
    assert first.overlap(Region((50, 50, 51, 51), np.ones((1, 1), bool))) == 0


def test_a_grown_box_surrounds_the_pixels() -> None:
    assert drawn("####", "####").grown_box(0.25) == (-1.0, -1.5, 2.0, 4.5)


@pytest.mark.parametrize(
    ("last", "kept"),
    [
        (("##.....", "##....."), 4),
        ((".......", "......#"), 4),
        ((".......", ".......", "..#...."), 4),  # by a corner
        (("#.....#",), 8),
    ],
)
def test_parts_that_touch_the_last_plane_are_kept(last: tuple[str, ...], kept: int) -> None:
    found = drawn("##...##", "##...##").connected_to(drawn(*last))
    assert found is not None
    assert found.area == kept


def test_nothing_is_kept_of_what_lies_elsewhere() -> None:
    assert drawn("##", "##").connected_to(drawn("......", "......", "......", ".....#")) is None


def test_pixels_of_others_are_taken_away() -> None:
    region = drawn("####")
    assert region.without(np.array([[True, False, False, False]])).box == (0, 1, 1, 4)
    assert region.without(np.ones((1, 4), bool)) is None
    assert region.without(np.zeros((1, 4), bool)) is region


def test_contrast_is_the_difference_to_what_is_close_around() -> None:
    grey = np.full((20, 20), 50, np.uint8)
    grey[8:12, 8:12] = 90
    grey[7, 7:13] = 255  # the rim is neither
    region = Region((8, 8, 12, 12), np.ones((4, 4), bool))
    assert region.contrast(grey) == (40, 40)
    assert region.contrast(255 - grey) == (-40, 40)
    assert Region((0, 0, 20, 20), np.ones((20, 20), bool)).contrast(grey) == (0, 0)
    noise = np.random.default_rng(0).integers(0, 100, (20, 20), np.uint8)
    assert region.contrast(noise).distinctness < 1


def test_distances_are_those_of_the_voxels_where_pixels_are_flat() -> None:
    """Trap 5: in a plane across the stack, a pixel is four times as high as it is wide."""
    mask = np.zeros((20, 40), bool)
    mask[4:9, 2:13] = True  # 5 rows high, 20 wide in the unit of columns
    mask[4:9, 13:30] = True
    mask[10:19, 33:38] = True  # 9 x 5 pixels
    whole = Region.of(mask[:9])
    assert whole is not None
    assert whole.interior[0] == 6
    flat = Region.of(mask, spacing=(4.0, 1.0))
    assert flat is not None
    # 5 pixels high are 20 columns: deeper than anything that is 5 columns wide.
    row, col = flat.interior
    assert row == 6
    assert 10 <= col <= 21
    grey = np.full(mask.shape, 10, np.uint8)
    grey[mask] = 200
    grey[9] = 90  # the next row is four columns away: close enough to be compared with
    blob = Region.of(mask[:9], spacing=(4.0, 1.0))
    assert blob is not None
    assert blob.contrast(grey).difference < 190
    grey[9] = 10
    assert blob.contrast(grey).difference == 190
    part = blob.without(np.zeros_like(blob.mask))
    assert part is not None
    assert part.spacing == (4.0, 1.0)
    found = Region.of(mask[:9])
    assert found is not None
    touching = found.connected_to(blob)
    assert touching is not None
    assert touching.spacing == (4.0, 1.0)
