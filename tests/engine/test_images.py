"""Image files of any origin: traps 2, 10 and 42."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest
import tifffile
from PIL import Image

from samari.engine import tiff as tiff_module
from samari.engine.images import ImageFile, read_image
from samari.engine.lazy_tiff import LazyPages
from samari.engine.planes import ImagePlanes, PlaneIndex
from samari.errors import InputError

RNG = np.random.default_rng(0)
STACK = RNG.integers(0, 4096, (2, 3, 4, 20, 25)).astype(np.uint16)
GREY = {"photometric": "minisblack"}


def write(path, array, **options):
    tifffile.imwrite(path, array, **(GREY | options))
    return path


def test_an_ome_tiff_has_its_axes_voxel_size_and_units(tmp_path):
    """Trap 10: T and C are not mixed up."""
    path = write(
        tmp_path / "cells.ome.tif",
        STACK,
        ome=True,
        metadata={
            "axes": "TCZYX",
            "PhysicalSizeX": 0.1,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": 100,
            "PhysicalSizeYUnit": "nm",
            "PhysicalSizeZ": 0.5,
            "TimeIncrement": 30,
            "TimeIncrementUnit": "s",
        },
    )
    file = read_image(path)
    assert (file.image == STACK).all()
    assert (file.axes, file.rgb, file.name, file.note) == ("TCZYX", False, "cells", "")
    assert file.scale == (30, 0.5, 100, 0.1)
    assert file.units == ("second", "micrometer", "nanometer", "micrometer")


@pytest.mark.parametrize("axes", ["YX", "CYX", "ZYX", "TYX", "CZYX", "TZYX", "ZCTYX", "TCZYX"])
@pytest.mark.parametrize("options", [{"ome": True}, {"imagej": True}])
def test_axes_of_ome_and_imagej_files_are_those_of_the_file(tmp_path, axes, options):
    """Trap 10."""
    if "imagej" in options:  # which knows one order only
        axes = "".join(sorted(axes, key="TZCYX".index))
    array = RNG.integers(0, 99, [dict(zip("TCZYX", STACK.shape, strict=True))[a] for a in axes])
    path = write(tmp_path / "a.tif", array.astype(np.uint8), metadata={"axes": axes}, **options)
    file = read_image(path)
    assert file.axes == axes
    assert (file.image == array).all()
    assert file.scale is file.units is None


def test_an_imagej_hyperstack_has_its_voxel_size_and_frame_interval(tmp_path):
    path = write(
        tmp_path / "a.tif",
        STACK.swapaxes(1, 2),
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "TZCYX", "spacing": 1.5, "unit": "micron", "finterval": 12.5},
    )
    file = read_image(path)
    assert file.axes == "TZCYX"
    assert file.scale == (12.5, 1.5, 0.5, 0.25)
    assert file.units == ("second", "micrometer", "micrometer", "micrometer")


def test_axes_get_other_names_and_keep_their_voxel_sizes():
    """Trap 10: a stack that is really channels, a picture whose file does not say it is colour."""
    file = ImageFile(
        STACK[0], "TZYX", False, (9.0, 2.0, 0.5, 0.25), ("second", "um", "um", "um"), "a"
    )
    renamed = file.with_axes("CTYX", rgb=False)
    assert (renamed.axes, renamed.scale) == ("CTYX", (2.0, 0.5, 0.25))
    assert renamed.units == ("um", "um", "um")
    back = renamed.with_axes("ZTYX", rgb=False)
    assert (back.scale, back.units) == ((1.0, 2.0, 0.5, 0.25), ("pixel", "um", "um", "um"))
    colour = ImageFile(np.zeros((7, 8, 3), np.uint8), "ZYX", False, None, None, "a")
    assert colour.with_axes(None, rgb=True) == dataclasses.replace(colour, axes="YX", rgb=True)
    with pytest.raises(InputError, match="YXZ"):
        colour.with_axes("YXZ", rgb=True)
    with pytest.raises(InputError, match="rgb=True"):
        file.with_axes(None, rgb=True)


def test_an_escaped_micro_sign_of_imagej_is_understood(tmp_path):
    path = write(
        tmp_path / "a.tif",
        STACK[0, 0],
        imagej=True,
        resolution=(4, 4),
        metadata={"axes": "ZYX", "unit": "\\u00B5m"},
    )
    assert read_image(path).units == ("pixel", "micrometer", "micrometer")


@pytest.mark.parametrize(("shape", "axes"), [((5, 20, 25), "ZYX"), ((2, 5, 20, 25), "TZYX")])
def test_axes_without_meaning_are_taken_as_z_and_t(tmp_path, shape, axes):
    array = RNG.integers(0, 99, shape).astype(np.uint8)
    shaped = write(tmp_path / "a.tif", array)
    assert read_image(shaped).axes == axes
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        for page in array.reshape(-1, 20, 25):
            writer.write(page, contiguous=True, metadata=None, **GREY)
    file = read_image(tmp_path / "b.tif")
    assert file.axes == "ZYX"
    assert (file.image == array.reshape(-1, 20, 25)).all()


@pytest.mark.parametrize("shape", [(3, 20, 25), (4, 20, 25), (5, 5, 5), (20, 25, 3), (20, 4)])
def test_grey_stacks_of_any_shape_are_not_rgb(tmp_path, shape):
    """Trap 10: (3, Y, X), (Y, 4) and 5x5x5 arrays."""
    array = RNG.integers(0, 99, shape).astype(np.uint8)
    file = read_image(write(tmp_path / "a.tif", array))
    assert not file.rgb
    assert (file.image == array).all()
    assert file.axes == ("ZYX" if len(shape) == 3 else "YX")


@pytest.mark.parametrize("samples", [3, 4])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("options", [{}, {"ome": True}])
def test_rgb_is_recognised_from_the_file_and_comes_last(tmp_path, samples, planar, options):
    array = RNG.integers(0, 256, (20, 25, samples)).astype(np.uint8)
    stored = np.moveaxis(array, -1, 0).copy() if planar else array
    extra = ["unassalpha"] if samples == 4 else None
    tifffile.imwrite(
        tmp_path / "a.tif",
        stored,
        photometric="rgb",
        planarconfig="separate" if planar else "contig",
        extrasamples=extra,
        **options,
    )
    file = read_image(tmp_path / "a.tif")
    assert (file.axes, file.rgb) == ("YX", True)
    assert (file.image == array).all()


def test_an_rgb_stack_keeps_its_slices(tmp_path):
    array = RNG.integers(0, 256, (4, 20, 25, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb")
    file = read_image(tmp_path / "a.tif")
    assert (file.axes, file.rgb) == ("ZYX", True)
    planes = ImagePlanes(file.image, file.axes, rgb=file.rgb)
    assert (planes.rgb_plane(PlaneIndex("YX", (2,))) == array[2]).all()


def test_samples_that_are_no_colours_are_channels(tmp_path):
    array = RNG.integers(0, 256, (20, 25, 5)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack", planarconfig="contig")
    file = read_image(tmp_path / "a.tif")
    assert (file.axes, file.rgb) == ("YXC", False)
    planes = ImagePlanes(file.image, file.axes, channel=3)
    assert (planes.read(PlaneIndex("YX")) == array[..., 3]).all()


@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [
        ((20_000, 10_000), "CENTIMETER", ((1, 0.5), ("micrometer",) * 2)),
        ((25_400, 25_400), "INCH", ((1, 1), ("micrometer",) * 2)),
        ((300, 300), "INCH", None),
        ((28.35, 28.35), "CENTIMETER", None),
        ((2, 2), "NONE", None),
    ],
)
def test_baseline_resolution_counts_unless_it_is_that_of_a_printer(
    tmp_path, resolution, unit, expected
):
    path = write(tmp_path / "a.tif", STACK[0, 0, 0], resolution=resolution, resolutionunit=unit)
    file = read_image(path)
    assert (file.scale, file.units) == (expected or (None, None))


@pytest.mark.parametrize(
    ("written", "size"), [("0,25", 0.25), ("0.25", 0.25), ("0", 1), ("-1", 1), ("nan", 1), ("x", 1)]
)
def test_sizes_in_ome_xml_may_have_a_decimal_comma_or_be_nonsense(tmp_path, written, size):
    """Trap 42."""
    path = write(
        tmp_path / "a.tif",
        STACK[0, 0, 0],
        ome=True,
        metadata={"axes": "YX", "PhysicalSizeX": written, "PhysicalSizeY": 0.5},
    )
    assert read_image(path).scale == (0.5, size)


def test_of_several_images_the_first_is_read_and_the_note_says_so(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        writer.write(STACK[0, 0], metadata={"axes": "ZYX", "PhysicalSizeX": 0.5}, **GREY)
        writer.write(STACK[0, 0, 0, :5, :6], metadata={"axes": "YX", "PhysicalSizeX": 9}, **GREY)
    file = read_image(tmp_path / "a.ome.tif")
    assert (file.image == STACK[0, 0]).all()
    assert file.scale == (1, 1, 0.5)
    assert "2 images; the first" in file.note


def test_a_pyramid_is_read_at_full_resolution(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        writer.write(STACK[0, 0], subifds=1, metadata={"axes": "ZYX"}, **GREY)
        writer.write(STACK[0, 0, :, ::2, ::2], subfiletype=1, **GREY)
    assert read_image(tmp_path / "a.ome.tif").image.shape == (4, 20, 25)


@pytest.mark.parametrize(
    "dtype",
    ["uint8", "int8", "uint16", "int16", "int32", "uint32", "float16", "float32", "float64"],
)
def test_every_dtype_is_read_as_it_is(tmp_path, dtype):
    """Trap 2."""
    array = RNG.integers(0, 99, (20, 25)).astype(dtype)
    for path in (write(tmp_path / "a.tif", array), tmp_path / "a.npy"):
        np.save(tmp_path / "a.npy", array)
        file = read_image(path)
        assert file.image.dtype == dtype
        assert (file.image == array).all()


def test_large_uncompressed_files_are_memory_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_module, "LAZY_ABOVE", 100)
    path = write(tmp_path / "a.tif", STACK, imagej=True, metadata={"axes": "TZCYX"})
    file = read_image(path)
    assert isinstance(file.image, np.memmap)
    assert (file.image == STACK).all()


@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_large_compressed_files_are_read_page_by_page(tmp_path, monkeypatch, tile):
    monkeypatch.setattr(tiff_module, "LAZY_ABOVE", 100)
    path = write(
        tmp_path / "a.tif",
        STACK,
        ome=True,
        metadata={"axes": "TCZYX"},
        compression="zlib",
        tile=tile,
    )
    read = []
    asarray = tifffile.TiffFrame.asarray
    page = tifffile.TiffPage.asarray
    monkeypatch.setattr(tifffile.TiffFrame, "asarray", lambda s: read.append(s.index) or asarray(s))
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda s: read.append(s.index) or page(s))
    file = read_image(path)
    assert isinstance(file.image, LazyPages)
    assert read == []
    planes = ImagePlanes(file.image, file.axes, channel=2, contrast_limits=(0, 4095))
    plane = planes.read(planes.plane_at((1, 3, 0, 0)))
    assert (plane == STACK[1, 2, 3]).all()
    assert len(set(read)) == 1
    assert (planes.read(planes.plane_at((1, 0, 7, 0), "ZX")) == STACK[1, 2, :, 7]).all()
    assert (file.image[0, 1:, 1] == STACK[0, 1:, 1]).all()
    assert (np.asarray(file.image) == STACK).all()


def multi_file_stack(folder, array):
    """Write a stack of 4 slices as an OME-TIFF of two files; return the first."""
    identifiers = [f"urn:uuid:{i:032x}" for i in range(2)]
    data = "".join(
        f'<TiffData FirstZ="{z}" IFD="{z % 2}" PlaneCount="1">'
        f'<UUID FileName="part{z // 2}.ome.tif">{identifiers[z // 2]}</UUID></TiffData>'
        for z in range(4)
    )
    for i in range(2):
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="{identifiers[i]}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
            'DimensionOrder="XYZCT" Type="uint16" SizeX="25" SizeY="20" SizeZ="4" SizeC="1" '
            'SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
            f"{data}</Pixels></Image></OME>"
        )
        options = {"description": xml.encode(), "metadata": None, "compression": "zlib"}
        write(folder / f"part{i}.ome.tif", array[2 * i : 2 * i + 2], **options)
    return folder / "part0.ome.tif"


@pytest.mark.parametrize("limit", [100, 2**28])
def test_an_ome_tiff_spread_over_several_files_is_one_stack(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(tiff_module, "LAZY_ABOVE", limit)
    file = read_image(multi_file_stack(tmp_path, STACK[0, 0]))
    assert isinstance(file.image, LazyPages) == (limit == 100)
    assert (file.axes, file.note) == ("ZYX", "")
    assert (np.asarray(file.image) == STACK[0, 0]).all()


def test_a_large_compressed_rgb_stack_is_read_page_by_page(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff_module, "LAZY_ABOVE", 100)
    array = RNG.integers(0, 256, (4, 20, 25, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", compression="zlib")
    file = read_image(tmp_path / "a.tif")
    assert isinstance(file.image, LazyPages)
    planes = ImagePlanes(file.image, file.axes, rgb=file.rgb)
    assert (planes.read(PlaneIndex("ZY", (6,))) == array[:, :, 6]).all()


@pytest.mark.parametrize("limit", [100, 400])
def test_a_picture_larger_than_a_server_would_take_is_read(tmp_path, monkeypatch, limit):
    """Pillow warns of more pixels than its limit and refuses twice as many."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    picture = STACK[0, 0, 0].astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png").image == picture).all()
    assert limit == Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr("samari.engine.images._MOST_PIXELS", 499)
    with pytest.raises(InputError, match=r"a\.png has 20 x 25 pixels, .* save it as TIFF"):
        read_image(tmp_path / "a.png")
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    ("mode", "ending", "rgb"),
    [
        ("L", "png", False),
        ("1", "png", False),
        ("I;16", "png", False),
        ("LA", "png", False),
        ("RGB", "png", True),
        ("RGBA", "png", True),
        ("P", "png", True),
        ("P", "gif", True),
        ("L", "jpg", False),
        ("RGB", "jpeg", True),
        ("CMYK", "jpg", True),
        ("RGB", "BMP", True),
    ],
)
def test_pictures_are_grey_or_rgb_as_their_mode_says(tmp_path, mode, ending, rgb):
    path = tmp_path / f"photo.{ending}"
    if mode == "I;16":
        picture = Image.fromarray(STACK[0, 0, 0])
    else:
        picture = Image.fromarray(RNG.integers(0, 256, (20, 25, 3)).astype(np.uint8)).convert(mode)
    picture.save(path)
    file = read_image(path)
    assert (file.axes, file.rgb, file.name) == ("YX", rgb, "photo")
    assert file.image.shape[:2] == (20, 25)
    assert file.image.ndim == (3 if rgb else 2)
    if mode == "I;16":
        assert (file.image == STACK[0, 0, 0]).all()
    if mode == "RGBA":
        assert file.image.shape[2] == 4
    assert ImagePlanes(file.image, file.axes, rgb=file.rgb).rgb_plane(PlaneIndex("YX")).any()


def test_a_numpy_file_is_memory_mapped(tmp_path):
    np.save(tmp_path / "a.b.npy", STACK)
    file = read_image(str(tmp_path / "a.b.npy"))
    assert isinstance(file.image, np.memmap)
    assert (file.axes, file.name) == ("TCZYX", "a.b")


def test_a_numpy_file_with_objects_or_a_wrong_shape_is_refused(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "line.npy", np.zeros(5))
    for name in ("objects.npy", "line.npy"):
        with pytest.raises(InputError, match=name):
            read_image(tmp_path / name)


@pytest.mark.parametrize("ending", ["tif", "png", "jpg", "npy"])
@pytest.mark.parametrize("content", [b"", b"II*\0garbage", b"\x89PNG\r\n\x1a\ngarbage"])
def test_a_damaged_file_is_a_clear_error(tmp_path, ending, content):
    path = tmp_path / f"broken.{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"broken\.{ending}"):
        read_image(path)


def test_a_truncated_png_is_a_clear_error(tmp_path):
    Image.fromarray(RNG.integers(0, 256, (64, 64)).astype(np.uint8)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"a\.png"):
        read_image(tmp_path / "a.png")


def test_missing_files_and_other_formats_are_named_with_the_way_out(tmp_path):
    with pytest.raises(InputError, match=r"no file .*gone\.tif"):
        read_image(tmp_path / "gone.tif")
    (tmp_path / "a.czi").write_bytes(b"x")
    with pytest.raises(InputError, match=r"a\.czi.*OME-TIFF"):
        read_image(tmp_path / "a.czi")


@pytest.mark.skipif(importlib.util.find_spec("imagecodecs") is not None, reason="can read it then")
def test_a_compression_that_needs_another_package_names_it(tmp_path):
    Image.fromarray(STACK[0, 0, 0]).save(tmp_path / "a.tif", compression="tiff_lzw")
    with pytest.raises(InputError, match="pip install imagecodecs"):
        read_image(tmp_path / "a.tif")
