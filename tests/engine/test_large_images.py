"""Images that do not fit into memory: only what is looked at is read, labels are kept on disk."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from samari.engine import new_labels as new_labels_module
from samari.engine.new_labels import copy_of, new_labels
from samari.engine.pictures import PlanePicture, pixels_read, read_tile
from samari.engine.planes import ImagePlanes, PlaneIndex
from samari.engine.session import Session
from samari.engine.tiles import TilePyramid


class Counting:
    """An array that remembers what was read of it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.reads = array, []
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, key):
        part = self.array[key]
        self.reads.append(np.asarray(part).size)
        return part


def levels(image: np.ndarray, count: int) -> list[np.ndarray]:
    """Return an image and its means over 2 x 2 pixels, 4 x 4 pixels and so on."""
    found = [image]
    for _ in range(count):
        last = found[-1]
        rows, cols = (n // 2 for n in last.shape[-2:])
        blocks = last[..., : 2 * rows, : 2 * cols].reshape(*last.shape[:-2], rows, 2, cols, 2)
        found.append(np.rint(blocks.mean(axis=(-3, -1))).astype(image.dtype))
    return found


@pytest.mark.parametrize("shape", [(600, 800), (601, 803)], ids=str)
def test_a_coarse_tile_is_read_from_the_level_that_is_coarse_enough(shape):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    image[200:400, 300:600] //= 4
    arrays = [Counting(level) for level in levels(image, 3)]
    planes = ImagePlanes(arrays[0], contrast_limits=(0, 255), coarser=arrays[1:])
    picture = PlanePicture(planes, PlaneIndex("YX"))
    pyramid = TilePyramid(shape, 32)
    for level, used in ((0, 0), (1, 0), (2, 1), (3, 2), (4, 3), (5, 3)):
        for array in arrays:
            array.reads.clear()
        tile = pyramid.at((300, 400), level)
        rgb = read_tile(picture, tile)
        assert [bool(array.reads) for array in arrays] == [k == used for k in range(4)]
        assert sum(arrays[used].reads) <= 1.1 * pixels_read(picture, tile)
        # The same as what is made of the finest level, but for rounding.
        plain = read_tile(
            PlanePicture(ImagePlanes(image, contrast_limits=(0, 255)), PlaneIndex("YX")), tile
        )
        assert np.abs(np.subtract(rgb.shape, plain.shape)).max() <= 1
        rows, cols = np.minimum(rgb.shape, plain.shape)[:2]
        difference = rgb[:rows, :cols].astype(float) - plain[:rows, :cols]
        assert np.abs(difference).mean() < (1 if shape == (600, 800) else 12)


def test_levels_that_are_not_the_same_image_are_not_used():
    image = np.zeros((400, 400), np.uint8)
    odd = [
        np.zeros((200, 200), np.uint16),
        np.zeros((2, 200, 200), np.uint8),
        np.zeros((170, 130), np.uint8),
    ]
    planes = ImagePlanes(image, coarser=odd)
    assert planes.reduction("YX", 64) == 1
    assert ImagePlanes(image, coarser=[np.zeros((100, 100), np.uint8)]).reduction("YX", 4) == 4
    assert ImagePlanes(image, coarser=[np.zeros((100, 100), np.uint8)]).reduction("YX", 2) == 1
    # A third does not divide the powers of two by which tiles are reduced.
    assert ImagePlanes(image, coarser=[np.zeros((133, 133), np.uint8)]).reduction("YX", 4) == 1


def test_levels_of_a_stack_with_channels_and_a_coarser_z():
    image = np.zeros((6, 2, 64, 64), np.uint8)
    image[4:, 1, :32] = 200
    coarse = np.zeros((3, 2, 16, 16), np.uint8)
    coarse[2, 1, :8] = 200
    planes = ImagePlanes(image, "ZCYX", channel=1, contrast_limits=(0, 200), coarser=[coarse])
    assert planes.reduction("YX", 8) == 4
    assert planes.reduction("ZX", 8) == 1  # 2 along Z, 4 along X: of no use
    rgb = planes.rgb_plane(PlaneIndex("YX", (5,)), slice(0, 64), slice(8, 40), 4)
    assert rgb.shape == (16, 8, 3)
    assert (rgb[:8] == 255).all()
    assert (rgb[8:] == 0).all()


def test_new_labels_are_in_memory_as_long_as_they_are_small(monkeypatch):
    assert isinstance(new_labels((3, 40, 50)), np.ndarray)
    monkeypatch.setattr(new_labels_module, "LARGEST_IN_MEMORY", 1000)
    labels = new_labels((3, 40, 50))
    assert not isinstance(labels, np.ndarray)
    assert labels.shape == (3, 40, 50)
    assert labels.dtype == np.uint32
    assert labels.chunks == (1, 40, 50)
    assert not np.asarray(labels[:]).any()


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_a_data_type_that_is_asked_for_is_taken(monkeypatch, dtype):
    monkeypatch.setattr(new_labels_module, "LARGEST_IN_MEMORY", 6000)
    small = new_labels((3, 20, 20), dtype)
    assert small.dtype == dtype
    assert isinstance(small, np.ndarray) == (small.dtype.itemsize < 8)
    assert new_labels((9, 40, 50), dtype).dtype == dtype


def test_the_store_of_new_labels_goes_with_them(monkeypatch):
    monkeypatch.setattr(new_labels_module, "LARGEST_IN_MEMORY", 1000)
    labels = new_labels((3, 40, 50))
    folder = Path(str(labels.store.root))
    assert folder.is_dir()
    del labels
    assert not folder.exists()


def test_without_zarr_the_memory_has_to_do(monkeypatch):
    monkeypatch.setattr(new_labels_module, "LARGEST_IN_MEMORY", 1000)
    monkeypatch.setitem(sys.modules, "zarr", None)
    assert isinstance(new_labels((3, 40, 50)), np.ndarray)
    from samari.errors import InputError

    with pytest.raises(InputError, match=r"pip install 'samari\[zarr\]'"):
        new_labels((10**6, 10**5, 10**5))


def test_a_session_on_labels_on_disk_does_all_that_one_in_memory_does(monkeypatch, discs, tmp_path):
    image = np.zeros((3, 40, 50), np.uint8)
    plain = Session(image, segmenter=discs)
    monkeypatch.setattr(new_labels_module, "LARGEST_IN_MEMORY", 1000)
    stored = Session(image, segmenter=discs)
    assert not isinstance(stored.labels, np.ndarray)
    for session in (plain, stored):
        session.add_point((1, 20, 20))
        session.accept()
        session.add_point((1, 10, 40))
        session.accept()
        session.merge(1, 2)
        session.undo()
        session.delete(2)
        session.undo()
        session.save(tmp_path / f"{type(session.labels).__name__}.tif")
    np.testing.assert_array_equal(np.asarray(stored.labels[:]), plain.labels)
    import tifffile

    one, other = (tifffile.imread(file) for file in sorted(tmp_path.glob("*.tif")))
    np.testing.assert_array_equal(one, other)


_HUGE = """
    import json, resource, sys, time
    import dask.array as da
    import numpy as np
    import samari

    def plane(block_info=None):
        (z,) = block_info[None]["chunk-location"][:1]
        y, x = np.indices((3200, 3200), sparse=True)
        image = np.full((1, 3200, 3200), 20, np.uint8)
        image[0][(y - 1600) ** 2 + (x - 1000) ** 2 < 15**2] = 200
        return image

    count = 20_000
    stack = da.map_blocks(plane, chunks=((1,) * count, (3200,), (3200,)), dtype=np.uint8)
    session = samari.Session(stack, axes="ZYX", contrast_limits=(0, 255))
    for z in (3, 9_999, 19_990):
        session.add_point((z, 1600, 1000))
        session.accept()
    found = [int(np.count_nonzero(session.labels[z])) for z in (3, 9_999, 19_990)]
    print(json.dumps({
        "gigabytes": stack.nbytes / 1e9,
        "found": found,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }))
"""


def test_a_stack_of_two_hundred_gigabytes_is_annotated_in_little_memory(figure):
    """Traps of size: neither the image nor its labels are ever in memory."""
    pytest.importorskip("dask")
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_HUGE)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    figure("peak memory of a stack of 205 GB", told["peak"], "GB")
    assert told["gigabytes"] > 200
    assert told["peak"] < 4
    assert all(0.7 < count / (np.pi * 15**2) < 1.3 for count in told["found"])


def test_a_copy_of_labels_on_disk_holds_what_was_written_and_is_apart(monkeypatch):
    pytest.importorskip("zarr")
    monkeypatch.setattr(new_labels_module, "LARGEST_IN_MEMORY", 0)
    labels = new_labels((2, 1500, 1500))
    labels[1, 600:620, 700:720] = 5
    copy = copy_of(labels)
    labels[0, :10, :10] = 7
    assert copy.shape == labels.shape
    assert np.count_nonzero(copy[...]) == np.count_nonzero(copy[1, 600:620, 700:720]) == 400
