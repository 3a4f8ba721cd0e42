"""How many pixels every label has and where: counted once, then kept by the writes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import find_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from samari.engine.history import Opaque
    from samari.engine.label_arrays import Box


@dataclass
class Count:
    """Pixels and boxes of labels, as a count of a whole array finds them.

    Attributes
    ----------
    pixels : dict of int to int
    boxes : dict of int to tuple of slice
        One slice an axis of the array; all pixels of the label are in it.
    """

    pixels: dict[int, int] = field(default_factory=dict)
    boxes: dict[int, Box] = field(default_factory=dict)

    def add_slab(self, slab: NDArray[Any], start: int) -> None:
        """Count a part of the array that begins at index `start` of the first axis."""
        found, inverse = np.unique(slab, return_inverse=True)
        compact = inverse.reshape(slab.shape).astype(np.int32)
        compact += 1
        numbers = np.bincount(compact.ravel(), minlength=len(found) + 1)[1:]
        for label, number, box in zip(found, numbers, find_objects(compact), strict=True):
            if label > 0 and box is not None:
                first = slice(box[0].start + start, box[0].stop + start)
                self.add(int(label), int(number), (first, *box[1:]))

    def add(self, label: int, pixels: int, box: Box) -> None:
        """Count further pixels of a label, which are in a box."""
        self.pixels[label] = self.pixels.get(label, 0) + pixels
        known = self.boxes.get(label)
        self.boxes[label] = box if known is None else _union(known, box)

    def take(self, label: int, pixels: int, *, known: bool) -> None:
        """Count pixels of a label that are no more; if none of a `known` label are left, forget it.

        The box does not shrink.
        """
        left = self.pixels.get(label, 0) - pixels
        self.pixels[label] = left
        if known and left <= 0:
            del self.pixels[label]
            self.boxes.pop(label, None)


class Census:
    """Pixel counts and boxes of the labels of one array, kept up to date by its only writer.

    Parameters
    ----------
    complete : bool
        Whether the array is known to hold no label.
    highest : int
        The highest label in the array: labels above it are counted from their first pixel on.

    Attributes
    ----------
    complete : bool
        Whether all labels are counted; if not, `LabelStore.count_steps` does it.
    """

    def __init__(self, complete: bool, highest: int) -> None:
        self.complete = complete
        self._highest: float = highest
        self._count = Count()
        self._touched: set[int] | None = None

    def __iter__(self) -> Any:
        """Go through the labels that have pixels, as far as they are known."""
        return iter([label for label in self._count.pixels if self._knows(label)])

    def pixels(self, label: int) -> int | None:
        """Return the number of pixels of a label; None if it was not counted yet."""
        return self._count.pixels.get(label, 0) if self._knows(label) else None

    def box(self, label: int) -> Box | None:
        """Return a box that holds all pixels of a label; None if it has none or is not counted."""
        return self._count.boxes.get(label) if self._knows(label) else None

    def moved(self, former: Any, present: Any, count: int, box: Box) -> None:
        """Take note that pixels in a box changed their label.

        Parameters
        ----------
        former, present : int or ndarray of int, shape (count,)
            Labels before and after.
        count : int
            Number of pixels.
        box : tuple of slice
        """
        for label, number in _numbers(former, count):
            self._count.take(label, number, known=self._knows(label))
            self._touch(label)
        for label, number in _numbers(present, count):
            self._count.add(label, number, box)
            self._touch(label)

    def forget(self) -> None:
        """Take note that somebody else changed nobody knows what: all is to be counted again."""
        self.complete = False
        self._highest = math.inf
        self._touched = None

    def begin(self) -> None:
        """Take note that a count of the whole array begins, while writes go on."""
        self._touched = set()

    def finish(self, count: Count) -> set[int] | None:
        """Take the result of the count that was begun.

        Returns
        -------
        set of int or None
            Labels that were written meanwhile, to be counted one by one (`set`); None if the
            count is void, because somebody else changed the array meanwhile.
        """
        if self._touched is None:
            return None
        touched, self._touched = self._touched, None
        for label in touched & set(self._count.boxes):
            box = self._count.boxes[label]
            count.boxes[label] = _union(count.boxes.get(label, box), box)
        self._count = count
        self.complete = True
        return touched

    def set(self, label: int, pixels: int, box: Box | None) -> None:
        """Correct the count of one label."""
        self._count.pixels.pop(label, None)
        self._count.boxes.pop(label, None)
        if pixels and box is not None:
            self._count.add(label, pixels, box)

    def _knows(self, label: int) -> bool:
        return self.complete or label > self._highest

    def _touch(self, label: int) -> None:
        if self._touched is not None:
            self._touched.add(label)


def _numbers(labels: Any, count: int) -> Iterable[tuple[int, int]]:
    """Return (label, number of pixels) of the labels, background left out."""
    if not isinstance(labels, np.ndarray):
        return [(int(labels), count)] if labels > 0 and count else []
    found, numbers = np.unique(labels, return_counts=True)
    return [(int(f), int(n)) for f, n in zip(found, numbers, strict=True) if f > 0]


def _union(a: Box, b: Box) -> Box:
    return tuple(
        slice(min(s.start, t.start), max(s.stop, t.stop)) for s, t in zip(a, b, strict=True)
    )


def counted(edit: Opaque, census: Census, read: Callable[[Box], NDArray[Any]]) -> Opaque:
    """Return somebody else's edit, already done, so that the census follows its undo and redo.

    Parameters
    ----------
    edit : Opaque
    census : Census
    read : callable
        Returns a copy of the present labels in a box.
    """
    box, before, after = edit.change or ((), None, None)
    if before is None or after is None:
        census.forget()

        def follow(move: Callable[[], object]) -> None:
            move()
            census.forget()

        labels = None
    else:
        _moved(census, before, after, box)

        def follow(move: Callable[[], object]) -> None:
            # What it does now may be less than it did: others may have changed its pixels since.
            present = read(box)
            move()
            _moved(census, present, read(box), box)

        changed = before != after
        labels = frozenset(np.unique([before[changed], after[changed]]).tolist()) - {0}

    return replace(
        edit,
        take_back=partial(follow, edit.take_back),
        do_again=partial(follow, edit.do_again),
        labels=labels,
    )


def _moved(census: Census, former: NDArray[Any], present: NDArray[Any], box: Box) -> None:
    changed = former != present
    census.moved(former[changed], present[changed], int(changed.sum()), box)
