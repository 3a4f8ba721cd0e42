"""Layouts of synthetic pictures: where objects lie, and what they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from samari.train.synthetic_noise import smooth_noise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LAYOUTS = ("cells", "crowd", "rods", "tissue", "fibres", "rings", "yeast")
#: Smaller objects have no parts, in pixels.
_LEAST_WHOLE = 120


def _place(
    labels: NDArray[np.int32],
    centre: NDArray[np.float64],
    reach: float,
    inside: Callable[[NDArray[Any], NDArray[Any]], NDArray[np.bool_]],
    overlap: float,
) -> None:
    # Draws in the bounding box only; earlier objects keep their pixels. An object of which more
    # than `overlap` is taken already is dropped, so that what is labelled is also to be seen.
    size = labels.shape[0]
    top, left = np.maximum(np.floor(centre - reach).astype(int), 0)
    bottom, right = np.minimum(np.ceil(centre + reach).astype(int) + 1, size)
    if bottom - top < 2 or right - left < 2:
        return
    rows, cols = np.mgrid[top:bottom, left:right]
    shape = inside(rows - centre[0], cols - centre[1])
    window = labels[top:bottom, left:right]
    free = shape & (window == 0)
    if free.sum() < max(12, (1 - overlap) * shape.sum()):
        return
    window[free] = labels.max() + 1


def _star(
    rng: np.random.Generator, radius: float, roughness: float
) -> tuple[float, Callable[[NDArray[Any], NDArray[Any]], NDArray[np.bool_]]]:
    # A star-convex outline: an ellipse times a short Fourier series of the angle.
    stretch_by, turn = np.exp(rng.uniform(0, 0.7)), rng.uniform(0, np.pi)
    orders = np.arange(2, 7)
    size = rng.normal(0, roughness, len(orders)) / orders
    phase = rng.uniform(0, 2 * np.pi, len(orders))

    def inside(dy: NDArray[Any], dx: NDArray[Any]) -> NDArray[np.bool_]:
        u = np.cos(turn) * dx + np.sin(turn) * dy
        v = -np.sin(turn) * dx + np.cos(turn) * dy
        distance = np.hypot(u / np.sqrt(stretch_by), v * np.sqrt(stretch_by))
        angle = np.arctan2(v, u)
        bumps = (size * np.cos(orders * angle[..., None] + phase)).sum(-1)
        return np.asarray(distance <= radius * np.clip(1 + bumps, 0.4, 1.6))

    return radius * 1.6 * np.sqrt(stretch_by), inside


def _rod(
    rng: np.random.Generator, radius: float
) -> tuple[float, Callable[[NDArray[Any], NDArray[Any]], NDArray[np.bool_]]]:
    half, turn = radius * rng.uniform(1.0, 5.0), rng.uniform(0, np.pi)
    bend = rng.normal(0, 0.15) / half

    def inside(dy: NDArray[Any], dx: NDArray[Any]) -> NDArray[np.bool_]:
        u = np.cos(turn) * dx + np.sin(turn) * dy
        v = -np.sin(turn) * dx + np.cos(turn) * dy + bend * u**2
        return np.asarray(np.hypot(np.maximum(np.abs(u) - half, 0), v) <= radius)

    return half + 2 * radius, inside


def _tissue(rng: np.random.Generator, size: int, pitch: float) -> NDArray[np.int32]:
    # Nearest-seed regions of a warped plane, with a gap for the membrane.
    count = max(6, int((size / pitch) ** 2 * 1.3))
    seeds = rng.uniform(-pitch, size + pitch, (count, 2))
    rows, cols = np.mgrid[:size, :size].astype(np.float32)
    warp = pitch * rng.uniform(0.0, 0.35)
    places = np.stack(
        [axis + warp * smooth_noise(rng, size, pitch / 2) for axis in (rows, cols)], axis=-1
    )
    distance, nearest = cKDTree(seeds).query(places.reshape(-1, 2), k=2)
    labels = (nearest[:, 0] + 1).reshape(size, size).astype(np.int32)
    gap = rng.uniform(0.5, 2.5)
    labels[((distance[:, 1] - distance[:, 0]) < gap * 1.5).reshape(size, size)] = 0
    if rng.random() < 0.3:
        empty = rng.choice(count, count // 4, replace=False) + 1
        labels[np.isin(labels, empty)] = 0
    return labels


def _fibres(rng: np.random.Generator, size: int) -> NDArray[np.int32]:
    labels = np.zeros((size, size), np.int32)
    for number in range(1, int(rng.integers(3, 14))):
        steps = int(rng.integers(size // 3, size))
        turns = ndimage.gaussian_filter1d(rng.normal(0, 0.6, steps), 12)
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(turns)
        path = rng.uniform(0, size, 2) + np.cumsum(
            np.stack([np.sin(heading), np.cos(heading)], 1), axis=0
        )
        path = path[((path >= 0) & (path < size)).all(axis=1)].astype(int)
        if len(path) < 15:
            continue
        line = np.ones((size, size), bool)
        line[path[:, 0], path[:, 1]] = False
        shape = ndimage.distance_transform_edt(line) <= rng.uniform(1.2, 5.0)
        labels[shape & (labels == 0)] = number
    return labels


def _ring(
    rng: np.random.Generator, radius: float, roughness: float
) -> tuple[float, Callable[[NDArray[Any], NDArray[Any]], NDArray[np.bool_]]]:
    # What is within the outline belongs to nobody, as the axon within its myelin.
    reach, outline = _star(rng, radius, roughness)
    hole = rng.uniform(0.45, 0.8)

    def inside(dy: NDArray[Any], dx: NDArray[Any]) -> NDArray[np.bool_]:
        return outline(dy, dx) & ~outline(dy / hole, dx / hole)

    return reach, inside


def _budding(
    rng: np.random.Generator, radius: float
) -> tuple[float, Callable[[NDArray[Any], NDArray[Any]], NDArray[np.bool_]]]:
    # A mother and, mostly, a smaller daughter that touches it, as one object.
    reach, mother = _star(rng, radius, 0.05)
    size, turn = radius * rng.uniform(0.35, 0.75), rng.uniform(0, 2 * np.pi)
    away = 0.9 * radius + 0.8 * size
    alone = rng.random() < 0.35

    def inside(dy: NDArray[Any], dx: NDArray[Any]) -> NDArray[np.bool_]:
        whole = mother(dy, dx)
        if alone:
            return whole
        bud = np.hypot(dy - away * np.sin(turn), dx - away * np.cos(turn)) <= size
        return np.asarray(whole | bud)

    return max(reach, away + size), inside


def draw_labels(rng: np.random.Generator, size: int, layout: str) -> NDArray[np.int32]:
    """Lay out objects.

    Parameters
    ----------
    rng : numpy.random.Generator
    size : int
        Height and width in pixels.
    layout : str
        One of `LAYOUTS`.

    Returns
    -------
    ndarray of int32, shape (size, size)
        0 is background. Neighbours may touch; every label is 4-connected or nearly so.
    """
    if layout == "tissue":
        return _tissue(rng, size, float(np.exp(rng.uniform(np.log(12), np.log(60)))))
    if layout == "fibres":
        return _fibres(rng, size)
    labels = np.zeros((size, size), np.int32)
    least, most = {"rods": (4, 10), "rings": (7, 38), "yeast": (4, 18)}.get(layout, (4, 38))
    radius = float(np.exp(rng.uniform(np.log(least), np.log(most))))
    loose = layout in ("cells", "rings", "yeast")
    density = rng.uniform(0.05, 0.45) if loose else rng.uniform(0.5, 1.3)
    count = int(np.clip(density * size**2 / (np.pi * radius**2 * 1.5), 2, 220))
    spread = rng.uniform(0.05, 0.45)
    roughness = rng.uniform(0.0, 0.5)
    clumps = rng.uniform(0, size, (max(2, count // 8), 2))
    clumped = rng.random() < 0.4
    for _ in range(count):
        centre = rng.uniform(0, size, 2)
        if clumped:
            centre = clumps[rng.integers(len(clumps))] + rng.normal(0, 2.2 * radius, 2)
        own = radius * float(np.exp(rng.normal(0, spread)))
        if layout == "rods":
            reach, inside = _rod(rng, own)
        elif layout == "rings":
            reach, inside = _ring(rng, own, roughness)
        elif layout == "yeast":
            reach, inside = _budding(rng, own)
        else:
            reach, inside = _star(rng, own, roughness)
        _place(labels, centre, reach, inside, overlap=0.15 if loose else 0.4)
    return labels


def draw_parts(rng: np.random.Generator, labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Draw one part into each larger object, as a nucleus lies in its cell.

    Parameters
    ----------
    rng : numpy.random.Generator
    labels : ndarray of int32, shape (S, S)

    Returns
    -------
    ndarray of int32, shape (S, S)
        The number of its object in each part, 0 elsewhere; objects without room have none.
    """
    parts = np.zeros_like(labels)
    share = rng.uniform(0.3, 0.65)
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        if place is None:
            continue
        mask = labels[place] == number
        if mask.sum() < _LEAST_WHOLE:
            continue
        depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        row, col = np.unravel_index(int(depth.argmax()), depth.shape)
        radius = depth.max() * share * np.exp(rng.normal(0, 0.1))
        if radius < 2:
            continue
        # Not in the middle, but all of it inside.
        shift = rng.normal(0, 0.2 * max(depth.max() - radius, 0), 2)
        _, outline = _star(rng, radius, 0.15)
        rows, cols = np.mgrid[: mask.shape[0], : mask.shape[1]]
        part = outline(rows - row - shift[0], cols - col - shift[1]) & (depth > 1.5)
        parts[place][part] = number
    return parts


def draw_groups(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return objects that touch, or nearly so, as one: colonies, clumps, a whole sheet."""
    near = ndimage.binary_dilation(labels > 0, iterations=2)
    groups, _ = ndimage.label(near)
    found: NDArray[np.int32] = np.where(labels > 0, groups, 0).astype(np.int32)
    return found
