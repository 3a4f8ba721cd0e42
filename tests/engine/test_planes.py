"""nD images to planes: traps 2, 3, 8, 10, 11, 13, 14, 20."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samari.engine.planes import ImagePlanes, PlaneIndex, auto_contrast_limits, to_rgb_uint8
from samari.errors import InputError

SIZES = {"T": 3, "C": 2, "Z": 4, "Y": 5, "X": 6}
ALL_AXES = [
    "".join(order)
    for count in range(2, 6)
    for letters in itertools.combinations("TCZYX", count)
    if "Y" in letters and "X" in letters
    for order in itertools.permutations(letters)
]


def image_of(axes):
    """Return an image whose every voxel is different."""
    shape = tuple(SIZES[letter] for letter in axes)
    return np.arange(math.prod(shape), dtype=np.uint16).reshape(shape)


def planes_of(axes, **options):
    return ImagePlanes(image_of(axes), axes, **options)


class Counted:
    """An array on disk, as it were: counts the voxels that are read."""

    def __init__(self, array):
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.reads = []

    def __getitem__(self, key):
        part = self._array[key]
        self.reads.append(part.shape)
        return part

    def __array__(self, *_args, **_kwargs):
        raise AssertionError("the whole image was read")


def test_every_order_of_axes_is_read_at_the_right_place():
    """Trap 10: TZYX and TCZYX at T > 0, and every other order."""
    for axes in ALL_AXES:
        channel = 1 if "C" in axes else None
        planes = planes_of(axes, channel=channel)
        assert planes.label_axes == axes.replace("C", "")
        at = {"T": 2, "C": channel, "Z": 1, "Y": 3, "X": 4}
        point = [at[letter] for letter in planes.label_axes]
        plane = planes.plane_at(point)
        row, col = (int(v) for v in planes.to_plane(point, "YX"))
        value = planes.image[tuple(at[letter] for letter in axes)]
        assert planes.read(plane)[row, col] == value, axes


def test_axes_are_guessed_from_the_number_of_dimensions_only():
    """Trap 10: (3, Y, X), (Y, 4), (C, Y, X) and 5x5x5 are not mistaken for RGB."""
    assert ImagePlanes(np.zeros((60, 4))).axes == "YX"
    for shape in [(3, 50, 60), (50, 60, 3), (5, 5, 5), (4, 4, 4)]:
        planes = ImagePlanes(np.zeros(shape))
        assert planes.axes == planes.label_axes == "ZYX"
        assert planes.label_shape == shape
        assert not planes.rgb
    assert ImagePlanes(np.zeros((2, 3, 5, 6))).axes == "TZYX"
    assert ImagePlanes(np.zeros((2, 3, 4, 5, 6))).axes == "TCZYX"


def test_three_channels_are_channels_and_not_colours():
    """Trap 10: (C, Y, X)."""
    planes = planes_of("CYX", channel=1)
    assert planes.label_shape == (5, 6)
    assert (planes.read(PlaneIndex("YX")) == planes.image[1]).all()


def test_rgb_is_what_the_caller_says():
    image = np.random.default_rng(0).integers(0, 256, (3, 5, 6, 4)).astype(np.uint8)
    planes = ImagePlanes(image, rgb=True)
    assert planes.axes == "ZYX"
    assert planes.label_shape == (3, 5, 6)
    assert planes.contrast_limits is None
    assert (planes.rgb_plane(PlaneIndex("YX", (2,))) == image[2, ..., :3]).all()
    assert (planes.rgb_plane(PlaneIndex("ZX", (4,))) == image[:, 4, :, :3]).all()
    assert ImagePlanes(image, rgb=False).axes == "TZYX"


def test_rgb_without_colour_samples_is_refused():
    for shape in [(5, 6), (5, 6, 2), (3, 5, 6)]:
        with pytest.raises(InputError, match="3 or 4 samples"):
            ImagePlanes(np.zeros(shape), rgb=True)


def test_the_channel_is_the_first_unless_chosen():
    assert planes_of("TCZYX").channel == 0
    assert planes_of("CYX", channel=np.int64(1)).channel == 1
    assert planes_of("ZYX").channel is None
    for channel in (2, -1, 0.5, "green"):
        with pytest.raises(InputError, match=r"0\.\.1"):
            planes_of("CYX", channel=channel)
    with pytest.raises(InputError, match="no C"):
        planes_of("ZYX", channel=0)


@pytest.mark.parametrize("axes", ["ZY", "ZYXX", "AYX", "ZYXS", "", "YYX", "CZX"])
def test_axes_that_do_not_fit_are_named(axes):
    with pytest.raises(InputError, match=f"axes '{axes}'"):
        ImagePlanes(np.zeros((3, 4, 5)), axes)


def test_axes_may_be_written_in_lower_case():
    assert ImagePlanes(np.zeros((3, 4, 5)), "zyx").axes == "ZYX"


@pytest.mark.parametrize("shape", [(), (7,), (1, 2, 3, 4, 5, 6)])
def test_too_few_and_too_many_dimensions_are_refused(shape):
    with pytest.raises(InputError, match="shape"):
        ImagePlanes(np.zeros(shape))


@pytest.mark.parametrize("shape", [(0, 0), (0, 5, 6), (3, 5, 0)])
def test_an_empty_image_is_refused_with_its_shape(shape):
    """Trap 2."""
    with pytest.raises(InputError, match="empty"):
        ImagePlanes(np.zeros(shape))


def test_a_complex_image_is_refused():
    with pytest.raises(InputError, match="complex64"):
        ImagePlanes(np.zeros((4, 4), np.complex64))


def test_a_multiscale_list_is_refused_with_the_way_out():
    """Trap 14: prompts are coordinates of the full resolution."""
    with pytest.raises(InputError, match=r"image\[0\]"):
        ImagePlanes([np.zeros((8, 8)), np.zeros((4, 4))])


def test_nested_lists_are_an_image():
    assert ImagePlanes([[1, 2], [3, 4]]).label_shape == (2, 2)


@pytest.mark.parametrize("view", ["YX", "ZX", "ZY"])
def test_each_view_of_a_stack_shows_the_right_voxels(view):
    """Trap 11: XZ and YZ views."""
    planes = planes_of("ZYX")
    point = (1.0, 2.0, 3.0)
    plane = planes.plane_at(point, view)
    position = dict(zip("ZYX", (1, 2, 3), strict=True))
    (missing,) = set("ZYX") - set(view)
    assert plane == PlaneIndex(view, (position[missing],))
    expected = {"YX": planes.image[1], "ZX": planes.image[:, 2], "ZY": planes.image[:, :, 3]}[view]
    assert (planes.read(plane) == expected).all()
    assert planes.shape_of(view) == expected.shape
    assert planes.to_plane(point, view) == tuple(float(position[letter]) for letter in view)
    assert planes.to_volume(planes.to_plane(point, view), plane) == point


def test_a_transposed_display_is_the_same_plane():
    """Trap 11: rolled and transposed dims."""
    planes = planes_of("TZYX")
    point = (1, 2, 3, 4)
    assert planes.plane_at(point, "XY") == planes.plane_at(point, "yx") == planes.plane_at(point)
    assert planes.shape_of("XZ") == planes.shape_of("ZX") == (4, 6)
    assert planes.to_plane(point, "XY") == (3, 4)
    with pytest.raises(InputError, match="'YX'"):
        planes.check(PlaneIndex("XY", (0, 0)))


def test_time_may_be_an_axis_of_a_view():
    planes = planes_of("TZYX")
    assert (planes.read(planes.plane_at((0, 2, 3, 0), "TX")) == planes.image[:, 2, 3]).all()


@pytest.mark.parametrize("view", ["", "Y", "YY", "CX", "ZYX", "AB", "YXX"])
def test_a_view_that_is_not_two_label_axes_is_refused(view):
    with pytest.raises(InputError, match="view"):
        planes_of("CZYX").plane_at((0, 0, 0), view)


def test_coordinates_round_half_up_on_both_sides_of_zero():
    """Trap 8: no truncation toward zero, the same for every voxel."""
    planes = planes_of("ZYX")
    for z in range(4):
        for offset in (-0.5, -0.49, -0.01, 0, 0.01, 0.49, 0.4999):
            assert planes.plane_at((z + offset, 2, 2)).index == (z,)


@pytest.mark.parametrize(
    ("point", "axis"),
    [
        ((-0.51, 0, 0), "z"),
        ((3.5, 0, 0), "z"),
        ((0, -1, 0), "y"),
        ((0, 0, 5.5), "x"),
        ((0, 1e300, 0), "y"),
    ],
)
def test_a_point_outside_is_refused_naming_the_axis_and_the_shape(point, axis):
    """Trap 13."""
    with pytest.raises(InputError, match=rf"\(4, 5, 6\).*: {axis} must"):
        planes_of("ZYX").plane_at(point)


def test_the_corner_of_a_box_may_lie_outside_along_the_plane():
    planes = planes_of("ZYX")
    assert planes.plane_at((2, -20, 99), inside=False) == PlaneIndex("YX", (2,))
    with pytest.raises(InputError, match="z must"):
        planes.plane_at((4, -20, 99), inside=False)


@pytest.mark.parametrize(
    "point", [(1, 2), (1, 2, 3, 4), (np.nan, 0, 0), (0, np.inf, 0), "abc", None]
)
def test_a_malformed_point_is_refused(point):
    for function in (planes_of("ZYX").plane_at, lambda p: planes_of("ZYX").to_plane(p, "YX")):
        with pytest.raises(InputError, match=r"point|coordinates"):
            function(point)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ((), r"named by z from 0 to 3, not by \(\)"),
        ((4,), "no plane z=4.*z from 0 to 3"),
        ((-1,), "no plane z=-1.*z from 0 to 3"),
    ],
)
def test_a_plane_of_another_image_is_refused(index, message):
    for function in (planes_of("ZYX").check, planes_of("ZYX").read, planes_of("ZYX").label_slices):
        with pytest.raises(InputError, match=message):
            function(PlaneIndex("YX", index))


def test_a_plane_is_named_as_a_user_does():
    assert planes_of("YX").name_of(PlaneIndex("YX")) == ""
    assert planes_of("TCZYX").name_of(PlaneIndex("YX", (1, 0))) == "t=1, z=0"
    assert planes_of("ZYX").name_of(PlaneIndex("ZX", (4,))) == "y=4"


def test_planes_are_hashable_and_compare_by_value():
    assert (
        len({PlaneIndex("YX", (1,)), PlaneIndex("YX", [np.int64(1)]), PlaneIndex("ZX", (1,))}) == 2
    )


def test_label_slices_address_the_plane_in_a_label_array():
    planes = planes_of("XCTYZ")
    labels = np.zeros(planes.label_shape, np.uint8)
    plane = planes.plane_at((5, 2, 3, 1), "XY")
    assert plane == PlaneIndex("XY", (2, 1))
    labels[planes.label_slices(plane, slice(4, 6), slice(2, 4))] = 1
    assert labels.sum() == 4
    assert labels[5, 2, 3, 1] == 1
    assert labels[planes.label_slices(plane)].shape == planes.shape_of("YX")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ALL_AXES), st.data())
def test_a_point_goes_to_its_plane_and_back(axes, data):
    """Traps 8 and 11: sub-pixel positions survive, in every view of every order of axes."""
    planes = planes_of(axes)
    view = "".join(data.draw(st.permutations(planes.label_axes))[:2])
    point = tuple(data.draw(st.floats(-0.5, n - 0.5, exclude_max=True)) for n in planes.label_shape)
    plane = planes.plane_at(point, view)
    back = planes.to_volume(planes.to_plane(point, view), plane)
    for letter, before, after in zip(planes.label_axes, point, back, strict=True):
        assert after == before if letter in plane.view else abs(after - before) <= 0.5
    assert planes.plane_at(back, view) == plane


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 5000), (1, 1, 1)])
def test_thin_planes_and_a_lone_pixel_work(shape):
    """Traps 2 and 20."""
    planes = ImagePlanes(np.ones(shape, np.float32))
    plane = planes.plane_at((0,) * len(shape))
    assert planes.rgb_plane(plane).shape == (*shape[-2:], 3)


def test_one_normalisation_holds_for_the_whole_stack():
    """Trap 3: no flicker; an empty slice stays dark."""
    image = np.zeros((6, 32, 32), np.uint16)
    image[3] = np.random.default_rng(0).integers(1000, 3000, (32, 32))
    image[0] = np.random.default_rng(1).integers(0, 5, (32, 32))
    planes = ImagePlanes(image)
    limits = planes.contrast_limits
    assert planes.rgb_plane(PlaneIndex("YX", (0,))).max() <= 1
    assert planes.rgb_plane(PlaneIndex("YX", (3,))).max() == 255
    expected = to_rgb_uint8(image[:, 7], limits)
    assert (planes.rgb_plane(PlaneIndex("ZX", (7,))) == expected).all()


def test_given_limits_are_kept_and_checked():
    """Trap 4: the limits in use can be recorded."""
    assert planes_of("ZYX", contrast_limits=(np.float32(3), 70)).contrast_limits == (3.0, 70.0)
    with pytest.raises(InputError, match="contrast limits"):
        planes_of("ZYX", contrast_limits=(3, 3))


def test_a_single_plane_has_its_own_automatic_limits():
    """A script and a session see the same picture."""
    image = np.random.default_rng(0).normal(size=(3000, 2000)).astype(np.float32)
    planes = ImagePlanes(image)
    assert planes.contrast_limits == auto_contrast_limits(image)
    assert (planes.rgb_plane(PlaneIndex("YX")) == to_rgb_uint8(image)).all()


def test_limits_of_a_channel_ignore_the_other_channels():
    image = np.zeros((2, 3, 20, 20), np.uint16)
    image[0] = 60000
    image[1] = np.arange(400).reshape(20, 20)
    assert ImagePlanes(image, "CZYX", channel=1).contrast_limits[1] < 400


@pytest.mark.parametrize("view", ["YX", "ZX", "ZY"])
def test_a_lazy_image_is_read_one_plane_at_a_time(view):
    image = Counted(image_of("TCZYX"))
    planes = ImagePlanes(image, contrast_limits=(0, 100))
    assert image.reads == []
    planes.rgb_plane(planes.plane_at((1, 2, 3, 4), view))
    assert image.reads == [planes.shape_of(view)]


def test_limits_of_a_lazy_stack_come_from_a_bounded_sample_of_planes():
    """Trap 3: deterministic, and the same as in memory."""
    array = np.random.default_rng(0).integers(0, 4096, (10, 20, 24, 24)).astype(np.uint16)
    array += np.arange(20, dtype=np.uint16)[:, None, None] * 100
    image = Counted(array)
    planes = ImagePlanes(image)
    limits = planes.contrast_limits
    assert image.reads == [(24, 24)] * 16
    assert planes.contrast_limits is limits
    assert len(image.reads) == 16
    assert ImagePlanes(array).contrast_limits == limits
    assert limits == pytest.approx(auto_contrast_limits(array), rel=0.1, abs=60)


def test_limits_of_a_huge_lazy_plane_come_from_windows_of_it():
    class Huge:
        shape, dtype = (30_000, 1_000), np.dtype(np.uint16)
        read = 0

        def __getitem__(self, key):
            rows = np.arange(*key[0].indices(self.shape[0]))
            cols = np.arange(*key[1].indices(self.shape[1]))
            self.read += len(rows) * len(cols)
            return np.broadcast_to((rows[:, None] // 10).astype(np.uint16), (len(rows), len(cols)))

    image = Huge()
    low, high = ImagePlanes(image).contrast_limits
    assert image.read == 4 * 512 * 1000
    assert 300 < low < high < 2700


def test_dask_zarr_and_memory_maps_give_the_same_planes_as_numpy(tmp_path):
    zarr = pytest.importorskip("zarr")
    array = image_of("TCZYX")
    np.save(tmp_path / "image.npy", array)
    stored = zarr.create_array(str(tmp_path / "image.zarr"), data=array, chunks=(1, 1, 2, 3, 3))
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    expected = ImagePlanes(array, channel=1)
    for image in (da.from_array(array, chunks=2), stored, mapped):
        planes = ImagePlanes(image, channel=1)
        assert planes.image is image
        assert planes.contrast_limits == expected.contrast_limits
        for view in ("YX", "ZX", "ZY", "TX"):
            plane = planes.plane_at((2, 1, 3, 4), view)
            assert (planes.read(plane) == expected.read(plane)).all()
            assert isinstance(planes.read(plane), np.ndarray)
            assert (planes.rgb_plane(plane) == expected.rgb_plane(plane)).all()


def test_a_change_of_the_data_is_seen_at_once():
    """Trap 7: planes keep no copy."""
    image = np.zeros((4, 4), np.uint8)
    planes = ImagePlanes(image, contrast_limits=(0, 255))
    before = planes.rgb_plane(PlaneIndex("YX"))
    image[1, 2] = 200
    assert planes.rgb_plane(PlaneIndex("YX"))[1, 2, 0] == 200
    assert before[1, 2, 0] == 0


def test_importing_the_engine_loads_neither_torch_nor_qt():
    code = (
        "import sys, samari.engine, samari.engine.planes;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'qtpy', 'napari', 'tifffile')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
