"""What kinds of arrays can hold labels, and how parts of them are named."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import find_objects

from samari.engine.checks import whole_number
from samari.errors import InputError, LabelsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Index = Sequence[int | slice]
"""Where in a label array: integers and slices, one an axis, missing ones at the end are whole."""

Box = tuple[slice, ...]
"""A slice with explicit, non-negative bounds for every axis of a label array."""


def refuse_unwritable(array: Any) -> None:
    """Check that an array can be a target for labels. Trap 24.

    Raises
    ------
    LabelsError
        If it is not an array of integers, is lazy (dask), or is read-only; the message offers
        the copy that would do.
    """
    kind = type(array).__name__
    if not all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__")):
        raise LabelsError(f"labels of type {kind} are not an array; pass numpy.asarray(labels)")
    if type(array).__module__.split(".")[0] == "dask":
        raise LabelsError(
            f"labels of shape {array.shape} are a dask array, which cannot be written to; "
            f"use a copy in memory: numpy.asarray(labels)"
        )
    dtype = np.dtype(array.dtype)
    if dtype.kind not in "ui":
        raise LabelsError(
            f"labels of dtype {dtype} are not whole numbers; use a copy: labels.astype('uint16')"
        )
    if _is_read_only(array):
        raise LabelsError(
            f"labels of type {kind} and shape {array.shape} are read-only; "
            f"use a copy in memory: numpy.array(labels)"
        )


def _is_read_only(array: Any) -> bool:
    if isinstance(array, np.ndarray):
        return not array.flags.writeable
    if not hasattr(array, "__setitem__") or getattr(array, "read_only", False):  # zarr says so
        return True
    return getattr(getattr(array, "file", None), "mode", None) == "r"  # a dataset of h5py's


def is_in_memory(array: Any) -> bool:
    """Tell whether an array is plain numpy memory, which a wider copy can replace."""
    owner = array
    while isinstance(owner, np.ndarray):
        if isinstance(owner, np.memmap):
            return False
        owner = owner.base
    return isinstance(array, np.ndarray) and not isinstance(owner, mmap.mmap)


def common_part(one: Box, other: Box) -> Box | None:
    """Return what lies in both of two boxes; None if nothing does."""
    common = tuple(
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )
    return common if all(extent.start < extent.stop for extent in common) else None


def seen_from(box: Box, place: Box) -> Box:
    """Return a box in the indices of an array that holds the part `place`."""
    return tuple(
        slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, place, strict=True)
    )


def as_box(slices: Index, shape: Sequence[int]) -> Box:
    """Return a slice with explicit bounds for every axis.

    Raises
    ------
    InputError
        If there are more slices than axes, a step other than 1, or an index outside.
    """
    if len(slices) > len(shape):
        raise InputError(f"{len(slices)} slices do not fit labels of shape {tuple(shape)}")
    box = []
    for where, size in zip(padded(slices, len(shape)), shape, strict=True):
        if isinstance(where, slice):
            start, stop, step = where.indices(size)
            if step != 1:
                raise InputError(f"{where} has step {step}; parts of labels have step 1")
            box.append(slice(start, max(start, stop)))
        else:
            if not 0 <= where < size:
                raise InputError(f"index {where} is outside of an axis of length {size}")
            box.append(slice(int(where), int(where) + 1))
    return tuple(box)


def padded(slices: Index, ndim: int) -> list[int | slice]:
    """Return one index an axis, whole axes at the end."""
    return [*slices, *[slice(None)] * (ndim - len(slices))]


def wider(dtype: np.dtype[Any], label: int) -> np.dtype[Any]:
    """Return the narrowest dtype of the same sign that holds `label`."""
    for size in (1, 2, 4, 8):
        candidate = np.dtype(f"{dtype.kind}{size}")
        if size > dtype.itemsize and label <= np.iinfo(candidate).max:
            return candidate
    raise LabelsError(f"object {label} does not fit any integer dtype; renumber the labels")


def span(mask: NDArray[np.bool_], axis: int) -> tuple[int, int]:
    """Return start and stop of the true pixels along one axis; (0, 0) if there are none."""
    others = tuple(k for k in range(mask.ndim) if k != axis)
    hits = np.flatnonzero(mask.any(axis=others))
    return (int(hits[0]), int(hits[-1]) + 1) if hits.size else (0, 0)


def boxes_of(block: NDArray[Any], labels: Sequence[int]) -> list[tuple[int, Box]]:
    """Return those of some labels that a block has, with the smallest box around each."""
    if len(labels) == 1:
        found = block == labels[0]
        box = tuple(slice(*span(found, axis)) for axis in range(found.ndim))
        return [(labels[0], box)] if found.any() else []
    limits = np.iinfo(block.dtype)
    fitting = sorted(label for label in labels if limits.min <= label <= limits.max)
    wanted = np.array(fitting, block.dtype)
    found = np.isin(block, wanted)
    numbers = np.zeros(block.shape, np.int32)
    numbers[found] = np.searchsorted(wanted, block[found]) + 1
    boxes = find_objects(numbers, max_label=len(fitting))
    return [(label, box) for label, box in zip(fitting, boxes, strict=True) if box is not None]


def brushed_box(
    mask: Any, corner: Sequence[int] | None, shape: Sequence[int]
) -> tuple[Box, NDArray[np.bool_]]:
    """Return where a mask lies whose first element is at `corner` of the labels, and the mask.

    Raises
    ------
    InputError
        If it has another number of axes than the labels, or reaches beyond them.
    """
    painted = np.asarray(mask)
    start = (0,) * len(shape) if corner is None else tuple(corner)
    if painted.dtype != bool or painted.ndim != len(shape) or len(start) != len(shape):
        raise InputError(
            f"a mask of shape {painted.shape} and dtype {painted.dtype} at corner {start} does not "
            f"fit labels of shape {tuple(shape)}; it must be boolean, with as many axes"
        )
    first = [whole_number(value, "a corner's index") for value in start]
    ends = [a + n for a, n in zip(first, painted.shape, strict=True)]
    if min(first) < 0 or any(end > size for end, size in zip(ends, shape, strict=True)):
        raise InputError(
            f"a mask of shape {painted.shape} at corner {tuple(first)} reaches beyond labels of "
            f"shape {tuple(shape)}"
        )
    return tuple(slice(a, b) for a, b in zip(first, ends, strict=True)), painted
