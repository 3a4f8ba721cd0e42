"""The coarser levels of a multiscale image, from which large parts of a plane are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.axes import as_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samari.engine.planes import ImagePlanes, PlaneIndex


@dataclass(frozen=True, eq=False)
class Level:
    """An image in fewer voxels: by which whole factor along each label axis."""

    image: Any
    factors: dict[str, int]

    @classmethod
    def of(cls, image: Any, finest: Any, planes: ImagePlanes) -> Level | None:
        """Return a level; None if it is not the same image in fewer voxels."""
        image = as_array(image)
        colours = finest.shape[len(planes.axes) :]
        if image.ndim != finest.ndim or image.shape[len(planes.axes) :] != colours:
            return None
        if np.dtype(image.dtype) != np.dtype(finest.dtype) or 0 in image.shape:
            return None
        factors = {
            letter: round(fine / coarse)
            for letter, fine, coarse in zip(planes.axes, finest.shape, image.shape, strict=False)
        }
        # Levels are rounded up or down where a length is no multiple.
        fits = all(
            factor >= 1 and abs(fine / factor - coarse) < 1
            for factor, fine, coarse in zip(
                factors.values(), finest.shape, image.shape, strict=False
            )
        )
        return cls(image, factors) if fits and factors.get("C", 1) == 1 else None

    def reduction(self, view: str) -> int:
        """Return the factor along both axes of a view; 1 if they differ: then it is of no use."""
        rows, cols = (self.factors[letter] for letter in view)
        return rows if rows == cols else 1

    def read(
        self, planes: ImagePlanes, plane: PlaneIndex, rows: slice, cols: slice
    ) -> NDArray[Any]:
        """Read what covers `rows` and `cols` of a plane, both in pixels of the finest level."""
        factor = self.reduction(plane.view)
        position: dict[str, int | slice] = {}
        finest = planes.label_slices(plane, rows, cols)
        for letter, length, where in zip(
            planes.label_axes, planes.label_shape, finest, strict=True
        ):
            count = self.image.shape[planes.axes.index(letter)]
            if isinstance(where, slice):
                start, stop, _ = where.indices(length)
                first = min(start // factor, count - 1)
                position[letter] = slice(first, max(first + 1, min(count, -(-stop // factor))))
            else:
                position[letter] = min(where // self.factors[letter], count - 1)
        if planes.channel is not None:
            position["C"] = planes.channel
        return np.asarray(self.image[tuple(position[letter] for letter in planes.axes)])
