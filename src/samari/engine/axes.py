"""Image arrays and the letters that name their axes.

T time, C channel, Z depth, Y row, X column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from samari.errors import InputError

LETTERS = "TCZYX"
#: What the axes of an array mean where nobody says.
DEFAULT_AXES = {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TCZYX"}


def check_axes(axes: str | None, shape: tuple[int, ...], what: str = "image") -> str:
    """Return the axes of an array, upper case, checked against its shape.

    Parameters
    ----------
    axes : str or None
        One letter of TCZYX for every axis, in any order, e.g. "CYX" or "XYZCT". None means YX, ZYX,
        TZYX or TCZYX by the number of axes.
    shape : tuple of int
        Without the RGB axis.
    what : str
        The array's name in messages.

    Raises
    ------
    InputError
        If the letters do not fit, Y or X is lacking, or an axis has no element.
    """
    if axes is None:
        if len(shape) not in DEFAULT_AXES:
            raise InputError(
                f"the {what} has shape {shape}; 2 to 5 axes out of TCZYX are supported (an RGB "
                "axis comes on top, with rgb=True): index the others away"
            )
        axes = DEFAULT_AXES[len(shape)]
    letters = str(axes).upper()
    if (
        len(letters) != len(shape)
        or len(set(letters)) != len(letters)
        or not set("YX") <= set(letters) <= set(LETTERS)
    ):
        raise InputError(
            f"axes {axes!r} do not fit the {what} of shape {shape}: give one letter of TCZYX for "
            f"each of its {len(shape)} axes, each letter once, Y and X among them, and none for "
            "the RGB axis"
        )
    if 0 in shape:
        raise InputError(f"the {what} is empty: shape {shape}, axes {letters}")
    return letters


def shape_without_colours(shape: tuple[int, ...], rgb: bool) -> tuple[int, ...]:
    """Return the lengths of the axes that letters name: without the last one of a colour image.

    Raises
    ------
    InputError
        If a colour image has no last axis of 3 or 4 samples.
    """
    if not rgb:
        return shape
    if len(shape) < 3 or shape[-1] not in (3, 4):
        raise InputError(
            f"rgb=True needs a last axis of 3 or 4 samples, got shape {shape}; "
            "pass rgb=False for grey"
        )
    return shape[:-1]


def as_array(image: Any) -> Any:
    """Return `image` if it can be sliced lazily, else as a numpy array."""
    if isinstance(image, Sequence) and len({np.shape(item) for item in image}) > 1:
        raise InputError(
            f"the image is a list of {len(image)} arrays of different shapes; of a multiscale "
            "image pass the full resolution, image[0]"
        )
    if isinstance(image, Sequence) or not hasattr(image, "__getitem__"):
        return np.asarray(image)
    try:
        np.dtype(image.dtype)
        len(image.shape)
    except (AttributeError, TypeError):
        return np.asarray(image)
    return image
