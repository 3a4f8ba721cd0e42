"""What a prompt gives without any model: the marks that a model has to beat.

The parameters of the click baselines were chosen on the ``train`` split by
`scripts/baseline_parameters.py`, one set for all data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Box = tuple[float, float, float, float]


class ClickBaseline(Protocol):
    """Something that answers a click on an image."""

    def under(self, click: tuple[float, float]) -> NDArray[np.bool_]:
        """Return the mask (H, W) for a click on the pixel (y, x)."""


class OtsuComponents:
    """Connected components of an image on both sides of Otsu's threshold.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (H, W, 3)
    """

    def __init__(self, rgb: NDArray[np.uint8]) -> None:
        from skimage.filters import threshold_otsu

        grey = rgb.mean(axis=2)
        # A flat image has no threshold: everything is one component.
        self._bright = grey > (threshold_otsu(grey) if np.ptp(grey) else grey.min() - 1)
        self._parts = {
            True: ndimage.label(self._bright)[0],
            False: ndimage.label(~self._bright)[0],
        }

    def under(self, click: tuple[float, float]) -> NDArray[np.bool_]:
        """Return the component (H, W) that holds the clicked pixel (y, x)."""
        y, x = int(click[0]), int(click[1])
        parts = self._parts[bool(self._bright[y, x])]
        component: NDArray[np.bool_] = parts == parts[y, x]
        return component


class _Window:
    """A square part of a grey, smoothed image around each click."""

    def __init__(self, rgb: NDArray[np.uint8], sigma: float, radius: int) -> None:
        grey = rgb.mean(axis=2)
        self._grey = ndimage.gaussian_filter(grey, sigma) / 255
        self._radius = radius

    def _cut(
        self, click: tuple[float, float]
    ) -> tuple[tuple[slice, slice], NDArray[np.float64], tuple[int, int]]:
        """Return the window, its pixels and the click in it."""
        y, x = int(click[0]), int(click[1])
        rows, cols = (
            slice(max(0, at - self._radius), min(length, at + self._radius + 1))
            for at, length in zip((y, x), self._grey.shape, strict=True)
        )
        return (rows, cols), self._grey[rows, cols], (y - rows.start, x - cols.start)

    def _placed(self, window: tuple[slice, slice], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        plane = np.zeros(self._grey.shape, bool)
        plane[window] = mask
        return plane

    @staticmethod
    def _seeds(shape: tuple[int, ...], click: tuple[int, int]) -> NDArray[np.int32]:
        """Return 1 around the click, 2 on the window's border, 0 elsewhere."""
        seeds = np.zeros(shape, np.int32)
        seeds[[0, -1]] = seeds[:, [0, -1]] = 2
        y, x = click
        seeds[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = 1
        return seeds


class SeededWatershed(_Window):
    """Watershed of the gradient, seeded at the click and on a square around it.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (H, W, 3)
    sigma : float
        Of the Gaussian filter, in pixels.
    radius : int
        Half the side of the square, in pixels.
    """

    def __init__(self, rgb: NDArray[np.uint8], sigma: float = 1.0, radius: int = 40) -> None:
        super().__init__(rgb, sigma, radius)

    def under(self, click: tuple[float, float]) -> NDArray[np.bool_]:
        """Return the basin (H, W) of the clicked pixel (y, x)."""
        from skimage.filters import sobel
        from skimage.segmentation import watershed

        window, grey, at = self._cut(click)
        return self._placed(window, watershed(sobel(grey), self._seeds(grey.shape, at)) == 1)


class RandomWalker(_Window):
    """Random walker (Grady 2006), seeded at the click and on a square around it.

    Parameters
    ----------
    rgb, sigma, radius
        As for `SeededWatershed`.
    beta : float
        How hard it is to cross an edge; see `skimage.segmentation.random_walker`.
    """

    def __init__(
        self, rgb: NDArray[np.uint8], sigma: float = 1.0, radius: int = 24, beta: float = 5000.0
    ) -> None:
        super().__init__(rgb, sigma, radius)
        self._beta = beta

    def under(self, click: tuple[float, float]) -> NDArray[np.bool_]:
        """Return the pixels (H, W) from which a walker reaches the click (y, x) first."""
        from skimage.segmentation import random_walker

        window, grey, at = self._cut(click)
        seeds = self._seeds(grey.shape, at)
        if not (seeds == 0).any():
            return self._placed(window, seeds == 1)
        found = random_walker(grey, seeds, beta=self._beta, mode="cg_j", tol=1e-4, prob_tol=0.1)
        return self._placed(window, found == 1)


class LocalFlood(_Window):
    """What hangs together with the click and is about as bright as it.

    Parameters
    ----------
    rgb, sigma, radius
        As for `SeededWatershed`.
    tolerance : float
        Largest difference to the clicked pixel, as a share of the contrast (standard deviation) of
        the square around it.
    """

    def __init__(
        self,
        rgb: NDArray[np.uint8],
        sigma: float = 1.0,
        radius: int = 16,
        tolerance: float = 1.5,
    ) -> None:
        super().__init__(rgb, sigma, radius)
        self._tolerance = tolerance

    def under(self, click: tuple[float, float]) -> NDArray[np.bool_]:
        """Return the pixels (H, W) that the flood from the click (y, x) reaches."""
        from skimage.segmentation import flood

        window, grey, at = self._cut(click)
        return self._placed(window, flood(grey, at, tolerance=self._tolerance * float(grey.std())))


#: What answers a click, by the name in the tables.
CLICK_BASELINES: dict[str, Callable[[NDArray[np.uint8]], ClickBaseline]] = {
    "otsu": OtsuComponents,
    "watershed": SeededWatershed,
    "walker": RandomWalker,
    "flood": LocalFlood,
}


def filled_box(box: Box, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels (H, W) whose centres lie in the box (y0, x0, y1, x1)."""
    rows, cols = np.arange(shape[0])[:, None], np.arange(shape[1])[None]
    return (rows >= box[0]) & (rows <= box[2]) & (cols >= box[1]) & (cols <= box[3])


def inscribed_ellipse(box: Box, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels (H, W) whose centres lie in the ellipse that touches the box's sides."""
    rows, cols = np.arange(shape[0])[:, None], np.arange(shape[1])[None]
    y0, x0, y1, x1 = box
    dy = (rows - (y0 + y1) / 2) / max((y1 - y0) / 2, 0.5)
    dx = (cols - (x0 + x1) / 2) / max((x1 - x0) / 2, 0.5)
    ellipse: NDArray[np.bool_] = dy**2 + dx**2 <= 1
    return ellipse
