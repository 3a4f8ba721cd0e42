"""Images of any kind as arrays: what they are, where their channels lie, and arithmetic on them.

All functions take and return numpy arrays, (H, W, C) for ``"channels_last"`` and (C, H, W) for
``"channels_first"``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST = "channels_first"
LAST = "channels_last"

#: Modes of PIL whose values are not 0 to 255; `convert("RGB")` would clip them.
_WIDE_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def layout_name(value: object) -> str | None:
    """Return ``"channels_first"`` or ``"channels_last"`` of a string or an enum, or None of None.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if value is None:
        return None
    name = str(getattr(value, "value", value))
    if name not in (FIRST, LAST, "none"):
        raise ValueError(f"the data format must be {FIRST!r} or {LAST!r}, got {value!r}")
    return None if name == "none" else name


def as_list(images: Any, rank: int) -> list[Any]:
    """Return a list of single images of one image, a batch, or a sequence of images.

    Parameters
    ----------
    images : PIL image, array, tensor, or a list or tuple of these
        An array with one axis more than `rank` is a batch.
    rank : int
        Number of axes of a single image; an array may also lack the channel axis.

    Raises
    ------
    ValueError
        If it is no image or empty.
    """
    if isinstance(images, Image.Image):
        return [images]
    if isinstance(images, (list, tuple)):
        if not images:
            raise ValueError("there must be at least one image, got an empty list")
        first = images[0]
        while isinstance(first, (list, tuple)) and first:
            first = first[0]
        if isinstance(first, (int, float)):
            return as_list(np.asarray(images), rank)
        for image in images:
            _check_kind(image)
        return list(images)
    _check_kind(images)
    if images.ndim == rank + 1:
        return list(images)
    if images.ndim in (rank, 2):
        return [images]
    raise ValueError(
        f"an image must have {rank} axes, or {rank + 1} for a batch, got shape "
        f"{tuple(images.shape)}"
    )


def _check_kind(image: object) -> None:
    if not isinstance(image, Image.Image) and not (
        hasattr(image, "__array__") and hasattr(image, "ndim")
    ):
        raise ValueError(
            "an image must be a PIL image, a numpy array or a torch, TensorFlow or JAX tensor, "
            f"got {type(image).__name__}"
        )


def to_array(image: Any) -> np.ndarray:
    """Return a PIL image, an array or a tensor as a numpy array of the same shape and values."""
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        return (image.float() if image.dtype == torch.bfloat16 else image).numpy()
    return np.asarray(image)


def read_image(
    image: Any, layout: str | None, convert_rgb: bool, channels: int | None
) -> tuple[np.ndarray, str]:
    """Return a single image as an array with a channel axis, and where that axis is.

    Parameters
    ----------
    image : PIL image, array or tensor
        (H, W), (H, W, C) or (C, H, W).
    layout : str or None
        Where the channels are; None to tell from the shape. A PIL image has them last.
    convert_rgb : bool
        Whether grey becomes RGB and an alpha channel is dropped where `channels` asks for it.
    channels : int or None
        How many channels are wanted; None for no preference.
    """
    if isinstance(image, Image.Image):
        layout = LAST
        if convert_rgb and image.mode not in ("RGB", *_WIDE_MODES):
            image = image.convert("RGB")
    array = to_array(image)
    if array.ndim == 2:
        array, layout = array[..., None], LAST
        return (to_rgb(array, LAST) if convert_rgb else array), LAST
    layout = infer_layout(array) if layout is None else layout
    if array.ndim != 3:
        raise ValueError(f"a single image must have 2 or 3 axes, got shape {array.shape}")
    found = array.shape[channel_axis(layout)]
    if convert_rgb and found != 3 and (channels == 3 or found in (2, 4)):
        array = to_rgb(array, layout)
    return array, layout


def infer_layout(image: np.ndarray, channels: Sequence[int] = (1, 3)) -> str:
    """Tell from the shape of a 3-axis image where its channels are.

    The first axis wins, as in the reference, but (1, W, 3) is one row of RGB pixels, (1, W, 4) of
    RGBA.

    Raises
    ------
    ValueError
        If neither the first nor the last axis can be channels.
    """
    if image.ndim != 3:
        raise ValueError(f"a single image must have 2 or 3 axes, got shape {image.shape}")
    first, last = image.shape[0], image.shape[-1]
    for counts in (channels, (2, 4)):
        if first in counts and not (first == 1 and last in (3, 4)):
            return FIRST
        if last in counts:
            return LAST
    raise ValueError(
        f"cannot tell the channels of an image of shape {image.shape}: neither the first nor the "
        f"last axis has 1 to 4 entries; give input_data_format, {FIRST!r} or {LAST!r}"
    )


def channel_axis(layout: str) -> int:
    """Return the axis of the channels in a 3-axis image."""
    return 0 if layout == FIRST else 2


def size_of(image: np.ndarray, layout: str) -> tuple[int, int]:
    """Return (height, width)."""
    height, width = image.shape[1:] if layout == FIRST else image.shape[:2]
    return int(height), int(width)


def to_layout(image: np.ndarray, layout: str, wanted: str | None) -> np.ndarray:
    """Move the channel axis; None leaves it where it is."""
    if wanted is None or wanted == layout:
        return image
    return image.transpose((2, 0, 1) if wanted == FIRST else (1, 2, 0))


def to_rgb(image: np.ndarray, layout: str) -> np.ndarray:
    """Repeat grey three times, drop alpha; an image of three channels is returned as it is."""
    axis = channel_axis(layout)
    channels = image.shape[axis]
    if channels == 3:
        return image
    if channels in (1, 2):
        return np.repeat(image.take([0], axis=axis), 3, axis=axis)
    if channels == 4:
        return image.take([0, 1, 2], axis=axis)
    raise ValueError(f"an image of {channels} channels (shape {image.shape}) is not RGB")


def resize(image: np.ndarray, size: tuple[int, int], resample: int, layout: str) -> np.ndarray:
    """Resize by Pillow, which computes in 8 bits.

    Integer values stay as they are; fractions from 0 to 1 are mapped to 0 to 255 and back.

    Raises
    ------
    ValueError
        If the values are neither 0 to 255 nor fractions from 0 to 1.
    """
    fractions = _are_fractions(image)
    pixels = to_layout(image, layout, LAST)
    if fractions:
        pixels = (pixels * 255).astype(np.float32)
    pixels = pixels.astype(np.uint8)
    # Pillow has no image of one channel with a channel axis.
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    resized = np.asarray(
        Image.fromarray(pixels).resize(size[::-1], resample=Image.Resampling(resample))
    )
    resized = resized[..., None] if resized.ndim == 2 else resized
    resized = to_layout(resized, LAST, layout)
    return rescale(resized, 1 / 255) if fractions else resized


def _are_fractions(image: np.ndarray) -> bool:
    if image.dtype == np.uint8 or image.dtype == np.bool_:
        return False
    if image.size == 0 or not np.isfinite(image).all():
        raise ValueError(
            f"an image of shape {image.shape} is empty or has values that are not finite"
        )
    low, high = image.min(), image.max()
    whole = np.issubdtype(image.dtype, np.integer) or np.allclose(image, np.trunc(image))
    if low < 0 or high > (255 if whole else 1):
        raise ValueError(
            f"values of an image must be 0 to 255, or fractions from 0 to 1, got {low} to {high} "
            f"({image.dtype}); rescale the intensities first"
        )
    return not whole


def resize_labels(labels: np.ndarray, size: tuple[int, int], layout: str) -> np.ndarray:
    """Resize a label map by its nearest pixels, whatever its integers; the result is int64.

    Raises
    ------
    ValueError
        If a value does not fit into 32 bits.
    """
    planes = to_layout(labels, layout, FIRST).astype(np.int64)
    limits = np.iinfo(np.int32)
    if planes.size and not limits.min <= planes.min() <= planes.max() <= limits.max:
        raise ValueError(f"labels must fit into 32 bits, got {planes.min()} to {planes.max()}")
    resized = [
        Image.fromarray(plane.astype(np.int32)).resize(size[::-1], Image.Resampling.NEAREST)
        for plane in planes
    ]
    return to_layout(np.stack([np.asarray(plane) for plane in resized]), FIRST, layout).astype(
        np.int64
    )


def rescale(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply; the result is float32."""
    return (image * factor).astype(np.float32)


def normalize(image: np.ndarray, mean: Any, std: Any, layout: str) -> np.ndarray:
    """Return ``(image - mean) / std`` with one mean and deviation, or one for each channel.

    Integers become float32, floats keep their dtype.

    Raises
    ------
    ValueError
        If there are neither one value nor as many as channels.
    """
    if not np.issubdtype(image.dtype, np.floating):
        image = image.astype(np.float32)
    channels = image.shape[channel_axis(layout)]
    values = []
    for name, value in (("image_mean", mean), ("image_std", std)):
        array = np.atleast_1d(np.asarray(value, dtype=image.dtype))
        if array.ndim != 1 or (np.ndim(value) and len(array) != channels):
            raise ValueError(
                f"{name} must have one value or one for each of {channels} channels, got {value!r}"
            )
        values.append(array if layout == LAST else array[:, None, None])
    return (image - values[0]) / values[1]


def pad(image: np.ndarray, size: tuple[int, int], layout: str) -> np.ndarray:
    """Add zeros at the bottom and the right, up to (height, width).

    Raises
    ------
    ValueError
        If the image is larger.
    """
    height, width = size_of(image, layout)
    bottom, right = size[0] - height, size[1] - width
    if bottom < 0 or right < 0:
        raise ValueError(f"an image of {(height, width)} pixels cannot be padded to {tuple(size)}")
    space = ((0, bottom), (0, right))
    return np.pad(image, ((0, 0), *space) if layout == FIRST else (*space, (0, 0)))
