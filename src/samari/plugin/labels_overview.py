"""Labels too large for one layer, in few pixels: what is where, to look at and not to paint on."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from samari.plugin.large_labels import OVERVIEW
from samari.plugin.placement import lay

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from samari.engine.session import Session
    from samari.plugin.source import ImageSource

#: Pixels of the overview along the longer side of a plane, at most.
_SIDE = 2048
#: Pixels of the labels that are read at a time.
_AT_ONCE = 2**18

Box = tuple[slice, ...]


class LabelsOverview:
    """A read-only layer that shows all labels of an image, reduced along rows and columns.

    Of the labels in a pixel the highest is shown, so no object is too small to be seen.

    Parameters
    ----------
    source : ImageSource
    session : Session

    Attributes
    ----------
    layer : napari.layers.Labels
    factor : int
        By how much it is reduced.
    session : Session
        Whose labels are read.
    """

    def __init__(self, source: ImageSource, session: Session) -> None:
        self.session = session
        self._source = source
        shape = session.planes.label_shape
        longest = max(shape[-2:])
        self.factor = 1 << max(0, (-(-longest // _SIDE) - 1).bit_length())
        reduced = (*shape[:-2], *(-(-length // self.factor) for length in shape[-2:]))
        # Not of the labels' type: that one grows with the objects.
        self._reduced = np.zeros(reduced, np.uint32)
        self._shown = np.zeros(reduced, np.uint32)
        self._hidden: Box | None = None
        self.layer = Labels(
            source.layer_array(self._shown),
            name=f"{source.layer.name} overview",
            opacity=0.5,
            metadata={OVERVIEW: True},
            **self._transform(),
        )
        self.layer.editable = False

    def follow_image(self) -> None:
        """Lie on the image where it is now."""
        lay(self.layer, self._transform())

    def steps(self, box: Box) -> Iterator[None]:
        """Read a box of the labels again, a part after each `next`."""
        *others, rows, cols = box
        factor, labels = self.factor, self.session.labels
        first, last = (
            [edge // factor * factor for edge in (rows.start, cols.start)],
            [-(-edge // factor) * factor for edge in (rows.stop, cols.stop)],
        )
        width = last[1] - first[1]
        strip = max(1, _AT_ONCE // (width * factor)) * factor
        for index in product(*(range(one.start, one.stop) for one in others)):
            for row in range(first[0], last[0], strip):
                stop = min(row + strip, last[0])
                part = np.asarray(labels[(*index, slice(row, stop), slice(first[1], last[1]))])
                where = (
                    *(slice(one, one + 1) for one in index),
                    slice(row // factor, stop // factor),
                    slice(first[1] // factor, last[1] // factor),
                )
                found = _highest(part, factor)
                self._reduced[where] = found.reshape([one.stop - one.start for one in where])
                self._show(where)
                yield

    def hide(self, box: Box) -> None:
        """Show nothing in a box of the labels, which another layer shows; the former one again."""
        inner = [-(-one.start // self.factor) for one in box[-2:]]
        outer = [one.stop // self.factor for one in box[-2:]]
        ends = self._reduced.shape[-2:]
        # What is cut off at the end of the plane is all in the box.
        outer = [
            end if one.stop == length else edge
            for one, edge, end, length in zip(
                box[-2:], outer, ends, self.session.labels.shape[-2:], strict=True
            )
        ]
        former, self._hidden = self._hidden, (
            *box[:-2],
            *(slice(low, max(low, high)) for low, high in zip(inner, outer, strict=True)),
        )  # fmt: skip
        if former is not None:
            self._show(former)
        self._show(self._hidden)

    def _transform(self) -> dict[str, Any]:
        """Return what lays the layer on the image: each of its pixels covers several."""
        source = self._source
        axes = [source.axes.index(letter) for letter in self.session.planes.label_axes[-2:]]
        middle = np.zeros(source.layer.ndim)
        middle[axes] = (self.factor - 1) / 2
        transform = source.transform(middle)
        transform["scale"][axes] *= self.factor
        return transform

    def _show(self, where: Sequence[slice]) -> None:
        self._shown[tuple(where)] = self._reduced[tuple(where)]
        if self._hidden is not None:
            self._shown[self._hidden] = 0


def _highest(part: NDArray[Any], factor: int) -> NDArray[Any]:
    """Return the maxima of blocks of `factor` x `factor` pixels; the last ones may be smaller."""
    rows, cols = part.shape
    for axis, length in ((0, rows), (1, cols)):
        part = np.maximum.reduceat(part, np.arange(0, length, factor), axis=axis)
    return part
