"""One object's pixels on one plane, kept as the mask of its bounding box."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from samari.engine.masks import box_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samari.engine.masks import Box

#: Neighbours of a pixel, itself and its diagonals included.
_TOUCHING = np.ones((3, 3), bool)
#: What is close around a region begins beyond so many pixels, and ends with so many.
_NEXT, _CLOSE = 1, 3


class Contrast(NamedTuple):
    """How a region differs from what is close around it.

    Attributes
    ----------
    difference : float
        Of the mean grey levels; positive if the region is brighter.
    distinctness : float
        The size of the difference in standard deviations of the grey levels, inside and around.
    """

    difference: float
    distinctness: float


@dataclass(frozen=True, eq=False)
class Region:
    """A mask that is not empty, cut to its bounding box.

    Attributes
    ----------
    box : (y0, x0, y1, x1)
        Half-open, in pixels of the plane.
    mask : ndarray of bool, shape (y1 - y0, x1 - x0)
        True somewhere along each edge.
    spacing : (float, float)
        Height and width of a pixel, for distances: planes across a stack have flat pixels.
    """

    box: Box
    mask: NDArray[np.bool_]
    spacing: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def of(
        cls,
        mask: NDArray[np.bool_],
        corner: tuple[int, int] = (0, 0),
        spacing: tuple[float, float] = (1.0, 1.0),
    ) -> Region | None:
        """Cut a mask, whose first pixel is `corner` of the plane; None if it is empty."""
        box = box_of(mask)
        if box is None:
            return None
        y0, x0, y1, x1 = box
        dy, dx = corner
        return cls((y0 + dy, x0 + dx, y1 + dy, x1 + dx), mask[y0:y1, x0:x1].copy(), spacing)

    @cached_property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def interior(self) -> tuple[float, float]:
        """The pixel (row, column) farthest from the outline."""
        from scipy.ndimage import distance_transform_edt

        depth = distance_transform_edt(np.pad(self.mask, 1), sampling=self.spacing)
        row, col = np.unravel_index(int(np.argmax(depth)), depth.shape)
        return float(row - 1 + self.box[0]), float(col - 1 + self.box[1])

    def grown_box(self, share: float) -> tuple[float, float, float, float]:
        """Return the box around the pixels' edges, each side moved out by a share of its length."""
        y0, x0, y1, x1 = self.box
        dy, dx = share * (y1 - y0), share * (x1 - x0)
        return y0 - 0.5 - dy, x0 - 0.5 - dx, y1 - 0.5 + dy, x1 - 0.5 + dx

    def moved(self, rows: int, cols: int) -> Region:
        """Return the same pixels, so many rows and columns away."""
        y0, x0, y1, x1 = self.box
        return replace(self, box=(y0 + rows, x0 + cols, y1 + rows, x1 + cols))

    def on(self, box: Box) -> NDArray[np.bool_]:
        """Return the pixels in another box, as a mask of that box."""
        y0, x0, y1, x1 = box
        found = np.zeros((y1 - y0, x1 - x0), bool)
        top, left = max(y0, self.box[0]), max(x0, self.box[1])
        bottom, right = min(y1, self.box[2]), min(x1, self.box[3])
        if top < bottom and left < right:
            found[top - y0 : bottom - y0, left - x0 : right - x0] = self.mask[
                top - self.box[0] : bottom - self.box[0], left - self.box[1] : right - self.box[1]
            ]
        return found

    def overlap(self, other: Region) -> float:
        """Return intersection over union with another region."""
        common = int(np.count_nonzero(other.on(self.box) & self.mask))
        return common / (self.area + other.area - common)

    def contrast(self, grey: NDArray[np.uint8]) -> Contrast:
        """Compare the pixels with those close around them: up to three from the region, not next.

        Of pixels that are not square, the shorter side counts, and along the other it is as far.

        Parameters
        ----------
        grey : ndarray of uint8, shape (H, W)
            The plane.
        """
        from scipy.ndimage import binary_dilation

        y0, x0, y1, x1 = self.box
        rows, cols = grey.shape
        finest = min(self.spacing)
        next_y, next_x = (round(_NEXT * finest / side) for side in self.spacing)
        far_y, far_x = (max(1, round(_CLOSE * finest / side)) for side in self.spacing)
        box = (
            max(y0 - far_y, 0),
            max(x0 - far_x, 0),
            min(y1 + far_y, rows),
            min(x1 + far_x, cols),
        )
        within = self.on(box)
        edge = binary_dilation(within, np.ones((2 * next_y + 1, 2 * next_x + 1), bool))
        around = binary_dilation(within, np.ones((2 * far_y + 1, 2 * far_x + 1), bool)) & ~edge
        if not around.any():
            return Contrast(0.0, 0.0)
        values = grey[box[0] : box[2], box[1] : box[3]].astype(np.float64)
        inner, outer = values[within], values[around]
        difference = float(inner.mean() - outer.mean())
        spread = float(np.sqrt((inner.var() + outer.var()) / 2))
        # Less than a grey level of spread is rounding.
        return Contrast(difference, abs(difference) / max(spread, 1.0))

    def connected_to(self, other: Region) -> Region | None:
        """Return the parts that touch a region of the next plane, also by a corner.

        None if there are none. Two voxels touch if they share a face, an edge or a corner. Pixels
        are as large as those of the other region.
        """
        from scipy.ndimage import binary_dilation, label

        near = binary_dilation(np.pad(other.mask, 1), _TOUCHING)
        y0, x0, y1, x1 = other.box
        around = Region((y0 - 1, x0 - 1, y1 + 1, x1 + 1), near).on(self.box) & self.mask
        if not around.any():
            return None
        parts, count = label(self.mask, _TOUCHING)
        if count == 1:
            return replace(self, spacing=other.spacing)
        kept = np.unique(parts[around])
        return Region.of(np.isin(parts, kept), self.box[:2], other.spacing)

    def without(self, taken: NDArray[np.bool_]) -> Region | None:
        """Return the pixels that a mask of this region's box does not hold; None if none."""
        if not taken.any():
            return self
        return Region.of(self.mask & ~taken, self.box[:2], self.spacing)
