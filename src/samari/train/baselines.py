"""What a prompt gives without any model: the marks that a model has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

Box = tuple[float, float, float, float]


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
