"""Images to try Samari on: three that come with scikit-image, and a generated stack with truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    LayerData = tuple[Any, dict[str, Any], str]

#: Voxel size of the generated stack, z y x, in micrometres.
STACK_SCALE = (2.0, 0.5, 0.5)
_STACK_SHAPE = (24, 192, 192)
_N_NUCLEI = 28


def nuclei_stack(seed: int = 7) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Generate a fluorescence stack of nuclei whose outlines are known.

    Ellipsoids of different size and brightness, textured, that do not overlap, seen through a blur
    that is stronger along z, with background, shot noise and read noise.

    Parameters
    ----------
    seed : int
        Of all random numbers: the same seed gives the same stack.

    Returns
    -------
    image, labels : ndarray of uint16, shape (24, 192, 192), axes ZYX
        Intensities, and the true objects numbered from 1. The voxel size is `STACK_SCALE`.
    """
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    labels = np.zeros(_STACK_SHAPE, np.uint16)
    light = np.zeros(_STACK_SHAPE, np.float32)
    texture = ndimage.gaussian_filter(rng.standard_normal(_STACK_SHAPE), (0.6, 2, 2))
    texture = (texture / texture.std()).astype(np.float32)
    label = 0
    for _ in range(40 * _N_NUCLEI):
        if label == _N_NUCLEI:
            break
        inside, window = _ellipsoid(rng)
        if (ndimage.binary_dilation(inside, iterations=2) & (labels[window] > 0)).any():
            continue
        label += 1
        labels[window][inside] = label
        brightness = rng.uniform(500, 1500) * (1 + 0.18 * texture[window][inside])
        light[window][inside] = brightness
    light = ndimage.gaussian_filter(light, (0.8, 1.2, 1.2)) + 120
    image = rng.poisson(np.maximum(light, 0)) + rng.normal(0, 8, _STACK_SHAPE)
    return np.clip(np.rint(image), 0, 65535).astype(np.uint16), labels


def _ellipsoid(rng: np.random.Generator) -> tuple[NDArray[np.bool_], tuple[slice, ...]]:
    """Return a random ellipsoid as a mask, and the window of the stack that it lies in."""
    shape = np.array(_STACK_SHAPE)
    radii = rng.uniform((3.0, 10.0, 10.0), (4.5, 17.0, 17.0))
    reach = np.ceil(np.array([radii[0], *2 * [radii[1:].max()]])).astype(int) + 1
    center = rng.uniform(reach * 0.8, shape - 1 - reach * 0.8)
    low = np.maximum(np.floor(center - reach).astype(int), 0)
    high = np.minimum(np.ceil(center + reach).astype(int) + 1, shape)
    z, y, x = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    angle = rng.uniform(0, np.pi)
    dy, dx = y - center[1], x - center[2]
    along, across = dy * np.cos(angle) + dx * np.sin(angle), dx * np.cos(angle) - dy * np.sin(angle)
    distance = ((z - center[0]) / radii[0]) ** 2
    distance = distance + (along / radii[1]) ** 2 + (across / radii[2]) ** 2
    return distance <= 1, tuple(slice(a, b) for a, b in zip(low, high, strict=True))


def cell_sample() -> list[LayerData]:
    """Return the phase image of a single cell."""
    from skimage.data import cell

    return [(cell(), {"name": "cell"}, "image")]


def coins_sample() -> list[LayerData]:
    """Return the Greek coins: two dozen round objects on an uneven background."""
    from skimage.data import coins

    return [(coins(), {"name": "coins"}, "image")]


def ihc_sample() -> list[LayerData]:
    """Return an immunohistochemically stained tissue section, in colour."""
    from skimage.data import immunohistochemistry

    return [(immunohistochemistry(), {"name": "ihc", "rgb": True}, "image")]


def nuclei_sample() -> list[LayerData]:
    """Return the generated stack of nuclei and, hidden, its truth."""
    image, labels = nuclei_stack()
    place = {
        "scale": STACK_SCALE,
        "units": ("micrometer",) * 3,
        "axis_labels": ("z", "y", "x"),
    }
    return [
        (image, {"name": "nuclei", **place}, "image"),
        (labels, {"name": "nuclei truth", "visible": False, **place}, "labels"),
    ]
