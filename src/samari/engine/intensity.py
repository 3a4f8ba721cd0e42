"""Intensities of any dtype to the RGB picture the network sees.

One rule everywhere (training, scripts, plugin): values at or below the lower contrast limit are
black, at or above the upper one white, linear in between. Nothing wraps, and nothing depends on
the dtype's range.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Percentiles that ``auto_contrast_limits`` takes: robust to hot pixels, dark background kept dark.
LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.8
#: Above this many values the percentiles come from an evenly strided subset.
MAX_VALUES = 2**22
#: Values converted at a time: temporaries that stay in the processor's cache.
_STRIP = 2**16
#: Largest limit used, so that ``high - low`` stays a finite float64.
_HUGE = 8e307


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """Return `dtype` as a numpy dtype.

    Raises
    ------
    InputError
        If it is not boolean, integer or real floating point.
    """
    dtype = np.dtype(dtype)
    if dtype.kind not in "buif":
        raise InputError(
            f"images of dtype {dtype} are not supported; use a boolean, integer or real floating "
            "point array (for complex data, its magnitude: abs(image))"
        )
    return dtype


def check_contrast_limits(limits: Any) -> tuple[float, float]:
    """Return `limits` as two floats, low < high.

    Raises
    ------
    InputError
        If it is not two finite numbers with low < high.
    """
    try:
        low, high = (float(value) for value in limits)
    except (TypeError, ValueError) as error:
        message = f"contrast limits must be two numbers (low, high), got {limits!r}"
        raise InputError(message) from error
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"contrast limits must be finite with low < high, got ({low}, {high})")
    return low, high


def auto_contrast_limits(array: NDArray[Any]) -> tuple[float, float]:
    """Return the 1 % and 99.8 % percentiles of the finite values.

    Parameters
    ----------
    array : ndarray of any shape, boolean, integer or real floating point
        Above 2**22 values (2048 x 2048), every k-th along each long axis is looked at.

    Returns
    -------
    tuple of float
        (low, high), always finite and low < high. Where the percentiles coincide (a few bright
        spots on an even background) it is the minimum and the maximum, for a constant array
        (c, c + 1). A boolean array and an array without any finite value give (0, 1).

    Raises
    ------
    InputError
        For a dtype that is not boolean, integer or real floating point.
    """
    values = np.asarray(array)
    if check_dtype(values.dtype).kind == "b":
        return 0.0, 1.0
    # Percentiles interpolate by differences, which wrap in small integers and overflow in float16.
    values = subset(values).astype(_working_dtype(values.dtype)).ravel()
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = (float(v) for v in np.percentile(values, (LOW_PERCENTILE, HIGH_PERCENTILE)))
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        low, high = float(values.min()), float(values.max())
    low, high = max(low, -_HUGE), min(high, _HUGE)
    if low < high:
        return low, high
    # A step of 1 would vanish beside a huge constant.
    low = min(low, _HUGE)
    return low, low + max(1.0, abs(low) * 1e-6)


def default_contrast_limits(array: NDArray[Any], rgb: bool) -> tuple[float, float] | None:
    """Return the limits used where the user gave none.

    None for RGB uint8, which is a picture already; (0, 1) for RGB floats that lie within 0..1, as
    napari shows them; the automatic limits of all channels together otherwise: the hue is kept.
    """
    if not rgb:
        return auto_contrast_limits(array)
    color = np.asarray(array)[..., :3]
    if color.dtype == np.uint8:
        return None
    if color.dtype.kind == "f":
        finite = color[np.isfinite(color)]
        if finite.size and finite.min() >= 0 and finite.max() <= 1:
            return 0.0, 1.0
    return auto_contrast_limits(color)


def to_rgb_uint8(
    plane: NDArray[Any], contrast_limits: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    """Map a plane to RGB, saturating at the contrast limits.

    Parameters
    ----------
    plane : ndarray, shape (H, W) or (H, W, 3 | 4), boolean, integer or real floating point
        Grey, RGB or RGBA. Alpha is ignored. NaN becomes black, +inf white, -inf black.
    contrast_limits : tuple of float, optional
        (low, high) in the plane's intensities. By default those of `auto_contrast_limits`; RGB
        uint8 passes unchanged and RGB floats within 0..1 are mapped from (0, 1).

    Returns
    -------
    ndarray, shape (H, W, 3), uint8
        C-contiguous.

    Raises
    ------
    InputError
        For another shape, an empty plane, an unsupported dtype or limits without low < high.
    """
    plane = np.asarray(plane)
    check_dtype(plane.dtype)
    rgb = plane.ndim == 3 and plane.shape[-1] in (3, 4)
    if not (rgb or plane.ndim == 2):
        raise InputError(
            f"a plane must have shape (H, W), (H, W, 3) or (H, W, 4), got {plane.shape}; "
            "take one plane of the stack, one channel"
        )
    if 0 in plane.shape:
        raise InputError(f"the plane is empty: shape {plane.shape}")
    values = plane[..., :3] if rgb else plane
    limits = default_contrast_limits(values, rgb) if contrast_limits is None else contrast_limits
    if limits is None:
        return np.ascontiguousarray(values)
    low, high = check_contrast_limits(limits)
    picture = np.empty((*values.shape[:2], 3), np.uint8)
    rows = max(1, _STRIP // values[0].size)
    for start in range(0, len(values), rows):
        part = _scale(values[start : start + rows], low, high)
        for channel in range(3):  # quicker than to write pixel by pixel
            picture[start : start + rows, :, channel] = part[..., channel] if rgb else part
    return picture


def _scale(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map [low, high] linearly to 0..255, rounded, saturating; NaN to 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values.astype(_working_dtype(values.dtype))
        scaled -= low
        scaled /= high - low
        scaled *= 255
        np.rint(scaled, out=scaled)
    np.clip(scaled, 0, 255, out=scaled)
    if values.dtype.kind == "f":
        scaled[np.isnan(scaled)] = 0  # whose cast to an integer is undefined
    return scaled.astype(np.uint8)


def _working_dtype(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    """Return the float type that holds every difference of two values of `dtype` well enough."""
    return np.float32 if dtype.itemsize <= 2 else np.float64


def subset(array: NDArray[Any], limit: int = MAX_VALUES) -> NDArray[Any]:
    """Return `array`, or every k-th element along its long axes so that about `limit` remain."""
    long_axes = sum(length >= 64 for length in array.shape)
    if array.size <= limit or not long_axes:
        return array
    step = math.ceil((array.size / limit) ** (1 / long_axes))
    return array[tuple(slice(None, None, step if length >= 64 else 1) for length in array.shape)]
