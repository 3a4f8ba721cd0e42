"""Simulated annotators: where a click or a box goes, in training and in evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray


def centre_click(region: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the pixel (y, x) of a region that lies farthest from its edge.

    Parameters
    ----------
    region : ndarray of bool, shape (H, W)
        Not empty. The frame's border counts as an edge.

    Returns
    -------
    tuple of float
        Maximum of the distance transform; the first one in reading order.
    """
    rows, cols = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    top, left = rows[0], cols[0]
    window = np.pad(region[top : rows[-1] + 1, left : cols[-1] + 1], 1)
    distance = ndimage.distance_transform_edt(window)
    y, x = np.unravel_index(int(np.argmax(distance)), window.shape)
    return float(y - 1 + top), float(x - 1 + left)


def correction_click(
    truth: NDArray[np.bool_], guess: NDArray[np.bool_]
) -> tuple[tuple[float, float], int] | None:
    """Return the next click of an ideal annotator.

    Parameters
    ----------
    truth, guess : ndarray of bool, shape (H, W)

    Returns
    -------
    ((y, x), label) or None
        Centre of the deepest error: label 1 where the object was missed, 0 where the guess went
        astray. None if there is no error.
    """
    wrong = truth ^ guess
    if not wrong.any():
        return None
    rows, cols = np.flatnonzero(wrong.any(1)), np.flatnonzero(wrong.any(0))
    top, left = rows[0], cols[0]
    window = (slice(top, rows[-1] + 1), slice(left, cols[-1] + 1))
    depth = [
        ndimage.distance_transform_edt(np.pad(region[window], 1))
        for region in (guess & ~truth, truth & ~guess)
    ]
    label = int(depth[1].max() >= depth[0].max())
    y, x = np.unravel_index(int(np.argmax(depth[label])), depth[label].shape)
    return (float(y - 1 + top), float(x - 1 + left)), label


def object_box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Return (y0, x0, y1, x1) of the outer pixel edges, in pixel-centre coordinates."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return rows[0] - 0.5, cols[0] - 0.5, rows[-1] + 0.5, cols[-1] + 0.5


def pick_objects(
    labels: NDArray[np.int32], count: int, least: int, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Pick at most ``count`` different labels of at least ``least`` pixels, at random."""
    ids, sizes = np.unique(labels, return_counts=True)
    ids = ids[(ids > 0) & (sizes >= least)]
    return rng.permutation(ids)[:count].astype(np.int32)


def sample_clicks(
    region: torch.Tensor, centred: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Draw one pixel of every region.

    Parameters
    ----------
    region : Tensor of bool, shape (P, h, w)
        Not empty.
    centred : Tensor of bool, shape (P,)
        True: towards the middle of the region. False: anywhere in it.
    generator : torch.Generator

    Returns
    -------
    Tensor of int64, shape (P, 2)
        (row, column) in the grid of ``region``.
    """
    mask = region.float()[:, None]
    # Mean coverage over windows of several sizes stands in for the distance to the edge: it is
    # highest in the middle, and costs no distance transform per prompt.
    middle = sum(
        functional.avg_pool2d(mask, size, stride=1, padding=size // 2) for size in (3, 7, 15)
    )
    assert isinstance(middle, torch.Tensor)
    noise = torch.rand(mask.shape, generator=generator).clamp(1e-9, 1 - 1e-7).to(mask.device)
    gumbel = -torch.log(-torch.log(noise))
    power = torch.where(centred, 40.0, 1.5)[:, None, None, None]
    weight = power * torch.log(middle / 3 + 1e-9) + gumbel
    flat = weight.masked_fill(mask == 0, -torch.inf).flatten(1).argmax(1)
    width = region.shape[-1]
    return torch.stack([flat // width, flat % width], dim=1)


def jittered_boxes(mask: torch.Tensor, amount: float, generator: torch.Generator) -> torch.Tensor:
    """Return boxes around masks, each side moved by a random share of the box's size.

    Parameters
    ----------
    mask : Tensor of bool, shape (P, h, w)
        Not empty.
    amount : float
        Standard deviation of the shift as a share of the height or width; at most 0.2 is used.
    generator : torch.Generator

    Returns
    -------
    Tensor of float32, shape (P, 4)
        (x0, y0, x1, y1): outer edges, in mask pixels, 0 at the frame's outer edge.
    """
    rows, cols = mask.any(2).float(), mask.any(1).float()
    height, width = rows.shape[1], cols.shape[1]
    y0, x0 = rows.argmax(1), cols.argmax(1)
    y1, x1 = height - rows.flip(1).argmax(1), width - cols.flip(1).argmax(1)
    box = torch.stack([x0, y0, x1, y1], dim=1).float()
    extent = torch.stack([x1 - x0, y1 - y0, x1 - x0, y1 - y0], dim=1).float()
    shift = torch.randn(box.shape, generator=generator).to(box.device) * amount
    box = box + shift.clamp(-0.2, 0.2) * extent
    limit = box.new_tensor([width, height, width, height])
    return box.clamp(min=0).minimum(limit)
