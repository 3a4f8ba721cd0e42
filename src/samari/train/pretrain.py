"""Dense pretraining of the encoder: every pixel says what it belongs to.

A prompt teaches one object; here all objects of a crop teach at once, which brings a fresh encoder
to useful features many times sooner. For each mask pixel the head predicts whether it lies on an
object, how deep inside, and where the object's centre is. The head uses the mask decoder's own
upscaling layers, so these are warm when prompting begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samari.sam.model import SamModel

OFFSET_UNIT = 8.0
"""Offsets to the centre are predicted in this many mask pixels."""


def dense_targets(labels: NDArray[np.int32], stride: int) -> NDArray[np.float32]:
    """Compute the targets of one crop at mask resolution.

    Parameters
    ----------
    labels : ndarray of int32, shape (S, S)
        0 is background.
    stride : int
        Crop pixels per mask pixel.

    Returns
    -------
    ndarray of float32, shape (4, S / stride, S / stride)
        Coverage by any object (0 to 1); depth (0 at the outline, 1 at the deepest pixel of the
        object); offset to the object's centre in y and x, in units of `OFFSET_UNIT` mask pixels.
    """
    size = labels.shape[0] // stride
    small = labels[stride // 2 :: stride, stride // 2 :: stride]
    blocks = labels[: size * stride, : size * stride].reshape(size, stride, size, stride)
    coverage = (blocks > 0).mean(axis=(1, 3))
    numbers, flat = np.unique(small, return_inverse=True)
    ids = flat.reshape(small.shape)
    mask = small > 0
    inner = mask & (ndimage.grey_erosion(ids, size=3, mode="nearest") == ids)
    inner &= ndimage.grey_dilation(ids, size=3, mode="nearest") == ids
    depth = ndimage.distance_transform_edt(np.pad(inner, 1))[1:-1, 1:-1].astype(np.float32)
    deepest = np.ones(len(numbers), np.float32)
    np.maximum.at(deepest, ids.ravel(), depth.ravel())
    count = np.bincount(ids.ravel(), minlength=len(numbers))
    rows, cols = np.mgrid[:size, :size].astype(np.float32)
    offsets = [
        (np.bincount(ids.ravel(), axis.ravel(), len(numbers)) / np.maximum(count, 1))[ids] - axis
        for axis in (rows, cols)
    ]
    out = np.stack([coverage, depth / deepest[ids], *offsets]).astype(np.float32)
    out[2:] *= mask / OFFSET_UNIT
    return out


class DenseHead(nn.Module):
    """Per-pixel targets from an image embedding, through the mask decoder's upscaling."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Conv2d(width // 8, 4, kernel_size=1)

    def forward(self, model: SamModel, embedding: torch.Tensor) -> torch.Tensor:
        """Map embeddings (B, C, h, w) to predictions (B, 4, 4h, 4w)."""
        decoder = model.mask_decoder
        x = functional.gelu(decoder.upscale_layer_norm(decoder.upscale_conv1(embedding)))
        predicted: torch.Tensor = self.out(functional.gelu(decoder.upscale_conv2(x)))
        return predicted


def dense_loss(
    predicted: torch.Tensor, target: torch.Tensor
) -> tuple[torch.Tensor, dict[str, float]]:
    """Compare predictions with `dense_targets`.

    Parameters
    ----------
    predicted, target : Tensor, shape (B, 4, h, w)
        The first channel of ``predicted`` holds logits.

    Returns
    -------
    loss : Tensor, scalar
    figures : dict of str to float
        ``foreground``: IoU of the foreground; ``offset``: mean error in mask pixels.
    """
    inside = (target[:, 0] > 0.5).float()
    # Objects cover a fifth of a typical crop: without a weight the empty answer comes first.
    covered = functional.binary_cross_entropy_with_logits(
        predicted[:, 0], target[:, 0], pos_weight=predicted.new_tensor(3.0)
    )
    depth = functional.smooth_l1_loss(predicted[:, 1], target[:, 1], beta=0.1)
    error = functional.smooth_l1_loss(
        predicted[:, 2:], target[:, 2:], beta=0.25, reduction="none"
    ).sum(1)
    offset = (error * inside).sum() / inside.sum().clamp(min=1)
    with torch.no_grad():
        guess = predicted[:, 0] > 0
        truth = inside.bool()
        union = (guess | truth).sum().clamp(min=1)
        missed = (predicted[:, 2:] - target[:, 2:]).norm(dim=1) * inside
        figures = {
            "foreground": float((guess & truth).sum() / union),
            "offset": float(missed.sum() / inside.sum().clamp(min=1)) * OFFSET_UNIT,
        }
    return covered + depth + 0.25 * offset, figures
