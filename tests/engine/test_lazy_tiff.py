"""Compressed TIFF pages, read in parts."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from samari.engine import lazy_tiff
from samari.engine.lazy_tiff import LazyPages
from samari.engine.planes import ImagePlanes, PlaneIndex

RNG = np.random.default_rng(0)
PLANE = RNG.integers(0, 4096, (200, 300)).astype(np.uint16)
TILED = {"tile": (32, 48)}
STRIPS = {"rowsperstrip": 7}
KEYS = [
    (slice(40, 60), slice(100, 140)),
    (slice(None), 17),
    (-1, slice(None)),
    (slice(10, 180, 13), slice(290, 20, -9)),
    (slice(30, None, -1), slice(-5, None)),
    (slice(5, 5), slice(None)),
    (3, 4),
    (slice(None), slice(None)),
    (...,),
    (..., slice(50, 70)),
    (),
]


@pytest.fixture
def pages(tmp_path):
    """Write an array and open it lazily."""

    def opened(array, **options):
        options = {"photometric": "minisblack", "compression": "zlib"} | options
        tifffile.imwrite(tmp_path / "a.tif", array, **options)
        image = LazyPages.of(tmp_path / "a.tif", 0)
        assert image is not None
        return image

    return opened


@pytest.fixture
def decoded(monkeypatch):
    """Note how many bytes the strips and tiles have that are read and decoded, one by one."""
    sizes = []
    whole = tifffile.FileHandle.read_segments

    def counted(*args, **options):
        for segment in whole(*args, **{**options, "flat": True}):
            sizes.append(len(segment[0]))
            yield segment if options.get("flat", True) else [segment]

    monkeypatch.setattr(tifffile.FileHandle, "read_segments", counted)
    return sizes


@pytest.mark.parametrize("options", [TILED, STRIPS, {"rowsperstrip": 200}])
@pytest.mark.parametrize("predictor", [False, True])
def test_parts_are_those_of_the_array(pages, options, predictor):
    image = pages(PLANE, predictor=predictor, **options)
    for key in KEYS:
        np.testing.assert_array_equal(image[key], PLANE[key])
    np.testing.assert_array_equal(np.asarray(image), PLANE)
    with pytest.raises(IndexError):
        image[200, 0]


@pytest.mark.parametrize("options", [TILED, STRIPS])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_parts_of_colours_and_stacks(pages, decoded, options, planar):
    stack = RNG.integers(0, 256, (3, 200, 300, 3)).astype(np.uint8)
    stored = np.moveaxis(stack, -1, 1).copy() if planar == "separate" else stack
    image = pages(stored, photometric="rgb", planarconfig=planar, **options)
    rows, cols = slice(50, 55), slice(60, 61)
    key = (1, rows, cols) if planar == "separate" else (rows, cols, slice(0, 2))
    np.testing.assert_array_equal(image[(1, *key)], stored[(1, *key)])
    assert len(decoded) == 1
    key = (slice(None), *key)
    np.testing.assert_array_equal(image[key], stored[key])
    assert len(decoded) == 4
    np.testing.assert_array_equal(np.asarray(image), stored)


def test_only_tiles_and_strips_that_hold_the_part_are_decoded(pages, decoded):
    image = pages(PLANE, **TILED)
    image[40:60, 100:140]
    assert len(decoded) == 1
    image[56:66, 95:97]
    assert len(decoded) == 1 + 4
    image = pages(PLANE, **STRIPS)
    decoded.clear()
    image[40:60, 100:140]
    assert len(decoded) == 4
    image[:]
    assert len(decoded) == 4 + 29


def test_a_page_in_one_piece_is_decoded_once_for_all_its_tiles(pages, decoded, monkeypatch):
    stack = np.stack([PLANE, PLANE[::-1]])
    image = pages(stack, rowsperstrip=200)
    for row in range(0, 200, 40):
        np.testing.assert_array_equal(image[0, row : row + 40], PLANE[row : row + 40])
    assert len(decoded) == 1
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda i: image[i % 2, i : i + 9, 5:9], range(60)))
    for i, part in enumerate(parts):
        np.testing.assert_array_equal(part, stack[i % 2, i : i + 9, 5:9])
    monkeypatch.setattr(lazy_tiff, "_KEPT", PLANE.nbytes - 1)
    image = pages(stack, rowsperstrip=200)
    decoded.clear()
    image[0, :9], image[0, 9:20]
    assert len(decoded) == 2, "what is larger than the bound is not kept"


def test_what_was_never_written_is_empty(pages):
    """A sparse file: tiles without an offset hold the value of no data."""
    sparse = PLANE.copy()
    sparse[:64, :96] = 0
    tiles = [sparse[y : y + 32, x : x + 48] for y in range(0, 200, 32) for x in range(0, 300, 48)]
    padded = (np.pad(t, [(0, 32 - t.shape[0]), (0, 48 - t.shape[1])]) for t in tiles)
    packed = (zlib.compress(tile) if tile.any() else b"" for tile in padded)
    image = pages(packed, shape=PLANE.shape, dtype=np.uint16, **TILED)
    np.testing.assert_array_equal(image[50:80, 80:110], sparse[50:80, 80:110])


def test_a_tile_and_the_contrast_limits_read_their_own_pixels(pages, decoded):
    """docs/design/large-images.md: a tile reads its own pixels and nothing else."""
    large = np.tile(PLANE, (11, 8))
    planes = ImagePlanes(pages(large, tile=(128, 128)))
    assert planes.contrast_limits is not None
    limits = len(decoded)
    planes.rgb_plane(PlaneIndex("YX", ()), slice(300, 600), slice(300, 600))
    assert len(decoded) - limits == 9
    assert limits <= 18 * 19
