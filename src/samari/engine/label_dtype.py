"""Label arrays block by block, and the smallest dtype that holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.axes import LETTERS
from samari.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

#: What OME-TIFF and its readers know; there is no 64-bit integer in it.
_UNSIGNED = (np.uint8, np.uint16, np.uint32)
_SIGNED = (np.int8, np.int16, np.int32)


def stored_axes(axes: str) -> str:
    """Return `axes` in the order of the file: that of TCZYX."""
    return "".join(letter for letter in LETTERS if letter in axes)


def plane_blocks(labels: Any, axes: str, height: int, width: int) -> Iterator[NDArray[Any]]:
    """Read a label array in blocks of at most `height` x `width`, in the order of the file.

    Parameters
    ----------
    labels : array-like, shape by `axes`
        Sliced, so that a lazy one is never loaded as a whole.
    axes : str
        Letters of TCZYX in the array's order.

    Yields
    ------
    ndarray, shape (<= height, <= width)
        Along X first, then Y, then the further axes of `stored_axes`, the last one first.
    """
    lengths = dict(zip(axes, labels.shape, strict=True))
    stack = stored_axes(axes)[:-2]
    transposed = axes.index("X") < axes.index("Y")
    for index in np.ndindex(*(lengths[letter] for letter in stack)):
        at: dict[str, int | slice] = dict(zip(stack, index, strict=True))
        for y in range(0, lengths["Y"], height):
            for x in range(0, lengths["X"], width):
                at["Y"], at["X"] = slice(y, y + height), slice(x, x + width)
                block = np.asarray(labels[tuple(at[letter] for letter in axes)])
                yield block.T if transposed else block


def smallest_dtype(labels: Any, axes: str, height: int, width: int) -> np.dtype[Any]:
    """Return the smallest of uint8, uint16 and uint32 that holds every label.

    int8, int16 or int32 where there are negative ones. Reads the array once, block by block.

    Raises
    ------
    ExportError
        If a label needs 64 bits.
    """
    low = high = 0
    for block in plane_blocks(labels, axes, height, width):
        low, high = min(low, int(block.min())), max(high, int(block.max()))
    for candidate in _SIGNED if low < 0 else _UNSIGNED:
        limits = np.iinfo(candidate)
        if limits.min <= low and high <= limits.max:
            return np.dtype(candidate)
    raise ExportError(
        f"the labels go from {low} to {high}, but a label TIFF holds at most 32 bits; renumber "
        "them, e.g. with skimage.segmentation.relabel_sequential"
    )


def cast_block(block: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return `block` as C-contiguous `dtype`.

    Raises
    ------
    ExportError
        If it does not fit, because the labels were changed while they were being saved.
    """
    limits = np.iinfo(dtype)
    if block.dtype.kind != "b" and not limits.min <= block.min() <= block.max() <= limits.max:
        raise ExportError(
            f"label {block.max()} appeared while the labels were being saved as {dtype}; save again"
        )
    return np.ascontiguousarray(block, dtype=dtype)
