"""Synthetic microscopy: shapes with known outlines, rendered as several kinds of microscope would.

A picture is made in two halves: `draw_labels` lays out objects (cells, rods, tissue, fibres), and
`render` gives them a look (fluorescence, phase contrast, electron microscopy, stain).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from samari.train.data import Sample, stretch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LAYOUTS = ("cells", "crowd", "rods", "tissue", "fibres")
LOOKS = ("fluorescence", "membrane", "phase", "dark", "stain")


def smooth_noise(rng: np.random.Generator, size: int, sigma: float) -> NDArray[np.float32]:
    """Return Gaussian noise (size, size) float32 of that correlation length in pixels, variance 1.

    Made on a coarse grid and enlarged, because a wide filter on the full grid is slow.
    """
    coarse = max(4, int(np.ceil(size / max(sigma / 2, 1.0))))
    noise = ndimage.gaussian_filter(
        rng.standard_normal((coarse, coarse)),
        2.0 * coarse / size if sigma < 2 else 2.0,
        mode="wrap",
    )
    zoomed = ndimage.zoom(noise, size / coarse, order=1, mode="nearest", grid_mode=True)
    zoomed = zoomed[:size, :size]
    return ((zoomed - zoomed.mean()) / (zoomed.std() + 1e-6)).astype(np.float32)


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
    radius = float(np.exp(rng.uniform(np.log(4), np.log(38 if layout != "rods" else 10))))
    density = rng.uniform(0.05, 0.45) if layout == "cells" else rng.uniform(0.5, 1.3)
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
        reach, inside = _rod(rng, own) if layout == "rods" else _star(rng, own, roughness)
        _place(labels, centre, reach, inside, overlap=0.15 if layout == "cells" else 0.4)
    return labels


def _parts(rng: np.random.Generator, labels: NDArray[np.int32]) -> NDArray[np.float32]:
    # What is inside the cells: distance from the outline, 0 at the edge and 1 in the middle.
    edge = labels != ndimage.grey_erosion(labels, size=3, mode="nearest")
    depth = ndimage.distance_transform_edt((labels > 0) & ~edge).astype(np.float32)
    deepest = np.zeros(labels.max() + 1, np.float32)
    np.maximum.at(deepest, labels.ravel(), depth.ravel())
    return depth / np.maximum(deepest[labels], 1)


def render(rng: np.random.Generator, labels: NDArray[np.int32], look: str) -> NDArray[Any]:
    """Give a layout the look of a microscope.

    Parameters
    ----------
    rng : numpy.random.Generator
    labels : ndarray of int32, shape (S, S)
    look : str
        One of `LOOKS`.

    Returns
    -------
    ndarray, shape (S, S) uint8 or uint16, or (S, S, 3) uint8 for ``stain``
    """
    size = labels.shape[0]
    count = int(labels.max()) + 1
    mask = labels > 0
    edge = ndimage.grey_dilation(labels, size=3) != ndimage.grey_erosion(labels, size=3)
    level = np.exp(rng.normal(0, rng.uniform(0.05, 0.45), count)).astype(np.float32)
    level[0] = 0
    body = level[labels]
    texture = smooth_noise(rng, size, rng.uniform(1.0, 6.0))
    depth = _parts(rng, labels)
    grain = rng.uniform(0.0, 0.3)
    if look == "fluorescence":
        picture = body * (1 + grain * texture) * (1 - rng.uniform(0, 0.6) * (1 - depth))
        if rng.random() < 0.3:
            picture = picture * (1 + rng.uniform(-0.9, 1.0) * (depth > rng.uniform(0.4, 0.7)))
    elif look == "membrane":
        width = rng.uniform(0.6, 1.8)
        rim = ndimage.gaussian_filter(edge.astype(np.float32), width)
        picture = rim / (rim.max() + 1e-6) + rng.uniform(0, 0.4) * body * (1 + grain * texture)
    elif look == "phase":
        near = ndimage.gaussian_filter(mask.astype(np.float32), rng.uniform(1, 2.5))
        far = ndimage.gaussian_filter(mask.astype(np.float32), rng.uniform(3, 7))
        picture = rng.uniform(0.5, 1.5) * (far - near) + rng.uniform(0, 0.4) * texture * near
        picture = picture + rng.uniform(0.0, 0.5) * (edge & mask)
    elif look == "dark":
        inner = 1 + grain * texture + 0.3 * (level[labels] - 1) * mask
        picture = inner - rng.uniform(0.3, 0.9) * ndimage.gaussian_filter(
            (edge | ~mask).astype(np.float32), rng.uniform(0.3, 1.2)
        )
        if rng.random() < 0.5:
            dots = smooth_noise(rng, size, rng.uniform(1.5, 4.0)) > rng.uniform(1.2, 2.2)
            picture = picture - rng.uniform(0.1, 0.6) * (dots & mask)
    else:
        picture = body * (1 + grain * texture) * (0.7 + 0.3 * depth)
    picture = picture + rng.uniform(0.0, 0.35) * smooth_noise(rng, size, rng.uniform(20, 90))
    if rng.random() < 0.35:
        # Unlabelled clutter of another size: not everything that is seen is an object.
        clutter = smooth_noise(rng, size, rng.uniform(1.0, 5.0)) > rng.uniform(1.8, 2.8)
        picture = picture + rng.uniform(-0.4, 0.4) * clutter
    picture = ndimage.gaussian_filter(picture.astype(np.float32), rng.uniform(0.2, 1.6))
    picture = picture - picture.min()
    picture = picture / (picture.max() + 1e-6)
    photons = np.exp(rng.uniform(np.log(25), np.log(1500)))
    picture = rng.poisson(picture * photons) / photons
    picture = picture + rng.normal(0, rng.uniform(0, 0.04), picture.shape)
    if look == "stain":
        return _stain(rng, np.clip(picture, 0, 1), size)
    if look != "fluorescence" and rng.random() < 0.3:
        picture = 1 - picture
    if rng.random() < 0.3:
        return (np.clip(picture * rng.uniform(0.05, 0.9) + 0.01, 0, 1) * 65535).astype(np.uint16)
    return (np.clip(picture * rng.uniform(0.3, 1.0), 0, 1) * 255).astype(np.uint8)


def _stain(rng: np.random.Generator, density: NDArray[Any], size: int) -> NDArray[np.uint8]:
    # Two dyes that absorb light by Beer and Lambert: one in the objects, one around them.
    nuclear = rng.uniform([0.5, 0.6, 0.2], [0.8, 0.9, 0.4]) * rng.uniform(0.8, 2.0)
    around = rng.uniform([0.05, 0.4, 0.1], [0.3, 0.9, 0.5]) * rng.uniform(0.1, 1.0)
    tissue = np.clip(0.5 + 0.4 * smooth_noise(rng, size, rng.uniform(3, 20)), 0, 1.5)
    light = np.exp(-density[..., None] * nuclear - tissue[..., None] * around)
    light = light + rng.normal(0, 0.015, light.shape)
    return (np.clip(light, 0, 1) * 255).astype(np.uint8)


def synthetic_sample(seed: int, size: int = 256) -> Sample:
    """Make one labelled picture; the same seed gives the same picture.

    Parameters
    ----------
    seed : int
    size : int
        Height and width in pixels.

    Returns
    -------
    Sample
        Of data set ``synthetic``; its modality is the look.
    """
    rng = np.random.default_rng([seed, 20260])
    layout = LAYOUTS[rng.choice(len(LAYOUTS), p=(0.32, 0.28, 0.16, 0.18, 0.06))]
    chances = {
        "tissue": (0.1, 0.4, 0.05, 0.45, 0.0),
        "fibres": (0.6, 0.0, 0.1, 0.3, 0.0),
    }.get(layout, (0.45, 0.13, 0.17, 0.1, 0.15))
    look = LOOKS[rng.choice(len(LOOKS), p=chances)]
    labels = draw_labels(rng, size, layout)
    image = render(rng, labels, look)
    return Sample(stretch(image), labels, "synthetic", look, f"synthetic/{seed}", f"s/{seed}")
