"""Mask logits of the model to masks of the plane, and masks of the plane to mask prompts.

Logits come at a quarter of the frame's pixels. They are resized to the padded frame, the padding is
cut off, the rest is resized to the plane, and only then compared with 0 (Kirillov et al., "Segment
Anything", 2023, as released). Both resizes are linear along each axis, so each pixel is a
weighted sum of few logits along each axis. Only the pixels around an object are computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samari.engine.frames import Frame

Box = tuple[int, int, int, int]
#: Indices (n,) into the values along an axis with their weights (n,), one pair for every tap.
Taps = list[tuple["NDArray[np.intp]", "NDArray[np.float32]"]]

#: A logit of this size is "certainly": what a mask prompt of a user's mask is filled with. The
#: sigmoid of it is 0.999.
CERTAIN = 6.9
#: Logit of a mask that the model was not asked for: empty without a doubt.
EMPTY_LOGIT = -20.0
#: Pixels of a plane that are drawn at a time.
_STRIP = 2**15


def masks_of(
    logits: NDArray[np.float32], frame: Frame
) -> tuple[list[NDArray[np.bool_]], list[Box | None]]:
    """Resize mask logits to the plane, compare them with 0, and cut each mask out.

    Only the pixels that can exceed 0 are computed: those whose weights reach a positive logit. The
    result is that of both resizes in full, but for rounding where a value is 0 within float32.

    Parameters
    ----------
    logits : ndarray of float32, shape (n, 4 h, 4 w)
        Of `frame.logits_shape`.
    frame : Frame
        How the plane lies in the model's frame.

    Returns
    -------
    masks : list of ndarray of bool, shape (y1 - y0, x1 - x0)
        Each cut to its box; `pasted` makes planes of them.
    boxes : list of (y0, x0, y1, x1) or None
        Of each mask the box that holds it, half-open, in pixels of the plane; None if it is empty.
    """
    axes = [_AxisResize(frame, axis) for axis in (0, 1)]
    cut = [_drawn(plane, axes) for plane in logits]
    return [mask for mask, _ in cut], [box for _, box in cut]


def pasted(mask: NDArray[np.bool_], box: Box | None, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the plane (H, W) of a mask that is cut to its box; the inverse of `boxed`."""
    plane = np.zeros(shape, dtype=bool)
    if box is not None:
        plane[box[0] : box[2], box[1] : box[3]] = mask
    return plane


def boxed(
    mask: NDArray[np.bool_], corner: tuple[int, int] = (0, 0)
) -> tuple[NDArray[np.bool_], Box | None]:
    """Cut a mask, whose first pixel is `corner` of the plane, to the box that holds it."""
    inner = box_of(mask)
    if inner is None:
        return np.zeros((0, 0), dtype=bool), None
    y0, x0, y1, x1 = inner
    row, col = corner
    return mask[y0:y1, x0:x1].copy(), (y0 + row, x0 + col, y1 + row, x1 + col)


def _drawn(
    logits: NDArray[np.float32], axes: list[_AxisResize]
) -> tuple[NDArray[np.bool_], Box | None]:
    """Return one mask, cut to its box."""
    positive = logits > 0
    spans = []
    for axis, resize in enumerate(axes):
        seen = np.flatnonzero(positive.any(axis=1 - axis))
        span = resize.reach(seen[0], seen[-1]) if len(seen) else None
        if span is None:
            return np.zeros((0, 0), dtype=bool), None
        spans.append(span)
    (y0, y1), (x0, x1) = spans
    taps_y, along_y = axes[0].weights(y0, y1)
    taps_x, along_x = axes[1].weights(x0, x1)
    wide = np.ascontiguousarray(_mixed(logits[taps_y, taps_x].T, along_x).T)
    mask = np.empty((y1 - y0, x1 - x0), dtype=bool)
    # Rows of pixels in strips: temporaries that stay in the processor's cache.
    strip = max(1, _STRIP // (x1 - x0))
    for row in range(0, y1 - y0, strip):
        part = _mixed(wide, [(at[row : row + strip], w[row : row + strip]) for at, w in along_y])
        np.greater(part, 0, out=mask[row : row + len(part)])
    return boxed(mask, (y0, x0))


def box_of(mask: NDArray[np.bool_]) -> Box | None:
    """Return the half-open box (y0, x0, y1, x1) of the pixels of a mask (H, W); None if empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    cols = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1


class _AxisResize:
    """Both resizes along one axis of a frame: logits -> padded frame -> cut -> plane."""

    def __init__(self, frame: Frame, axis: int) -> None:
        plane, inner = frame.plane_shape[axis], frame.input_shape[axis]
        self._low, self._high, self._weight = _lerp(inner, plane)
        self._first = _lerp(frame.logits_shape[axis], frame.padded_shape[axis])
        low, high, _ = self._first
        # The logits that each pixel of the plane may take from; both rise with the pixel.
        self._lowest, self._highest = low[self._low], high[self._high]

    def reach(self, first: int, last: int) -> tuple[int, int] | None:
        """Return the half-open range of pixels that take from logits `first` to `last`."""
        start = int(np.searchsorted(self._highest, first, side="left"))
        stop = int(np.searchsorted(self._lowest, last, side="right"))
        return (start, stop) if start < stop else None

    def weights(self, start: int, stop: int) -> tuple[slice, Taps]:
        """Return the logits that pixels `start` to `stop` take from, and their weights.

        Each of the two resizes takes from two neighbours, so a pixel takes from four logits (some
        of them the same); from two where the second resize changes nothing.
        """
        taps = slice(int(self._lowest[start]), int(self._highest[stop - 1]) + 1)
        low, high, weight = self._first
        w = self._weight[start:stop]
        mixed: Taps = []
        for inner, share in ((self._low[start:stop], 1 - w), (self._high[start:stop], w)):
            if share.any():
                mixed.append((low[inner] - taps.start, share * (1 - weight[inner])))
                mixed.append((high[inner] - taps.start, share * weight[inner]))
        return taps, mixed


def _mixed(values: NDArray[np.float32], taps: Taps) -> NDArray[np.float32]:
    """Return weighted sums of the rows of (m, columns) values: (n, columns)."""
    (first, weight), *others = taps
    total = np.take(values, first, axis=0)
    total *= weight[:, None]
    part = np.empty_like(total)
    for rows, weight in others:
        np.take(values, rows, axis=0, out=part, mode="clip")
        part *= weight[:, None]
        total += part
    return total


def _lerp(
    source: int, target: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return lower tap, upper tap and the upper one's weight of every target pixel.

    Pixels cover their index by half a pixel to each side (``align_corners=False``).
    """
    place = (np.arange(target) + 0.5) * (source / target) - 0.5
    place = np.clip(place, 0, source - 1)
    low = np.floor(place).astype(np.intp)
    return low, np.minimum(low + 1, source - 1), (place - low).astype(np.float32)


def mask_prompt(mask: NDArray[np.bool_], frame: Frame) -> NDArray[np.float32]:
    """Turn a mask of the plane into the logits that a model takes as a mask prompt.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    frame : Frame
        How the plane lies in the model's frame.

    Returns
    -------
    ndarray of float32, shape (4 h, 4 w)
        The log-odds of the covered share of each logit's area, at most `CERTAIN` to either side;
        the padding is certainly outside. At least one is positive, however small the mask.
    """
    rows, cols = frame.input_shape
    share = Image.fromarray(mask.astype(np.float32))
    share = share.resize((cols, rows), Image.Resampling.BOX)
    covered = np.zeros(frame.padded_shape, dtype=np.float32)
    covered[:rows, :cols] = np.asarray(share)
    down = Image.fromarray(covered).resize(frame.logits_shape[::-1], Image.Resampling.BOX)
    odds = np.asarray(down, dtype=np.float64)
    if odds.max() < 0.5:
        # Finer than the logits: as it is, the prompt would say that there is nothing.
        odds = odds * (0.75 / odds.max())
    limit = 1 / (1 + np.exp(-CERTAIN))
    odds = np.clip(odds, 1 - limit, limit)
    return np.log(odds / (1 - odds)).astype(np.float32)
