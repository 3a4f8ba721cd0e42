"""Looks of synthetic pictures: what a kind of microscope makes of a layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from samari.train.synthetic_noise import smooth_noise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Scene:
    """What there is to be seen, pixel by pixel.

    Attributes
    ----------
    mask, edge : ndarray of bool, shape (S, S)
        Objects; their outlines.
    body : ndarray of float32, shape (S, S)
        Brightness of each object, around 1; 0 outside.
    depth : ndarray of float32, shape (S, S)
        0 at the outline of an object, 1 in its middle.
    parts : ndarray of float32, shape (S, S)
        1 in the parts of objects (nuclei), with soft edges.
    texture : ndarray of float32, shape (S, S)
    grain : float
        How much of the texture is seen.
    """

    mask: NDArray[np.bool_]
    edge: NDArray[np.bool_]
    body: Floats
    depth: Floats
    parts: Floats
    texture: Floats
    grain: float

    @classmethod
    def of(
        cls,
        rng: np.random.Generator,
        labels: NDArray[np.int32],
        parts: NDArray[np.int32] | None,
    ) -> _Scene:
        edge = ndimage.grey_dilation(labels, size=3) != ndimage.grey_erosion(labels, size=3)
        level = np.exp(rng.normal(0, rng.uniform(0.05, 0.45), int(labels.max()) + 1))
        level[0] = 0
        inner = np.zeros(labels.shape, np.float32)
        if parts is not None:
            inner = ndimage.gaussian_filter((parts > 0).astype(np.float32), rng.uniform(0.3, 1.0))
        return cls(
            labels > 0,
            edge,
            level.astype(np.float32)[labels],
            _depth(labels),
            inner,
            smooth_noise(rng, labels.shape[0], rng.uniform(1.0, 6.0)),
            rng.uniform(0.0, 0.3),
        )


def _depth(labels: NDArray[np.int32]) -> Floats:
    edge = labels != ndimage.grey_erosion(labels, size=3, mode="nearest")
    depth = ndimage.distance_transform_edt((labels > 0) & ~edge).astype(np.float32)
    deepest = np.zeros(labels.max() + 1, np.float32)
    np.maximum.at(deepest, labels.ravel(), depth.ravel())
    found: Floats = depth / np.maximum(deepest[labels], 1)
    return found


def _fluorescence(rng: np.random.Generator, scene: _Scene) -> Any:
    shade = 1 - rng.uniform(0, 0.6) * (1 - scene.depth)
    picture = scene.body * (1 + scene.grain * scene.texture) * shade
    if rng.random() < 0.3:
        picture = picture * (1 + rng.uniform(-0.9, 1.0) * (scene.depth > rng.uniform(0.4, 0.7)))
    # Nuclei take up a dye, or are what the dye of the cell leaves out.
    return picture * (1 + rng.choice([-0.8, 1.0, 2.0]) * rng.uniform(0.5, 1) * scene.parts)


def _membrane(rng: np.random.Generator, scene: _Scene) -> Any:
    rim = ndimage.gaussian_filter(scene.edge.astype(np.float32), rng.uniform(0.6, 1.8))
    filled = scene.body * (1 + scene.grain * scene.texture)
    picture = rim / (rim.max() + 1e-6) + rng.uniform(0, 0.4) * filled
    return picture + rng.uniform(0.3, 1) * scene.parts


def _phase(rng: np.random.Generator, scene: _Scene) -> Any:
    near = ndimage.gaussian_filter(scene.mask.astype(np.float32), rng.uniform(1, 2.5))
    far = ndimage.gaussian_filter(scene.mask.astype(np.float32), rng.uniform(3, 7))
    picture = rng.uniform(0.5, 1.5) * (far - near) + rng.uniform(0, 0.4) * scene.texture * near
    picture = picture + rng.uniform(0.0, 0.5) * (scene.edge & scene.mask)
    return picture + rng.uniform(-0.3, 0.3) * scene.parts


def _dic(rng: np.random.Generator, scene: _Scene) -> Any:
    # Light from one side on a relief: a cell is a bump, bright on one flank and dark on the other.
    height = ndimage.gaussian_filter(np.sqrt(scene.depth) * scene.body, rng.uniform(0.7, 2.0))
    height = height + rng.uniform(0, 0.12) * scene.texture * scene.mask + 0.5 * scene.parts
    turn = rng.uniform(0, 2 * np.pi)
    return np.cos(turn) * np.gradient(height, axis=0) + np.sin(turn) * np.gradient(height, axis=1)


def _dark(rng: np.random.Generator, scene: _Scene) -> Any:
    inner = 1 + scene.grain * scene.texture + 0.3 * (scene.body - 1) * scene.mask
    lines = ndimage.gaussian_filter(
        (scene.edge | ~scene.mask).astype(np.float32), rng.uniform(0.3, 1.2)
    )
    picture = inner - rng.uniform(0.3, 0.9) * lines
    if rng.random() < 0.5:
        dots = smooth_noise(rng, len(inner), rng.uniform(1.5, 4.0)) > rng.uniform(1.2, 2.2)
        picture = picture - rng.uniform(0.1, 0.6) * (dots & scene.mask)
    return picture - rng.uniform(0.15, 0.5) * scene.parts


def _stained(rng: np.random.Generator, scene: _Scene) -> Any:
    picture = scene.body * (1 + scene.grain * scene.texture) * (0.7 + 0.3 * scene.depth)
    # Pale cells around dark nuclei, where there are nuclei.
    pale = 1 - 0.7 * float(scene.parts.max() > 0.5)
    return picture * (pale + (1.3 - pale) * scene.parts)


_DRAW: dict[str, Callable[[np.random.Generator, _Scene], Any]] = {
    "fluorescence": _fluorescence,
    "membrane": _membrane,
    "phase": _phase,
    "dark": _dark,
    "stain": _stained,
    "dic": _dic,
}
LOOKS = tuple(_DRAW)


def render(
    rng: np.random.Generator,
    labels: NDArray[np.int32],
    look: str,
    parts: NDArray[np.int32] | None = None,
) -> NDArray[Any]:
    """Give a layout the look of a microscope.

    Parameters
    ----------
    rng : numpy.random.Generator
    labels : ndarray of int32, shape (S, S)
    look : str
        One of `LOOKS`.
    parts : ndarray of int32, shape (S, S), optional
        Parts of the objects (nuclei in cells) that are to be seen.

    Returns
    -------
    ndarray, shape (S, S) uint8 or uint16, or (S, S, 3) uint8 for ``stain``
    """
    size = labels.shape[0]
    picture = _DRAW[look](rng, _Scene.of(rng, labels, parts))
    uneven = rng.uniform(0.0, 0.35) * (0.15 if look == "dic" else 1)
    picture = picture + uneven * smooth_noise(rng, size, rng.uniform(20, 90))
    if rng.random() < 0.35:
        # Unlabelled clutter of another size: not everything that is seen is an object.
        clutter = smooth_noise(rng, size, rng.uniform(1.0, 5.0)) > rng.uniform(1.8, 2.8)
        strength = rng.uniform(-0.4, 0.4) * (0.25 if look == "dic" else 1)
        picture = picture + strength * clutter
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
