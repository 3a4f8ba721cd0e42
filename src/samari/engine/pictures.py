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

    def read(self, rows: slice, cols: slice, coarsest: int = 1) -> NDArray[np.uint8]:
        """Return a part of the plane, (h, w, 3) uint8.

        Where the plane is also there in fewer pixels, those may be given instead, if they are
        reduced by no more than `coarsest`.
        """

    def reduction(self, coarsest: int) -> int:
        """Return by how much the pixels are reduced that `read` gives."""


@dataclass(frozen=True, eq=False)
class ArrayPicture:
    """A picture in memory: (H, W, 3) uint8."""

    rgb: NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rgb.shape[0], self.rgb.shape[1]

    def read(self, rows: slice, cols: slice, coarsest: int = 1) -> NDArray[np.uint8]:
        """Return a part."""
        return self.rgb[rows, cols]

    def reduction(self, coarsest: int) -> int:
        """Return 1."""
        return 1


@dataclass(frozen=True, eq=False)
class PlanePicture:
    """A plane of an image, in the contrast limits of its stack."""

    planes: ImagePlanes
    plane: PlaneIndex

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.planes.shape_of(self.plane.view)

    def read(self, rows: slice, cols: slice, coarsest: int = 1) -> NDArray[np.uint8]:
        """Read a part from the image, or from a coarser level of it."""
        return self.planes.rgb_plane(self.plane, rows, cols, coarsest)

    def reduction(self, coarsest: int) -> int:
        """Return by how much that level is reduced."""
        return self.planes.reduction(self.plane.view, coarsest)


def read_tile(picture: Picture, tile: Tile) -> NDArray[np.uint8]:
    """Return the pixels of a tile, (h, w, 3) uint8.

    Tiles of the coarse levels are reduced while they are read, to no less than twice what the
    model sees of them, so that their memory does not grow with the plane.
    """
    y0, x0, y1, x1 = tile.box
    factor = _reduction(picture, tile)
    if factor == 1:
        return np.ascontiguousarray(picture.read(slice(y0, y1), slice(x0, x1)))
    present = picture.reduction(factor)
    step = max(factor, _AT_ONCE * present**2 // (x1 - x0) // factor * factor)
    strips = [
        _reduced(
            picture.read(slice(row, min(row + step, y1)), slice(x0, x1), factor), factor // present
        )
        for row in range(y0, y1, step)
    ]
    return np.concatenate(strips)


def pixels_read(picture: Picture, tile: Tile) -> int:
    """Return how many pixels `read_tile` reads from the image."""
    height, width = tile.shape
    return height * width // picture.reduction(_reduction(picture, tile)) ** 2


def _reduction(picture: Picture, tile: Tile) -> int:
    """Return by how much the pixels of a tile are reduced before the model's frame does the rest.

    The whole plane is seen reduced by less than 2**level, and by more than half of that.
    """
    return 1 << max(0, tile.level - (2 if tile.shape == picture.shape else 1))


def _reduced(rgb: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return the means of blocks of `factor` x `factor` pixels; those at the end may be smaller."""
    from PIL import Image

    if factor == 1:
        return rgb
    return np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).reduce(factor))
