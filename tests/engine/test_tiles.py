"""Which tiles of a large plane are looked at for which prompts."""

from __future__ import annotations

import numpy as np
import pytest

from samari.engine.prompts import PlanePrompts
from samari.engine.tiles import Tile, TilePyramid


def clicks(*points: tuple[float, float]) -> PlanePrompts:
    return PlanePrompts(points, (1,) * len(points))


def tiles(pyramid: TilePyramid, prompts: PlanePrompts) -> list[Tile]:
    return list(pyramid.for_prompts(prompts))


@pytest.mark.parametrize("shape", [(1, 1), (512, 512), (3, 512), (100, 200)])
def test_what_fits_into_a_picture_is_one_tile(shape):
    pyramid = TilePyramid(shape, 512)
    assert tiles(pyramid, clicks((0, 0))) == [Tile((0, 0, *shape), 0)] == [pyramid.whole]


@pytest.mark.parametrize(
    ("shape", "top"), [((513, 10), 1), ((1024, 1024), 1), ((1025, 1), 2), ((50_000, 50_000), 7)]
)
def test_the_last_level_is_the_whole_plane(shape, top):
    pyramid = TilePyramid(shape, 512)
    assert pyramid.top == top
    assert tiles(pyramid, clicks((0, 0)))[-1] == Tile((0, 0, *shape), top)


def test_tiles_lie_on_a_grid_of_half_their_side_and_end_with_the_plane():
    pyramid = TilePyramid((700, 1500), 512)
    rng = np.random.default_rng(0)
    for level, rows, cols in ((0, {0, 188}, {0, 256, 512, 768, 988}), (1, {0}, {0, 476})):
        found = [
            pyramid.at(point, level) for point in rng.uniform((-0.5, -0.5), (699, 1499), (500, 2))
        ]
        assert {tile.box[0] for tile in found} == rows
        assert {tile.box[1] for tile in found} == cols
        assert {tile.shape for tile in found} == {(min(700, 512 << level), 512 << level)}


def test_the_tile_is_the_one_whose_middle_is_closest():
    """So an object of up to half a tile's side is all in it, wherever it is."""
    pyramid = TilePyramid((5000, 4000), 512)
    for y, x in np.random.default_rng(1).uniform((300, 300), (4700, 3700), (300, 2)):
        tile = pyramid.at((y, x))
        middle = (np.add(tile.box[:2], tile.box[2:]) - 1) / 2
        assert np.all(np.abs(middle - (y, x)) <= 128)


def test_a_correction_is_made_in_the_tile_of_the_first_prompt_while_that_holds_it():
    pyramid = TilePyramid((4000, 4000), 512)
    first = tiles(pyramid, clicks((1000, 1000)))[0]
    assert first == Tile((768, 768, 1280, 1280), 0)
    assert tiles(pyramid, clicks((1000, 1000), (1200, 1100)))[0] == first
    # Too close to its edge: the tile in the middle of both.
    assert tiles(pyramid, clicks((1100, 1000)))[0] == first
    both = tiles(pyramid, clicks((1100, 1000), (1290, 1000)))[0]
    assert both == Tile((1024, 768, 1536, 1280), 0)
    # Too far apart for any tile of the finest level.
    far = tiles(pyramid, clicks((1000, 1000), (1450, 1000)))[0]
    assert far.level == 1
    assert far.box[0] + 64 <= 1000
    assert far.box[2] - 64 >= 1450


def test_prompts_close_to_the_planes_own_edge_are_in_the_tile():
    pyramid = TilePyramid((2000, 2000), 512)
    assert tiles(pyramid, clicks((0, 1999)))[0] == Tile((0, 1488, 512, 2000), 0)
    beyond = PlanePrompts(box=(-50, -50, 100, 100))
    assert tiles(pyramid, beyond)[0] == Tile((0, 0, 512, 512), 0)


def test_boxes_and_masks_are_held_in_full():
    pyramid = TilePyramid((4000, 4000), 512)
    mask = np.zeros((4000, 4000), bool)
    mask[900:1400, 900:1000] = True
    for prompts in (PlanePrompts(box=(900, 900, 1400, 1000)), PlanePrompts(mask=mask)):
        first = tiles(pyramid, prompts)[0]
        assert first.level == 1
        assert first.box[0] + 64 <= 900
        assert first.box[2] - 64 >= 1400


def test_every_tile_is_a_function_of_the_prompts_alone():
    pyramid = TilePyramid((9000, 3000), 512)
    prompts = PlanePrompts(((4000, 1500), (4100, 1550)), (1, 0), box=(3900, 1400, 4200, 1600))
    assert tiles(pyramid, prompts) == tiles(TilePyramid((9000, 3000), 512), prompts)
    assert [tile.level for tile in tiles(pyramid, prompts)] == [0, 1, 2, 3, 4, 5]


def test_a_mask_is_cut_where_the_plane_goes_on_and_not_at_its_end():
    pyramid = TilePyramid((2000, 2000), 512)
    corner, middle = pyramid.at((0, 0)), pyramid.at((1000, 1000))
    assert middle.box == (768, 768, 1280, 1280)
    assert not pyramid.is_cut(corner, (0, 0, 300, 300))
    assert pyramid.is_cut(corner, (0, 0, 512, 300))
    assert not pyramid.is_cut(middle, (769, 769, 1279, 1279))
    assert pyramid.is_cut(middle, (768, 800, 900, 900))
    assert pyramid.is_cut(middle, (800, 800, 900, 1280))
    assert not pyramid.is_cut(middle, None)
    assert not pyramid.is_cut(pyramid.whole, (0, 0, 2000, 2000))
    coarse = pyramid.at((1000, 1000), 1)
    assert pyramid.is_cut(coarse, (coarse.box[0] + 1, 1000, 1100, 1100))  # less than its pixel
