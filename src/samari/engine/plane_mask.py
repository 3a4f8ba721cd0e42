"""A mask of a plane, kept as the part that holds its pixels: small on a plane of any size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.masks import boxed, pasted
from samari.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samari.engine.masks import Box


@dataclass(frozen=True, eq=False)
class PlaneMask:
    """A mask of a plane with at least one pixel. Immutable, hashable, comparable.

    ``numpy.asarray`` makes the whole plane of it, shape (H, W), anew at every call.

    Parameters
    ----------
    crop : array of bool, shape (h, w)
        A part of the plane that holds all pixels; kept as a copy, cut to their bounding box.
        Whole numbers are True unless they are 0.
    corner : (y0, x0)
        Pixel of the plane that `crop` begins at.
    shape : (int, int)
        Rows and columns H, W of the plane.

    Raises
    ------
    InputError
        If `crop` is not such an array, has no pixel set, or has one outside the plane.
    """

    crop: NDArray[np.bool_]
    corner: tuple[int, int]
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        """Bring every field into its canonical form."""
        array = np.asarray(self.crop)
        if array.ndim != 2 or array.dtype.kind not in "bui":
            raise InputError(
                "a mask prompt must be a boolean array of shape (H, W), got "
                f"{array.dtype} of shape {array.shape}"
            )
        row, col = (int(value) for value in self.corner)
        height, width = (int(value) for value in self.shape)
        crop, box = boxed(array, (row, col))
        if box is None:
            raise InputError(f"the mask prompt of shape {(height, width)} has no pixel set")
        if min(box) < 0 or box[2] > height or box[3] > width:
            raise InputError(
                f"the mask prompt in rows {box[0]} to {box[2]} and columns {box[1]} to {box[3]} "
                f"lies outside the plane of shape {(height, width)}"
            )
        crop = crop.astype(bool, copy=False)
        crop.setflags(write=False)
        store = object.__setattr__  # the dataclass is frozen for everybody else
        store(self, "crop", crop)
        store(self, "corner", box[:2])
        store(self, "shape", (height, width))

    @classmethod
    def of(cls, mask: Any) -> PlaneMask:
        """Return a mask of the whole plane, array of bool of shape (H, W), as a `PlaneMask`."""
        if isinstance(mask, PlaneMask):
            return mask
        array = np.asarray(mask)
        return cls(array, (0, 0), array.shape)

    @property
    def box(self) -> Box:
        """The half-open box (y0, x0, y1, x1) of the pixels."""
        (y0, x0), (rows, cols) = self.corner, self.crop.shape
        return y0, x0, y0 + rows, x0 + cols

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """The box (y0, x0, y1, x1) along the outer edges of the pixels, as a box prompt is."""
        y0, x0, y1, x1 = self.box
        return y0 - 0.5, x0 - 0.5, y1 - 0.5, x1 - 0.5

    def within(self, box: Box) -> PlaneMask:
        """Return what lies in a box (y0, x0, y1, x1), half-open, as a mask of that box.

        Raises
        ------
        InputError
            If no pixel does.
        """
        y0, x0, y1, x1 = box
        row, col = self.corner
        top, left = max(y0, row), max(x0, col)
        part = self.crop[top - row : max(y1 - row, 0), left - col : max(x1 - col, 0)]
        return PlaneMask(part, (top - y0, left - x0), (y1 - y0, x1 - x0))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the plane (H, W)."""
        if copy is False:
            raise ValueError("the plane of a mask is made when it is asked for: never without copy")
        return pasted(self.crop, self.box, self.shape).astype(dtype or bool, copy=False)

    @cached_property
    def key(self) -> str:
        """Name of the content, 64 hexadecimal digits: equal for equal masks of equal planes."""
        digest = hashlib.sha256(repr((self.box, self.shape)).encode())
        digest.update(np.packbits(self.crop).data)
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        """Whether the content is equal."""
        return self.key == other.key if isinstance(other, PlaneMask) else NotImplemented

    def __hash__(self) -> int:
        """Hash of the content."""
        return hash(self.key)
