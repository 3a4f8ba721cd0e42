"""One pair of contrast limits for a whole stack, from a bounded part of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.intensity import MAX_VALUES, default_contrast_limits, subset

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Reads rows and columns of the plane at an index, as (H, W) or (H, W, 3 | 4).
PlaneReader = Callable[[tuple[int, ...], slice, slice], "NDArray[Any]"]

#: Planes looked at, at most.
SAMPLE_PLANES = 16
#: Planes on disk with more pixels than this are read in GRID x GRID windows of WINDOW x WINDOW.
LARGE_PLANE = 2**24
WINDOW, GRID = 512, 4


def stack_contrast_limits(
    read: PlaneReader,
    stack_shape: tuple[int, ...],
    plane_shape: tuple[int, int],
    *,
    rgb: bool,
    in_memory: bool,
) -> tuple[float, float] | None:
    """Return the default contrast limits of a stack of planes.

    At most 16 planes are read, evenly spaced over the stack, and of a plane on disk above 2**24
    pixels only 16 windows of 512 x 512. Deterministic; a single plane in memory gives exactly its
    own default limits.

    Parameters
    ----------
    read : callable
        Called as ``read(index, rows, cols)``.
    stack_shape : tuple of int
        Length of the stack along each axis of `index`; () for a single plane.
    plane_shape : tuple of int
        (H, W).
    rgb : bool
        Whether planes have a last axis of colours.
    in_memory : bool
        Whether reading costs nothing.

    Returns
    -------
    tuple of float or None
        (low, high), low < high; None for RGB uint8.
    """
    windows = [(slice(None), slice(None))]
    if not in_memory and plane_shape[0] * plane_shape[1] > LARGE_PLANE:
        windows = [(rows, cols) for rows in _grid(plane_shape[0]) for cols in _grid(plane_shape[1])]
    chosen = _evenly_spaced(stack_shape)
    if len(chosen) == len(windows) == 1:
        return default_contrast_limits(read(chosen[0], *windows[0]), rgb)
    limit = MAX_VALUES // (len(chosen) * len(windows))
    parts = [subset(read(index, *window), limit) for index in chosen for window in windows]
    return default_contrast_limits(
        np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts]), rgb
    )


def _evenly_spaced(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return at most SAMPLE_PLANES indices, each from the middle of an equal share of the stack."""
    total = int(np.prod(shape, dtype=np.int64))
    count = min(total, SAMPLE_PLANES)
    middles = [((2 * k + 1) * total) // (2 * count) for k in range(count)]
    return [
        tuple(int(i) for i in np.unravel_index(middle, shape)) if shape else ()
        for middle in middles
    ]


def _grid(length: int) -> list[slice]:
    """Return GRID slices of WINDOW pixels, evenly spaced along an axis, or the whole axis."""
    if length <= GRID * WINDOW:
        return [slice(0, length)]
    starts = [((2 * k + 1) * length) // (2 * GRID) - WINDOW // 2 for k in range(GRID)]
    return [slice(start, start + WINDOW) for start in starts]
