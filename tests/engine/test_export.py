"""Labels to OME-TIFF and back: traps 23, 24, 26, 41, 42 and 44."""

from __future__ import annotations

import errno
import itertools
import locale
import os
from pathlib import Path
from xml.etree import ElementTree

import dask.array as da
import numpy as np
import pint
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samari.engine import export
from samari.engine.export import is_label_file, read_labels, save_labels
from samari.errors import ExportError, InputError


def objects(shape):
    """Return a ring with an object in its hole, an object of two parts, and two that touch."""
    plane = np.zeros((24, 30), np.int32)
    plane[2:10, 2:10] = 1
    plane[4:8, 4:8] = 0
    plane[5:7, 5:7] = 2
    plane[12:15, 2:5] = plane[18:22, 8:12] = 3
    plane[2:20, 15:20], plane[2:20, 20:25] = 4, 5
    labels = np.zeros(shape, np.int32)
    labels[...] = plane
    for number, index in enumerate(np.ndindex(shape[:-2])):
        labels[index] = np.where(plane, plane + 5 * number, 0)
    return labels


STACKS = {"YX": (24, 30), "ZYX": (3, 24, 30), "TZYX": (2, 3, 24, 30), "TYX": (4, 24, 30)}


def pixels_of(path):
    """Return the attributes of the Pixels element and of each Plane, as strings."""
    with tifffile.TiffFile(path) as tiff:
        root = ElementTree.fromstring(tiff.ome_metadata)
    (pixels,) = root.iterfind(".//{*}Pixels")
    return pixels.attrib, [plane.attrib for plane in pixels.iterfind("{*}Plane")]


@pytest.mark.parametrize("axes", STACKS)
def test_a_saved_file_read_by_tifffile_has_axes_resolution_unit_dtype_and_labels(tmp_path, axes):
    """Trap 26: rings, two-part and touching objects come back equal."""
    path = tmp_path / "labels.ome.tif"
    labels = objects(STACKS[axes])
    scale = {"T": 30.0, "Z": 2.0, "Y": 0.5, "X": 0.25}
    units = {"T": "second", "Z": "micrometer", "Y": "micrometer", "X": "micrometer"}
    dtype = save_labels(
        path,
        labels,
        axes,
        scale=[scale[letter] for letter in axes],
        units=[units[letter] for letter in axes],
        name="Zellen <µ> & {x}",
    )
    assert dtype == np.uint8
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert not tiff.is_bigtiff
        assert len(tiff.series) == 1
        series, page = tiff.series[0], tiff.pages.first
        assert series.axes == axes
        assert series.dtype == np.uint8
        assert (series.asarray() == labels).all()
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert page.resolutionunit == tifffile.RESUNIT.CENTIMETER
        assert page.resolution == (40_000, 20_000)
        (image,) = ElementTree.fromstring(tiff.ome_metadata).iterfind("{*}Image")
    assert image.get("Name") == "Zellen <µ> & {x}"
    attributes, planes = pixels_of(path)
    for letter in set("ZYX") & set(axes):
        assert float(attributes[f"PhysicalSize{letter}"]) == scale[letter]
        assert attributes[f"PhysicalSize{letter}Unit"] == "µm"
    assert (attributes.get("TimeIncrement"), attributes.get("TimeIncrementUnit")) == (
        ("30.0", "s") if "T" in axes else (None, None)
    )
    assert planes == []
    assert sum(page.databytecounts) < labels[(0,) * (labels.ndim - 2)].size / 4


@pytest.mark.parametrize("axes", [*STACKS, "XY", "YXZ", "XYZT", "TCZYX", "CYX", "XZCYT"])
def test_our_reader_restores_array_axes_and_transform_exactly(tmp_path, axes):
    """Trap 26: any order of axes, floats to the last bit, an array with a C axis too."""
    path = tmp_path / "labels.tif"
    sizes = {"T": 2, "C": 1, "Z": 3, "Y": 24, "X": 30}
    labels = np.random.default_rng(0).integers(0, 9, [sizes[a] for a in axes]).astype(np.int64)
    scale = [0.1 + 1 / 3 * i for i in range(len(axes))]
    translate = [-1e3 / 7 * i for i in range(len(axes))]
    save_labels(path, labels, axes, scale=scale, units=pint.Unit("um"), translate=translate)
    file = read_labels(path)
    assert file.axes == axes
    assert file.labels.dtype == np.uint8
    assert file.labels.shape == labels.shape
    assert (file.labels == labels).all()
    assert file.scale == tuple(scale)
    assert file.translate == tuple(translate)
    assert file.units == ("micrometer",) * len(axes)


def test_single_planes_along_an_axis_are_kept(tmp_path):
    labels = objects((1, 1, 24, 30))
    save_labels(tmp_path / "a.tif", labels)
    file = read_labels(tmp_path / "a.tif")
    assert (file.axes, file.labels.shape) == ("TZYX", (1, 1, 24, 30))
    assert (file.labels == labels).all()
    assert file.scale is file.units is file.translate is None


def test_the_position_of_every_plane_is_stored(tmp_path):
    path = tmp_path / "a.tif"
    save_labels(
        path,
        objects((2, 3, 24, 30)),
        "TZYX",
        scale=(1, 2, 0.5, 0.5),
        units=("s", "nm", "um", "um"),
        translate=(0, 100, -7.25, 3),
    )
    _, planes = pixels_of(path)
    assert [(p["TheT"], p["TheZ"]) for p in planes] == list(itertools.product("01", "012"))
    assert [float(p["PositionZ"]) for p in planes] == [100, 102, 104] * 2
    assert {(p["PositionX"], p["PositionXUnit"]) for p in planes} == {("3.0", "µm")}
    assert {(p["PositionY"], p["PositionZUnit"]) for p in planes} == {("-7.25", "nm")}


def test_a_pixel_size_in_pixels_is_stored_without_pretending_a_length(tmp_path):
    save_labels(tmp_path / "a.tif", objects((24, 30)), scale=(0.5, 0.25))
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages.first.resolutionunit == tifffile.RESUNIT.NONE
        assert tiff.pages.first.resolution == (4, 2)
    attributes, _ = pixels_of(tmp_path / "a.tif")
    assert (attributes["PhysicalSizeX"], attributes["PhysicalSizeXUnit"]) == ("0.25", "pixel")


@pytest.mark.parametrize("size", [1e-12, 1e12, -0.5, 5e-324])
def test_unusual_voxel_sizes_survive(tmp_path, size):
    save_labels(tmp_path / "a.tif", objects((24, 30)), scale=(size, 1), units="furlong")
    file = read_labels(tmp_path / "a.tif")
    assert file.scale == (size, 1)
    assert file.units == ("furlong",) * 2
    attributes, _ = pixels_of(tmp_path / "a.tif")
    assert float(attributes["PhysicalSizeY"]) == abs(size)
    assert attributes["PhysicalSizeYUnit"] == "reference frame"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 0, "uint8"),
        (0, 255, "uint8"),
        (0, 256, "uint16"),
        (0, 65535, "uint16"),
        (0, 65536, "uint32"),
        (0, 2**32 - 1, "uint32"),
        (-1, 127, "int8"),
        (-1, 128, "int16"),
        (-40000, 5, "int32"),
    ],
)
@pytest.mark.parametrize("dtype", ["int64", ">i8"])
def test_the_smallest_dtype_that_fits_is_used(tmp_path, low, high, expected, dtype):
    """Trap 23."""
    labels = np.zeros((3, 4, 5), dtype)
    labels[0, 0, 0], labels[2, 3, 4] = low, high
    assert save_labels(tmp_path / "a.tif", labels) == np.dtype(expected)
    stored = tifffile.imread(tmp_path / "a.tif")
    assert stored.dtype == np.dtype(expected)
    assert (stored == labels).all()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "uint16", "int32", "uint32", "uint64"])
def test_every_integer_dtype_can_be_saved(tmp_path, dtype):
    labels = (objects((24, 30)) % 6).astype(dtype)
    save_labels(tmp_path / "a.tif", labels)
    assert (read_labels(tmp_path / "a.tif").labels == labels).all()


@pytest.mark.parametrize("value", [2**32, 2**64 - 1])
def test_labels_beyond_32_bits_are_refused_and_nothing_is_written(tmp_path, value):
    """Trap 23: never silently as 64 bits, which no OME-TIFF has."""
    with pytest.raises(ExportError, match=f"{value}.*renumber"):
        save_labels(tmp_path / "a.tif", np.full((4, 4), value, np.uint64))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("shape", [(24, 30), (3, 24, 30), (1, 1), (1, 40), (40, 1), (4, 40, 30, 3)])
def test_no_objects_and_thin_or_colour_like_shapes_are_fine(tmp_path, shape):
    save_labels(tmp_path / "a.tif", np.zeros(shape, np.uint16))
    file = read_labels(tmp_path / "a.tif")
    assert file.labels.shape == shape
    assert not file.labels.any()
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages.first.photometric == tifffile.PHOTOMETRIC.MINISBLACK


def test_lazy_labels_are_saved_plane_by_plane(tmp_path):
    """Trap 24: never loaded as a whole."""
    array = objects((2, 3, 24, 30))
    reads = []

    class OnDisk:
        shape, dtype = array.shape, array.dtype

        def __getitem__(self, key):
            reads.append(array[key].shape)
            return array[key]

        def __array__(self, *_args, **_kwargs):
            raise AssertionError("loaded as a whole")

    save_labels(tmp_path / "a.tif", OnDisk())
    assert set(reads) == {(24, 30)}
    assert len(reads) == 2 * 6
    assert (tifffile.imread(tmp_path / "a.tif") == array).all()


def test_dask_zarr_memmap_and_read_only_labels_are_saved(tmp_path):
    """Trap 24."""
    zarr = pytest.importorskip("zarr")
    array = objects((3, 24, 30))
    np.save(tmp_path / "a.npy", array)
    read_only = array.copy()
    read_only.flags.writeable = False
    for labels in (
        da.from_array(array, chunks=(2, 10, 10)),
        zarr.create_array(str(tmp_path / "a.zarr"), data=array, chunks=(2, 10, 10)),
        np.load(tmp_path / "a.npy", mmap_mode="r"),
        read_only,
        array[:, ::-1].copy()[:, ::-1],
    ):
        save_labels(tmp_path / "a.tif", labels)
        assert (tifffile.imread(tmp_path / "a.tif") == array).all()


def test_more_than_4_gb_becomes_a_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "CLASSIC_LIMIT", 1000)
    save_labels(tmp_path / "a.tif", objects((3, 24, 30)))
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.is_bigtiff
    assert (read_labels(tmp_path / "a.tif").labels == objects((3, 24, 30))).all()


def test_disk_full_in_the_middle_keeps_the_old_file(tmp_path, monkeypatch):
    """Traps 41 and 44."""
    path = tmp_path / "labels.tif"
    save_labels(path, objects((24, 30)))
    before = path.read_bytes()
    write = tifffile.FileHandle.write

    def full(self, data):
        if self.tell() > 1000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(tifffile.FileHandle, "write", full)
    noise = np.random.default_rng(0).integers(0, 60_000, (5, 64, 64))
    with pytest.raises(ExportError, match=r"labels\.tif.*disk is full.*unchanged"):
        save_labels(path, noise)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["labels.tif"]


def test_a_read_only_folder_is_a_clear_error(tmp_path, monkeypatch):
    """Trap 41."""

    def denied(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(ExportError, match="no permission"):
        save_labels(tmp_path / "a.tif", objects((24, 30)))


def test_a_label_that_appears_while_saving_is_not_wrapped(tmp_path):
    labels = objects((24, 30))

    class Growing:
        shape, dtype = labels.shape, labels.dtype
        reads = 0

        def __getitem__(self, key):
            self.reads += 1
            return labels[key] + 300 * (self.reads > 1)

    with pytest.raises(ExportError, match="save again"):
        save_labels(tmp_path / "a.tif", Growing())
    assert os.listdir(tmp_path) == []


def test_a_non_ascii_path_is_saved_read_and_recognised(tmp_path):
    """Trap 41."""
    path = tmp_path / "Größe 細胞" / "ü🔬.ome.tif"
    path.parent.mkdir()
    save_labels(str(path), objects((24, 30)), name="細胞\x07 µ")
    assert is_label_file(str(path))
    assert (read_labels(path).labels == objects((24, 30))).all()


def test_numbers_have_decimal_points_in_every_locale(tmp_path):
    """Trap 42."""
    before = locale.setlocale(locale.LC_ALL)
    for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "German_Germany.1252"):
        try:
            locale.setlocale(locale.LC_ALL, name)
            break
        except locale.Error:
            continue
    try:
        save_labels(tmp_path / "a.tif", objects((24, 30)), scale=(0.5, 0.25), translate=(1.5, 0))
        file = read_labels(tmp_path / "a.tif")
    finally:
        locale.setlocale(locale.LC_ALL, before)
    attributes, planes = pixels_of(tmp_path / "a.tif")
    assert attributes["PhysicalSizeX"] == "0.25"
    assert planes[0]["PositionY"] == "1.5"
    assert file.scale == (0.5, 0.25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": "ZYX"}, "axes 'ZYX'"),
        ({"scale": (1, 2, 3)}, "scale"),
        ({"scale": (1, 0)}, "contains 0"),
        ({"scale": (1, np.nan)}, "scale"),
        ({"translate": (1,)}, "translate"),
        ({"units": ("um",)}, "units"),
    ],
)
def test_arguments_that_do_not_fit_are_named(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        save_labels(tmp_path / "a.tif", objects((24, 30)), **options)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("labels", [np.zeros((4, 4)), np.zeros((0, 4), int), np.zeros(4, int)])
def test_what_is_no_label_array_is_refused(tmp_path, labels):
    with pytest.raises(InputError, match=r"float64|empty|shape"):
        save_labels(tmp_path / "a.tif", labels)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    axes=st.sampled_from(
        ["".join(p) for n in (2, 3, 4) for p in itertools.permutations("TZYX", n)]
    ),
    data=st.data(),
)
def test_any_labels_come_back_equal(tmp_path, axes, data):
    """Trap 26."""
    if not {"Y", "X"} <= set(axes):
        return
    shape = tuple(data.draw(st.integers(1, 4)) for _ in axes)
    seed = data.draw(st.integers(0, 2**32 - 1))
    labels = np.random.default_rng(seed).integers(
        0, data.draw(st.sampled_from([2, 300, 70_000])), shape
    )
    numbers = st.floats(-1e9, 1e9).filter(bool)
    scale, translate = (tuple(data.draw(numbers) for _ in axes) for _ in range(2))
    save_labels(tmp_path / "a.tif", labels, axes, scale=scale, translate=translate)
    file = read_labels(tmp_path / "a.tif")
    assert (file.axes, file.scale, file.translate) == (axes, scale, translate)
    assert file.labels.shape == shape
    assert (file.labels == labels).all()
