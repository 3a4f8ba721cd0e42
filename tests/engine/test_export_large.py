"""Labels that are larger than a plane, or all of them, should be in memory: trap 24."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import tifffile

from samari.engine import export
from samari.engine.export import read_labels, save_labels


@pytest.mark.parametrize("axes", ["ZYX", "XZY"])
def test_a_huge_plane_is_written_in_tiles(tmp_path, monkeypatch, axes):
    monkeypatch.setattr(export, "LARGE_PLANE", 500)
    monkeypatch.setattr(export, "TILE", 16)
    shape = [{"Z": 2, "Y": 24, "X": 30}[letter] for letter in axes]
    labels = np.random.default_rng(0).integers(0, 300, shape)
    save_labels(tmp_path / "a.tif", labels, axes)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages.first.tile == (16, 16)
        assert tiff.series[0].axes == "ZYX"
    assert (read_labels(tmp_path / "a.tif").labels == labels).all()


def test_a_stack_larger_than_the_memory_streams_into_a_file(tmp_path, soak, figure):
    """Trap 24: a plane at a time; more than 4 GB under ``make soak``."""
    side, depth = soak(1024, 8192), soak(30, 70)

    class Endless:
        shape, dtype = (depth, side, side), np.dtype(np.uint8)

        def __getitem__(self, key):
            return np.full((side, side), key[0], np.uint8)

    path = tmp_path / "a.tif"
    tracemalloc.start()
    save_labels(path, Endless())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    figure("peak memory over one plane", peak / side**2)
    assert peak < 0.5 * depth * side**2
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff == (depth * side**2 > 2**32)
        assert tiff.series[0].shape == (depth, side, side)
        assert (tiff.pages[depth - 1].asarray() == depth - 1).all()
