"""Masks as they are drawn: a contour around each, cut out of its plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samari.engine.masks import Box
    from samari.engine.prediction import Prediction


@dataclass(frozen=True, eq=False)
class Outline:
    """A part of a plane with a mask in it, and the colors it is drawn in.

    Attributes
    ----------
    corner : (int, int)
        Row and column of the plane at which `mask` begins.
    mask : ndarray of bool, shape (h, w)
    edge : int
        Label of the contour in the preview layer.
    fill : int
        Label of the inside; 0 leaves it as it is.
    """

    corner: tuple[int, int]
    mask: NDArray[np.bool_]
    edge: int
    fill: int

    @property
    def box(self) -> Box:
        """Half-open box (y0, x0, y1, x1) of the part in the plane."""
        (y, x), (h, w) = self.corner, self.mask.shape
        return y, x, y + h, x + w

    @classmethod
    def of(cls, prediction: Prediction, edge: int, fill: int) -> Outline | None:
        """Cut the chosen mask of a prediction out of its plane; None if it is empty."""
        box = prediction.bbox(prediction.chosen)
        if box is None:
            return None
        return cls(box[:2], prediction.crops[prediction.chosen], edge, fill)

    def draw(self, picture: NDArray[np.uint8], origin: tuple[int, int], width: int) -> None:
        """Draw into a picture of the plane's part that begins at `origin` and holds this one."""
        y0, x0, y1, x1 = self.box
        part = picture[y0 - origin[0] : y1 - origin[0], x0 - origin[1] : x1 - origin[1]]
        inside = inner(self.mask, width)
        if self.fill:
            part[inside] = self.fill
        part[self.mask & ~inside] = self.edge


def inner(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Return the pixels that are more than `width` steps up, down, left or right of the outside.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        What lies beyond it is outside.
    width : int
    """
    height, length = mask.shape
    inside = np.zeros((height + 2, length + 2), dtype=bool)
    inside[1:-1, 1:-1] = mask
    for _ in range(width):
        before = inside.copy()
        for beside in (before[:-2, 1:-1], before[2:, 1:-1], before[1:-1, :-2], before[1:-1, 2:]):
            inside[1:-1, 1:-1] &= beside
    return inside[1:-1, 1:-1]
