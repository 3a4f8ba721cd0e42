"""Outlines to masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.plane_mask import PlaneMask
from samari.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def polygon_mask(vertices: Any, shape: tuple[int, int]) -> PlaneMask:
    """Fill a closed polygon.

    A pixel belongs to it if its centre is inside by the even-odd rule, so an outline that crosses
    itself leaves holes. An outline too thin to hold a centre keeps the pixels under its vertices.

    Parameters
    ----------
    vertices : array-like of float, shape (n, 2)
        (y, x) in pixels, centres at integers; the last is joined to the first. Parts outside the
        plane are cut off.
    shape : (int, int)
        Rows and columns H, W of the plane.

    Returns
    -------
    PlaneMask
        Of the plane. Nothing larger than the part of the polygon's box on the plane is made.

    Raises
    ------
    InputError
        If there are fewer than three vertices, they are not (y, x) pairs of finite numbers, or the
        polygon lies outside the plane.
    """
    corners = check_vertices(vertices)
    first = np.clip(np.ceil(corners.min(axis=0)), 0, None).astype(int)
    last = np.minimum(np.floor(corners.max(axis=0)), np.array(shape) - 1).astype(int)
    rows, cols = np.arange(first[0], last[0] + 1), np.arange(first[1], last[1] + 1)
    inside = np.zeros((len(rows), len(cols)), dtype=bool)
    for (y0, x0), (y1, x1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        # Half-open, so that a vertex on a row counts for one of its two edges.
        crossed = np.flatnonzero((y0 <= rows) != (y1 <= rows))
        at = x0 + (rows[crossed] - y0) * ((x1 - x0) / (y1 - y0 or 1))
        inside[crossed] ^= cols >= at[:, None]
    if not inside.any():
        near = np.floor(corners + 0.5).astype(int)
        near = near[((near >= 0) & (near < shape)).all(axis=1)]
        if not len(near):
            raise InputError(
                f"the polygon from {_point(corners.min(axis=0))} to {_point(corners.max(axis=0))} "
                f"lies outside the plane of shape {tuple(shape)}"
            )
        first = near.min(axis=0)
        inside = np.zeros(near.max(axis=0) - first + 1, dtype=bool)
        inside[tuple((near - first).T)] = True
    return PlaneMask(inside, (first[0], first[1]), shape)


def check_vertices(vertices: Any) -> NDArray[np.float64]:
    """Return vertices as a float array (n, 2), n >= 3.

    Raises
    ------
    InputError
        Names the shape, or the vertex that is not finite.
    """
    try:
        corners = np.asarray(vertices, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"polygon vertices must be (y, x) pairs, got {vertices!r}") from error
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise InputError(
            f"a polygon needs at least three (y, x) vertices, got an array of shape {corners.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(corners).all(axis=1))
    if len(bad):
        raise InputError(
            f"polygon vertex {bad[0]} is {_point(corners[bad[0]])}, which is not finite"
        )
    return corners


def _point(point: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 3) for value in point)
