"""What a user painted on a pending mask with a brush: a difference that comes last."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.masks import box_of, boxed
from samari.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samari.engine.masks import Box


@dataclass(frozen=True, eq=False)
class Painting:
    """Pixels that a user added to a mask by hand, and pixels that were taken away. Immutable.

    It is kept as a difference and comes last: if another point or another model changes the answer,
    what was painted still holds. Both masks are boxed to what was painted, so a long history of
    strokes stays small.

    Parameters
    ----------
    corner : (y0, x0)
        Pixel of the plane that the masks begin at.
    added, removed : ndarray of bool, shape (h, w)
        No pixel is in both.

    Raises
    ------
    InputError
        If the masks have no or different shapes, or share a pixel.
    """

    corner: tuple[int, int]
    added: NDArray[np.bool_]
    removed: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Bring the fields into their canonical form: copies, cut to what was painted."""
        added, removed = np.asarray(self.added, bool), np.asarray(self.removed, bool)
        if added.ndim != 2 or added.shape != removed.shape:
            raise InputError(
                f"painted masks of shape {added.shape} and {removed.shape} do not fit together; "
                "both are (h, w)"
            )
        if (added & removed).any():
            raise InputError("a painted pixel is either added or removed, not both")
        y0, x0, y1, x1 = box_of(added | removed) or (0, 0, 0, 0)
        row, col = self.corner
        store = object.__setattr__  # the dataclass is frozen for everybody else
        store(self, "corner", (int(row) + y0, int(col) + x0))
        for name, mask in (("added", added), ("removed", removed)):
            cut = mask[y0:y1, x0:x1].copy()
            cut.setflags(write=False)
            store(self, name, cut)

    @classmethod
    def between(
        cls, before: NDArray[np.bool_], after: NDArray[np.bool_], earlier: Painting | None = None
    ) -> Painting | None:
        """Return what turns one mask (H, W) into another, on top of an earlier painting.

        Parameters
        ----------
        before, after : ndarray of bool, shape (H, W)
            What was on the screen, with the earlier painting, and what shall be.
        earlier : Painting, optional
            Its pixels stay painted unless they were painted over.

        Returns
        -------
        Painting or None
            None if nothing is painted.

        Raises
        ------
        InputError
            If the shapes differ.
        """
        if before.shape != after.shape:
            raise InputError(
                f"the painted mask has shape {after.shape}, the plane {before.shape}; "
                "they must be equal"
            )
        boxes = [box for box in (box_of(before != after), _box(earlier)) if box is not None]
        if not boxes:
            return None
        y0, x0 = (min(box[i] for box in boxes) for i in (0, 1))
        y1, x1 = (max(box[i] for box in boxes) for i in (2, 3))
        before, after = before[y0:y1, x0:x1], after[y0:y1, x0:x1]
        added, removed = np.zeros_like(before), np.zeros_like(before)
        if earlier is not None:
            rows, cols = earlier.slices
            within = (
                slice(rows.start - y0, rows.stop - y0),
                slice(cols.start - x0, cols.stop - x0),
            )
            added[within], removed[within] = earlier.added, earlier.removed
        plus, minus = after & ~before, before & ~after
        added, removed = (added | plus) & ~minus, (removed | minus) & ~plus
        return cls((y0, x0), added, removed)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Where on the plane it lies."""
        (row, col), (rows, cols) = self.corner, self.added.shape
        return slice(row, row + rows), slice(col, col + cols)

    def over(
        self, mask: NDArray[np.bool_], box: Box | None
    ) -> tuple[NDArray[np.bool_], Box | None]:
        """Return what becomes of a mask, cut to its box, under what was painted; cut as well."""
        own = _box(self)
        if own is None:
            return mask, box
        outer = (
            own
            if box is None
            else (
                min(own[0], box[0]),
                min(own[1], box[1]),
                max(own[2], box[2]),
                max(own[3], box[3]),
            )
        )
        painted = np.zeros((outer[2] - outer[0], outer[3] - outer[1]), bool)
        if box is not None:
            painted[_slices(box, outer)] = mask
        block = painted[_slices(own, outer)]
        block |= self.added
        block &= ~self.removed
        return boxed(painted, outer[:2])

    def check_fits(self, shape: tuple[int, int]) -> None:
        """Raise an InputError unless it lies on a plane of H rows and W columns."""
        rows, cols = self.slices
        if min(self.corner) < 0 or rows.stop > shape[0] or cols.stop > shape[1]:
            raise InputError(
                f"the painted part, rows {rows.start} to {rows.stop} and columns {cols.start} to "
                f"{cols.stop}, lies outside the plane of shape {tuple(shape)}"
            )

    @cached_property
    def key(self) -> str:
        """Name of the content, 64 hexadecimal digits."""
        digest = hashlib.sha256(repr((self.corner, self.added.shape)).encode())
        digest.update(np.packbits(self.added).data)
        digest.update(np.packbits(self.removed).data)
        return digest.hexdigest()

    def __eq__(self, other: Any) -> bool:
        """Whether the content is equal."""
        return isinstance(other, Painting) and self.key == other.key

    def __hash__(self) -> int:
        """Hash of the content."""
        return hash(self.key)


def _box(painting: Painting | None) -> Box | None:
    """Return the half-open box (y0, x0, y1, x1) of what was painted."""
    if painting is None:
        return None
    rows, cols = painting.slices
    return rows.start, cols.start, rows.stop, cols.stop


def _slices(inner: Box, outer: Box) -> tuple[slice, slice]:
    """Return where a box lies within another one."""
    return (
        slice(inner[0] - outer[0], inner[2] - outer[0]),
        slice(inner[1] - outer[1], inner[3] - outer[1]),
    )
