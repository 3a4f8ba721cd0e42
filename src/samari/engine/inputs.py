"""What a script hands over for one object of one image, checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.prompts import PlanePrompts
from samari.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def prompts_of(points: Any, labels: Any, box: Any, mask: Any) -> PlanePrompts:
    """Return prompts in which points without labels are positive; None is no points.

    Raises
    ------
    InputError
        See `PlanePrompts`.
    """
    points = () if points is None else points
    if labels is None and isinstance(points, Iterable):
        points = list(points)
        labels = [1] * len(points)
    return PlanePrompts(points, () if labels is None else labels, box, mask)


def prompts_of_each(points: Any, boxes: Any) -> list[PlanePrompts]:
    """Return the prompts of one object for every point and every box; None is none of them.

    Raises
    ------
    InputError
        If `points` or `boxes` is not a sequence; else see `PlanePrompts`.
    """
    for name, values in (("points", points), ("boxes", boxes)):
        if values is not None and not isinstance(values, Iterable):
            raise InputError(f"{name} must be a sequence, got {values!r}")
    alone = [PlanePrompts((point,), (1,)) for point in (() if points is None else points)]
    return alone + [PlanePrompts(box=box) for box in (() if boxes is None else boxes)]


def as_plane(image: Any, rgb: bool | None) -> NDArray[Any]:
    """Return a 2D image as an array (H, W), or (H, W, 3 | 4) if it is in colour.

    Raises
    ------
    InputError
        If it is not a 2D image, or it is not clear whether its last axis is colour.
    """
    array = np.asarray(image)
    colour = array.ndim == 3 and array.shape[2] in (3, 4)
    if rgb is None:
        rgb = colour and array.dtype == np.uint8
        if colour and not rgb:
            raise InputError(
                f"an image of shape {array.shape} and dtype {array.dtype} may be in colour or a "
                "stack; say rgb=True, or give a stack to samari.Session"
            )
    if rgb and not colour:
        raise InputError(
            f"rgb=True needs an image of shape (H, W, 3) or (H, W, 4), got {array.shape}"
        )
    if not rgb and array.ndim != 2:
        raise InputError(
            f"Segmenter takes one 2D image, got shape {array.shape}; for stacks, time series and "
            "channels use samari.Session(image, axes=...), or give one plane, image[i]"
        )
    if 0 in array.shape:
        raise InputError(f"the image is empty: shape {array.shape}")
    return array
