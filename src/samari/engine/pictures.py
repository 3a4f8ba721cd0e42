"""Planes as the network sees them, read in parts: only what is encoded is ever in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samari.engine.planes import ImagePlanes, PlaneIndex
    from samari.engine.tiles import Tile

#: Pixels of a plane that are read at a time where more are averaged.
_AT_ONCE = 2**24


class Picture(Protocol):
    """A plane in RGB that can be read in parts."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns H, W of the plane."""

    def read(self, rows: slice, cols: slice) -> NDArray[np.uint8]:
        """Return a part of the plane, (h, w, 3) uint8."""


@dataclass(frozen=True, eq=False)
class ArrayPicture:
    """A picture in memory: (H, W, 3) uint8."""

    rgb: NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rgb.shape[0], self.rgb.shape[1]

    def read(self, rows: slice, cols: slice) -> NDArray[np.uint8]:
        """Return a part."""
        return self.rgb[rows, cols]


@dataclass(frozen=True, eq=False)
class PlanePicture:
    """A plane of an image, in the contrast limits of its stack."""

    planes: ImagePlanes
    plane: PlaneIndex

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.planes.shape_of(self.plane.view)

    def read(self, rows: slice, cols: slice) -> NDArray[np.uint8]:
        """Read a part from the image."""
        return self.planes.rgb_plane(self.plane, rows, cols)


def read_tile(picture: Picture, tile: Tile) -> NDArray[np.uint8]:
    """Return the pixels of a tile, (h, w, 3) uint8.

    Tiles of the coarse levels are reduced while they are read, to no less than twice what the
    model sees of them, so that their memory does not grow with the plane.
    """
    y0, x0, y1, x1 = tile.box
    # The whole plane is reduced by less than 2**level, and by more than half of it.
    factor = 1 << max(0, tile.level - (2 if tile.shape == picture.shape else 1))
    if factor == 1:
        return np.ascontiguousarray(picture.read(slice(y0, y1), slice(x0, x1)))
    step = max(factor, _AT_ONCE // (x1 - x0) // factor * factor)
    strips = [
        _reduced(picture.read(slice(row, min(row + step, y1)), slice(x0, x1)), factor)
        for row in range(y0, y1, step)
    ]
    return np.concatenate(strips)


def _reduced(rgb: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return the means of blocks of `factor` x `factor` pixels; those at the end may be smaller."""
    from PIL import Image

    return np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).reduce(factor))
