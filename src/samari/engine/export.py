"""Label arrays to OME-TIFF files that napari, Fiji and Python read alike.

The OME fields follow the schema of 2016-06 (https://docs.openmicroscopy.org/ome-model/). What they
cannot say (the order of the axes, a negative voxel size, napari's names of units) is in a map
annotation of our own, from which `read_labels` restores the array exactly.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.atomic import replacing
from samari.engine.axes import as_array, check_axes
from samari.engine.label_dtype import cast_block, plane_blocks, smallest_dtype, stored_axes
from samari.engine.label_files import (
    NAMESPACE,
    LabelFile,
    is_label_file,
    label_software,
    read_labels,
)
from samari.engine.units import (
    axis_numbers,
    axis_units,
    micrometers,
    ome_length,
    ome_time,
    voxel_size,
)
from samari.errors import InputError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["LabelFile", "is_label_file", "read_labels", "save_labels"]

#: Planes with more pixels are written in tiles, so that a lazy one is not loaded as a whole.
LARGE_PLANE = 2**26
TILE = 1024
#: Above this many uncompressed bytes the file is a BigTIFF; the rest is for tags.
CLASSIC_LIMIT = 2**32 - 2**25


def save_labels(
    path: str | os.PathLike[str],
    labels: Any,
    axes: str | None = None,
    *,
    scale: Sequence[float] | None = None,
    units: Any = None,
    translate: Sequence[float] | None = None,
    name: str | None = None,
) -> np.dtype[Any]:
    """Save labels as a compressed OME-TIFF.

    The file appears under its name only when it is complete; an existing one is replaced at that
    moment and survives any failure. A lazy array is read plane by plane, twice: once for the
    largest label, once to write.

    Parameters
    ----------
    path : path-like
        Of the file, whatever its ending; the folder must exist.
    labels : array-like of bool or int, 2 to 5 dimensions
        numpy, dask, zarr, memory-mapped.
    axes : str, optional
        Letters of TCZYX in the array's order. Default YX, ZYX, TZYX or TCZYX. The file holds them
        in the order of TCZYX.
    scale : sequence of float, optional
        Voxel size, one number an axis. Stored as PhysicalSizeX, Y, Z and TimeIncrement, and as
        resolution tags.
    units : str, pint unit, or a sequence of one an axis, optional
        Units of `scale` and `translate`, e.g. "micrometer", "µm", "second", "pixel".
    translate : sequence of float, optional
        World position of the first voxel, one number an axis. Stored as the planes' positions.
    name : str, optional
        Name of the image in the file.

    Returns
    -------
    dtype
        That of the file: the smallest of uint8, uint16, uint32 (int8, int16, int32 where labels are
        negative) that holds every label. ImageJ itself reads at most 16 bits.

    Raises
    ------
    InputError
        If labels, axes, scale, units or translate do not fit each other.
    ExportError
        If the file cannot be written (disk full, no permission, bad name), or a label needs more
        than 32 bits.
    """
    labels = as_array(labels)
    if np.dtype(labels.dtype).kind not in "bui":
        raise InputError(f"labels must be integers, not {labels.dtype}; convert them first")
    shape = tuple(int(n) for n in labels.shape)
    axes = check_axes(axes, shape, "label array")
    sizes = voxel_size(scale, axes)
    origin = axis_numbers("translate", translate, axes)
    names = axis_units(units, axes)

    rows, cols = shape[axes.index("Y")], shape[axes.index("X")]
    tiled = rows * cols > LARGE_PLANE
    height, width = (TILE, TILE) if tiled else (rows, cols)
    dtype = smallest_dtype(labels, axes, height, width)
    metadata = _ome_metadata(axes, shape, sizes, names, origin, name)
    tags = _resolution_tags(axes, sizes, names)

    import tifffile

    with replacing(path) as file:
        big = math.prod(shape) * dtype.itemsize > CLASSIC_LIMIT
        with tifffile.TiffWriter(file, bigtiff=big, ome=True) as tiff:
            tiff.write(
                (cast_block(block, dtype) for block in plane_blocks(labels, axes, height, width)),
                shape=tuple(shape[axes.index(letter)] for letter in stored_axes(axes)),
                dtype=dtype,
                tile=(TILE, TILE) if tiled else None,
                photometric="minisblack",
                compression="zlib",
                software=label_software(),
                metadata=metadata,
                **tags,
            )
    return dtype


def _ome_metadata(
    axes: str,
    shape: tuple[int, ...],
    scale: tuple[float, ...] | None,
    units: tuple[str, ...] | None,
    translate: tuple[float, ...] | None,
    name: str | None,
) -> dict[str, Any]:
    """Return what tifffile turns into OME-XML."""
    exact = {"axes": axes, "shape": shape, "scale": scale, "units": units, "translate": translate}
    metadata: dict[str, Any] = {
        "axes": stored_axes(axes),
        # Control characters are not allowed in XML, not even escaped.
        "Name": "".join(c for c in name or "labels" if c.isprintable()),
        "MapAnnotation": {
            "Namespace": NAMESPACE,
            "Value": {key: json.dumps(value) for key, value in exact.items()},
        },
    }
    unit = dict(zip(axes, units or ("pixel",) * len(axes), strict=True))
    if scale is not None:
        size = {letter: abs(value) for letter, value in zip(axes, scale, strict=True)}
        for letter in set("ZYX") & set(axes):
            metadata[f"PhysicalSize{letter}"] = size[letter]
            metadata[f"PhysicalSize{letter}Unit"] = ome_length(unit[letter])
        if "T" in axes and ome_time(unit["T"]):
            metadata["TimeIncrement"] = size["T"]
            metadata["TimeIncrementUnit"] = ome_time(unit["T"])
    if translate is not None and any(translate):
        metadata["Plane"] = _plane_positions(axes, shape, scale, unit, translate)
    return metadata


def _plane_positions(
    axes: str,
    shape: tuple[int, ...],
    scale: tuple[float, ...] | None,
    unit: dict[str, str],
    translate: tuple[float, ...],
) -> dict[str, list[Any]]:
    """Return the world position of every plane of the file, in its order."""
    order = stored_axes(axes)
    lengths = [shape[axes.index(letter)] for letter in order[:-2]]
    origin = dict(zip(axes, translate, strict=True))
    count = math.prod(lengths)
    positions: dict[str, list[Any]] = {}
    for letter in [letter for letter in "XYZ" if letter in axes]:
        values = [origin[letter]] * count
        if letter == "Z":
            step = scale[axes.index("Z")] if scale else 1.0
            slices = np.indices(lengths)[order.index("Z")].ravel()
            values = [origin["Z"] + int(z) * step for z in slices]
        positions[f"Position{letter}"] = values
        positions[f"Position{letter}Unit"] = [ome_length(unit[letter])] * count
    return positions


def _resolution_tags(
    axes: str, scale: tuple[float, ...] | None, units: tuple[str, ...] | None
) -> dict[str, Any]:
    """Return the baseline TIFF resolution: pixels per cm, or per unit where that is no length."""
    if scale is None:
        return {}
    per_unit = []
    lengths = [micrometers(units[axes.index(letter)]) if units else None for letter in "XY"]
    for letter, length in zip("XY", lengths, strict=True):
        size = abs(scale[axes.index(letter)])
        per_unit.append(1e4 / (size * length) if length and all(lengths) else 1 / size)
    # The tags are ratios of 32-bit integers; what they cannot hold is in the OME fields.
    if not all(1e-6 <= value <= 4e9 for value in per_unit):
        return {}
    unit = "CENTIMETER" if all(lengths) else "NONE"
    return {"resolution": tuple(per_unit), "resolutionunit": unit}
