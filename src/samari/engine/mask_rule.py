"""What a model promises about its masks, and how the engine holds it to that.

The published models draw where they see fit: beyond a box, because many are drawn sloppily, and in
several pieces. A small model knows less well where its object ends. It may ask in its
``config.json`` that nothing is drawn farther outside a box than a share of the box's sides
(``"samari": {"box_margin": 0.05}``), and nothing that hangs together with no prompt
(``"samari": {"connected": true}``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from samari.engine.masks import boxed
from samari.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samari.engine.masks import Box
    from samari.engine.prompts import PlanePrompts
    from samari.sam import SamConfig


@dataclass(frozen=True)
class MaskRule:
    """Where a mask may be, given its prompts.

    Attributes
    ----------
    margin : float or None
        How far it may reach beyond its box: share of the box's height above and below, of its width
        left and right; None: any distance.
    connected : bool
        Whether it consists of the parts with a positive point and, if there is a box, the largest
        part in the box, with points or without.
    """

    margin: float | None = None
    connected: bool = False

    @classmethod
    def of(cls, config: SamConfig) -> MaskRule:
        """Read the rule of a model from its configuration.

        Raises
        ------
        ModelError
            If ``samari.box_margin`` is neither absent, null nor a number from 0 on, or
            ``samari.connected`` is not a boolean.
        """
        own = config.extra.get("samari", {})
        connected = own.get("connected", False)
        if not isinstance(connected, bool):
            raise ModelError(
                f'"samari.connected" in config.json must be a boolean, got {connected!r}'
            )
        margin = own.get("box_margin")
        number = isinstance(margin, int | float) and not isinstance(margin, bool)
        if margin is not None and not (number and 0 <= margin < math.inf):
            raise ModelError(
                f'"samari.box_margin" in config.json must be a number from 0 on, got {margin!r}'
            )
        return cls(margin, connected)

    def keep_parts(
        self,
        logits: NDArray[np.float32],
        points: NDArray[np.float64],
        labels: tuple[int, ...],
        box: NDArray[np.float64] | None,
        stride: float,
    ) -> None:
        """Empty the parts of the masks that hang together with no prompt.

        Parts are those of the logits, joined by edges. A positive point beside every part counts
        for the nearest one.

        Parameters
        ----------
        logits : ndarray of float32, shape (n, 4 h, 4 w)
            Changed in place.
        points : ndarray of float, shape (k, 2)
            (x, y) in pixels of the frame.
        labels : tuple of int
            1 or 0 for every point.
        box : ndarray of float or None, shape (4,)
            (x0, y0, x1, y1) in pixels of the frame: the largest part inside it is kept too.
        stride : float
            Pixels of the frame a logit.
        """
        if not self.connected:
            return
        positive = points[np.array(labels, dtype=bool)]
        # The centre of the first logit lies half a stride from the frame's edge.
        cells = np.rint((positive[:, ::-1] + 0.5) / stride - 0.5).astype(int)
        cells = np.clip(cells, 0, np.array(logits.shape[1:]) - 1)
        for plane in logits:
            inside = plane > 0
            rows, cols = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
            if not len(rows):
                continue
            # Most masks are small: only where there is one are its parts looked for.
            top, left = int(rows[0]), int(cols[0])
            window = plane[top : rows[-1] + 1, left : cols[-1] + 1]
            parts, count = ndimage.label(inside[top : rows[-1] + 1, left : cols[-1] + 1])
            if count < 2:
                continue
            kept = np.zeros(count + 1, bool)
            kept[[0, *(_part_at(parts, row - top, col - left) for row, col in cells)]] = True
            if box is not None:
                kept[_largest(parts, (box + 0.5) / stride, (top, left))] = True
            # As far below 0 as they were above: the edges of what stays hardly move.
            gone = ~kept[parts]
            window[gone] = -window[gone]

    def cut(
        self,
        masks: list[NDArray[np.bool_]],
        boxes: list[Box | None],
        prompts: PlanePrompts,
        shape: tuple[int, int],
    ) -> tuple[list[NDArray[np.bool_]], list[Box | None]]:
        """Empty masks beyond the box, unless a positive point or the mask prompt lies there too.

        Parameters
        ----------
        masks, boxes : lists
            As `masks_of` gives them.
        prompts : PlanePrompts
            What was asked.
        shape : (int, int)
            Rows and columns of the plane.

        Returns
        -------
        masks, boxes : lists
            What is left of each.
        """
        limits = self._limits(prompts, shape)
        if limits is None:
            return masks, boxes
        kept = [_within(mask, box, limits) for mask, box in zip(masks, boxes, strict=True)]
        return [mask for mask, _ in kept], [box for _, box in kept]

    def _limits(self, prompts: PlanePrompts, shape: tuple[int, ...]) -> Box | None:
        """Return the pixels (half-open) that a mask may have; None if there is no limit."""
        if self.margin is None or prompts.box is None or prompts.mask is not None:
            return None
        y0, x0, y1, x1 = prompts.box
        y0, y1, x0, x1 = min(y0, y1), max(y0, y1), min(x0, x1), max(x0, x1)
        high, wide = self.margin * (y1 - y0), self.margin * (x1 - x0)
        y0, x0, y1, x1 = y0 - high, x0 - wide, y1 + high, x1 + wide
        for (y, x), label in zip(prompts.points, prompts.labels, strict=True):
            if label and not (y0 <= y <= y1 and x0 <= x <= x1):
                return None  # the user says that the object goes on outside
        # A pixel belongs to the box if its centre does.
        top, left = max(0, math.ceil(y0)), max(0, math.ceil(x0))
        return top, left, min(shape[0], math.floor(y1) + 1), min(shape[1], math.floor(x1) + 1)


def _within(
    mask: NDArray[np.bool_], box: Box | None, limits: Box
) -> tuple[NDArray[np.bool_], Box | None]:
    """Return the part of a mask, cut to its box, that lies in another box."""
    if box is None:
        return mask, None
    y0, x0 = max(box[0], limits[0]), max(box[1], limits[1])
    y1, x1 = min(box[2], limits[2]), min(box[3], limits[3])
    if (y0, x0, y1, x1) == box:
        return mask, box
    rows, cols = slice(y0 - box[0], max(y0, y1) - box[0]), slice(x0 - box[1], max(x0, x1) - box[1])
    return boxed(mask[rows, cols], (y0, x0))


def _part_at(parts: NDArray[np.int32], row: int, col: int) -> int:
    """Return the part at a place, which may lie outside, or the one nearest to it."""
    within = 0 <= row < parts.shape[0] and 0 <= col < parts.shape[1]
    if not (within and parts[row, col]):
        rows, cols = np.nonzero(parts)
        nearest = int(np.argmin((rows - row) ** 2 + (cols - col) ** 2))
        row, col = rows[nearest], cols[nearest]
    return int(parts[row, col])


def _largest(parts: NDArray[np.int32], box: NDArray[np.float64], corner: tuple[int, int]) -> int:
    """Return the part with most pixels inside a box (x0, y0, x1, y1); 0 if there is none.

    `corner` is the place (row, column) of the first pixel of the parts.
    """
    x0, y0, x1, y1 = np.rint(np.clip(box, 0, None)).astype(int)
    spans = ((y0, max(y1, y0 + 1)), (x0, max(x1, x0 + 1)))
    rows, cols = (
        slice(max(start - first, 0), max(stop - first, 0))
        for (start, stop), first in zip(spans, corner, strict=True)
    )
    sizes = np.bincount(parts[rows, cols].ravel(), minlength=1)
    sizes[0] = 0
    return int(np.argmax(sizes)) if sizes.any() else 0
