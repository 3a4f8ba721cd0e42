"""Reads what a stroke of napari's brush, bucket or polygon did to the pixels of a Labels layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Stroke:
    """Pixels of a box of the layer's array, before and after a stroke.

    Attributes
    ----------
    box : tuple of slice
        With explicit bounds, one an axis.
    before, after : ndarray of int
        Of the shape of the box; nobody else holds them.
    """

    box: tuple[slice, ...]
    before: NDArray[Any]
    after: NDArray[Any]

    def without_axis(self, axis: int | None) -> Stroke:
        """Return the same without an axis of length 1; as it is for None."""
        if axis is None:
            return self
        box = tuple(extent for i, extent in enumerate(self.box) if i != axis)
        return Stroke(box, self.before.squeeze(axis), self.after.squeeze(axis))

    def write(self, array: Any, *, forward: bool) -> None:
        """Do the stroke again, or take it back; pixels that changed since are left alone.

        Parameters
        ----------
        array : array of int
            What was painted on.
        forward : bool
            Whether to do it again.
        """
        old, new = (self.before, self.after) if forward else (self.after, self.before)
        block = np.array(array[self.box])
        moved = (old != new) & (block == old)
        block[moved] = new[moved]
        array[self.box] = block


def read_stroke(edits: Any, data: Any) -> Stroke | None:
    """Return what the edits of a `paint` event did; None if they are of a kind that is not known.

    What such an event carries is no promise of napari's and has changed before, so nothing is
    taken for granted. It may be sent before or after the pixels are written.

    Parameters
    ----------
    edits : object
        The event's value: edits of a box under a mask, or (indices, before, after).
    data : array
        The layer's.
    """
    try:
        places = [_place(edit, data.shape) for edit in edits]
        box = tuple(
            slice(min(s.start for s in axis), max(s.stop for s in axis))
            for axis in zip(*places, strict=True)
        )
        before = np.array(data[box])
        origin = [extent.start for extent in box]
        for edit in reversed(edits):
            _apply(edit, before, origin, forward=False)
        after = before.copy()
        for edit in edits:
            _apply(edit, after, origin, forward=True)
    except (AttributeError, IndexError, TypeError, ValueError):
        return None
    return Stroke(box, before, after) if len(box) == len(data.shape) else None


def _place(edit: Any, shape: Sequence[int]) -> tuple[slice, ...]:
    """Return the box of one edit."""
    key = edit.slice_key if hasattr(edit, "slice_key") else edit[0]
    if len(key) != len(shape):
        raise ValueError("an edit of another number of axes")
    return tuple(_extent(where, size) for where, size in zip(key, shape, strict=True))


def _extent(where: Any, size: int) -> slice:
    if isinstance(where, slice):
        start, stop, _ = where.indices(size)
        return slice(start, max(start, stop))
    indices = np.asarray(where)
    if indices.dtype.kind not in "ui":
        raise TypeError("indices that are no whole numbers")
    return slice(int(indices.min()), int(indices.max()) + 1)


def _apply(edit: Any, block: NDArray[Any], origin: Sequence[int], *, forward: bool) -> None:
    """Do one edit, or take it back, on the pixels of the box that begins at `origin`."""
    if hasattr(edit, "slice_key"):
        values = edit.new_value if forward else edit.old_values
        part = block[_moved(edit.slice_key, origin)]
        part[... if edit.mask is None else edit.mask] = values
        return
    indices, old, new = edit
    block[_moved(indices, origin)] = new if forward else old


def _moved(key: Any, origin: Sequence[int]) -> tuple[Any, ...]:
    return tuple(
        slice(where.start - start, where.stop - start)
        if isinstance(where, slice)
        else np.asarray(where) - start
        for where, start in zip(key, origin, strict=True)
    )
