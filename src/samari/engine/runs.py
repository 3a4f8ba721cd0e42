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
    lengths = np.asarray(runs, np.int64)
    size = math.prod(shape)
    if lengths.ndim != 1 or len(lengths) % 2 or (lengths < 0).any() or lengths.sum() > size:
        raise ValueError(f"these run lengths are no mask of shape {tuple(shape)}")
    flat = np.zeros(size, bool)
    filled = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    flat[: len(filled)] = filled
    return flat.reshape(tuple(shape))


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
