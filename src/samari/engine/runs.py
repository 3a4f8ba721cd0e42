"""Masks and label arrays as run lengths: whole numbers that JSON can carry."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray


def runs_of(mask: NDArray[np.bool_]) -> list[int]:
    """Return a mask as pixels to skip, pixels to take, and so on, the last axis running fastest.

    Examples
    --------
    >>> runs_of(np.array([[False, True], [True, False]]))
    [1, 2]
    """
    flat = np.zeros(mask.size + 2, np.int8)
    flat[1:-1] = mask.ravel()
    edges: list[int] = np.diff(np.flatnonzero(np.diff(flat)), prepend=0).tolist()
    return edges


def mask_of(runs: Sequence[int], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Return the mask of a shape that `runs_of` made `runs` of.

    Raises
    ------
    ValueError
        If there is no such mask.
    """
    lengths = _lengths(runs, shape)
    flat = np.zeros(math.prod(shape), bool)
    filled = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    flat[: len(filled)] = filled
    return flat.reshape(tuple(shape))


def plane_runs(crop: NDArray[np.bool_], corner: tuple[int, int], width: int) -> list[int]:
    """Return the `runs_of` a plane whose pixels are all in one part, without the plane.

    Parameters
    ----------
    crop : ndarray of bool, shape (h, w)
    corner : (y0, x0)
        Pixel of the plane that `crop` begins at.
    width : int
        Columns of the plane.

    Examples
    --------
    >>> plane_runs(np.array([[True, True], [True, False]]), (1, 3), 5)
    [8, 2, 3, 1]
    """
    (y0, x0), cols = corner, crop.shape[1]
    # Where the plane goes on beside the part, an empty column ends the runs of each row.
    gap = int(cols < width)
    edges = np.cumsum(runs_of(np.pad(crop, ((0, 0), (0, gap)))), dtype=np.int64)
    row, col = np.divmod(edges, cols + gap)
    lengths: list[int] = np.diff((row + y0) * width + col + x0, prepend=0).tolist()
    return lengths


def crop_of(runs: Sequence[int], shape: Sequence[int]) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Return the box of the pixels of `mask_of`, without the plane (H, W) that it makes.

    Returns
    -------
    crop : ndarray of bool, shape (h, w)
        No pixel if the plane has none.
    corner : (y0, x0)
        Pixel of the plane that it begins at.

    Raises
    ------
    ValueError
        If there is no such mask, or the shape is not that of a plane.
    """
    _, width = shape
    edges = np.cumsum(_lengths(runs, shape)).reshape(-1, 2)
    edges = edges[edges[:, 0] < edges[:, 1]]
    if not len(edges):
        return np.zeros((0, 0), bool), (0, 0)
    first, last = np.divmod(edges[:, 0], width), np.divmod(edges[:, 1] - 1, width)
    # A run over the end of a row holds the last column and the first one.
    over = bool((first[0] < last[0]).any())
    x0, x1 = (0, width) if over else (int(first[1].min()), int(last[1].max()) + 1)
    y0, y1 = int(first[0][0]), int(last[0][-1]) + 1
    # The pixels of the box before an edge, rows above it and those to its left.
    row, col = np.divmod(edges, width)
    inside = (row - y0) * (x1 - x0) + np.clip(col - x0, 0, x1 - x0)
    lengths = np.diff(inside.ravel(), prepend=0).tolist()
    return mask_of(lengths, (y1 - y0, x1 - x0)), (y0, x0)


def _lengths(runs: Sequence[int], shape: Sequence[int]) -> NDArray[np.int64]:
    """Return the run lengths of a mask of a shape; a ValueError if they are not."""
    size = math.prod(shape)
    try:
        lengths = np.asarray(runs, np.int64)
    except OverflowError:
        lengths = np.array([-1, -1])
    outside = lengths.ndim != 1 or len(lengths) % 2 or (lengths < 0).any() or (lengths > size).any()
    if outside or lengths.sum() > size:
        raise ValueError(f"these run lengths are no mask of shape {tuple(shape)}")
    return lengths


def value_runs(array: NDArray[Any]) -> list[int]:
    """Return an array of whole numbers as (length, value) pairs in one list.

    Examples
    --------
    >>> value_runs(np.array([[0, 0], [0, 7]]))
    [3, 0, 1, 7]
    """
    flat = np.ravel(array)
    if not flat.size:
        return []
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    lengths = np.diff(starts, append=flat.size).tolist()
    return [n for pair in zip(lengths, flat[starts].tolist(), strict=True) for n in pair]


def array_of(runs: Sequence[int], shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
    """Return the array that `value_runs` made `runs` of.

    Raises
    ------
    ValueError
        If there is no such array.
    """
    lengths, values = np.asarray(runs[::2], np.int64), runs[1::2]
    if len(lengths) != len(values) or lengths.sum() != math.prod(shape) or (lengths < 0).any():
        raise ValueError(f"these run lengths are no array of shape {tuple(shape)}")
    try:
        return np.repeat(np.array(values, dtype), lengths).reshape(tuple(shape))
    except OverflowError as error:
        raise ValueError(f"these values do not fit {dtype}: {error}") from None
