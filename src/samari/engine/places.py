"""Where an object is: the point to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from samari.engine.annotation import Annotation
    from samari.engine.planes import PlaneIndex

#: A box of more pixels is not searched: its middle must do.
_SEARCHED = 1 << 25


def centre_of(annotation: Annotation, label: int, view: str) -> tuple[float, ...] | None:
    """Return the middle of an object on the plane that deserves a look.

    That is the plane of its lowest score; for an object without prompts, or one that has left this
    plane, the plane of `view` nearest to the middle that it lies on.

    Parameters
    ----------
    annotation : Annotation
    label : int
    view : str
        Whose planes an object without prompts is looked at in.

    Returns
    -------
    tuple of float or None
        In label axes; None if the object has no pixel.
    """
    planes, store = annotation.planes, annotation.store
    box = store.extent(label)
    if box is None:
        return None
    start = [extent.start for extent in box]
    shape = [extent.stop - extent.start for extent in box]
    worst = worst_plane(annotation, label)
    if int(np.prod(shape, dtype=np.int64)) > _SEARCHED:
        return tuple(first + (size - 1) / 2 for first, size in zip(start, shape, strict=True))
    view = planes.canonical_view(view if worst is None else worst.view)
    across = [axis for axis, letter in enumerate(planes.label_axes) if letter not in view]
    within = tuple(axis for axis, letter in enumerate(planes.label_axes) if letter in view)
    found = store.read(box) == label
    if across:
        # Planes of the box that the object lies on, nearest to the wanted one first.
        hits = np.argwhere(found.any(axis=within))
        size = np.array([shape[axis] for axis in across])
        offset = np.array([start[axis] for axis in across])
        wanted = (size - 1) / 2 if worst is None else np.array(worst.index) - offset
        index = hits[np.abs(hits - wanted).sum(axis=1).argmin()]
        for axis, i in zip(across, index, strict=True):
            found = found[(slice(None),) * axis + (slice(int(i), int(i) + 1),)]
            start[axis] += int(i)
    pixels = np.argwhere(found)
    middle = (pixels.min(axis=0) + pixels.max(axis=0)) / 2
    return tuple(first + float(m) for first, m in zip(start, middle, strict=True))


def worst_plane(annotation: Annotation, label: int) -> PlaneIndex | None:
    """Return the plane of an object's lowest score, None if it did not come from prompts."""
    record = annotation.objects.get(label)
    if record is None or not record.parts:
        return None
    return min(record.parts, key=lambda part: part.score).plane
