"""Masks in bulk: crops and point grids, stability, boxes, run lengths, overlap suppression.

Source: Kirillov et al., "Segment Anything" (2023), appendix B, "Automatic mask generation".
Boxes are (x0, y0, x1, y1); the last column and row of a mask's box are inside the mask.
"""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A box this close to the edge of a crop, in pixels, counts as cut by it.
EDGE_TOLERANCE = 20.0


def point_grid(per_side: int) -> np.ndarray:
    """Return (per_side ** 2, 2) points (x, y), row by row, at cell centres of the unit square."""
    line = np.linspace(1 / (2 * per_side), 1 - 1 / (2 * per_side), per_side)
    x, y = np.meshgrid(line, line)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def crop_boxes(
    size: tuple[int, int], layers: int, overlap_ratio: float
) -> tuple[list[tuple[int, int, int, int]], list[int]]:
    """Return the whole image and, for layer i from 1, its 4 ** i overlapping crops.

    Parameters
    ----------
    size : (int, int)
        Height and width of the image.
    layers : int
        Number of layers beside the whole image.
    overlap_ratio : float
        Overlap in the first layer, as a fraction of the image's shorter side; half as much in each
        further layer.

    Returns
    -------
    list of (int, int, int, int)
        Boxes; here the last column and row are outside.
    list of int
        The layer of each box.
    """
    height, width = size
    boxes, levels = [(0, 0, width, height)], [0]
    for layer in range(1, layers + 1):
        count = 2**layer
        overlap = int(overlap_ratio * min(size) * (2 / count))
        crop_width = math.ceil((overlap * (count - 1) + width) / count)
        crop_height = math.ceil((overlap * (count - 1) + height) / count)
        for column, row in product(range(count), repeat=2):
            left, top = column * (crop_width - overlap), row * (crop_height - overlap)
            boxes.append((left, top, min(left + crop_width, width), min(top + crop_height, height)))
            levels.append(layer)
    return boxes, levels


def stability_scores(logits: torch.Tensor, threshold: float, offset: float) -> torch.Tensor:
    """Return how little each (..., H, W) mask changes when the threshold moves by the offset.

    The overlap of the masks at ``threshold + offset`` and ``threshold - offset``, which contains
    the first; not a number where both are empty.
    """
    inner = (logits > threshold + offset).sum((-2, -1), dtype=torch.int32)
    outer = (logits > threshold - offset).sum((-2, -1), dtype=torch.int32)
    return inner / outer


def mask_boxes(masks: torch.Tensor) -> torch.Tensor:
    """Return (N, 4) integer boxes of (N, H, W) boolean masks; (0, 0, 0, 0) of an empty one."""
    if masks.shape[0] == 0 or masks.shape[-1] == 0 or masks.shape[-2] == 0:
        return torch.zeros(*masks.shape[:-2], 4, dtype=torch.int64, device=masks.device)
    sides = []
    for axis in (-2, -1):
        hit = masks.any(dim=axis).to(torch.uint8)
        # argmax finds the first of equal values.
        sides.append((hit.argmax(-1), hit.shape[-1] - 1 - hit.flip(-1).argmax(-1)))
    (left, right), (top, bottom) = sides
    boxes = torch.stack([left, top, right, bottom], dim=-1)
    return boxes * masks.flatten(-2).any(-1).unsqueeze(-1)


def cut_by_crop(boxes: torch.Tensor, crop: Sequence[float], size: tuple[int, int]) -> torch.Tensor:
    """Tell which (N, 4) boxes, in pixels of the crop, lie at an edge of it that is not the image's.

    Parameters
    ----------
    boxes : (N, 4) tensor
        Boxes relative to the crop.
    crop : (x0, y0, x1, y1)
        The crop.
    size : (int, int)
        Height and width of the image.
    """
    edges = torch.as_tensor([float(value) for value in crop], device=boxes.device)
    image = torch.tensor([0.0, 0.0, size[1], size[0]], device=boxes.device)
    boxes = boxes.float() + edges[:2].repeat(2)
    at_crop = (boxes - edges).abs() <= EDGE_TOLERANCE
    at_image = (boxes - image).abs() <= EDGE_TOLERANCE
    return (at_crop & ~at_image).any(dim=1)


def place_in_image(
    masks: torch.Tensor, crop: Sequence[float], size: tuple[int, int]
) -> torch.Tensor:
    """Return (N, height, width) masks of the image from masks of a crop."""
    left, top, right, bottom = (int(value) for value in crop)
    if (left, top, right, bottom) == (0, 0, size[1], size[0]):
        return masks
    return F.pad(masks, (left, size[1] - right, top, size[0] - bottom), value=0)


def encode_rle(masks: torch.Tensor) -> list[dict[str, Any]]:
    """Return COCO's uncompressed run lengths of (N, H, W) boolean masks.

    ``{"size": [H, W], "counts": [...]}``, column by column, the first run being outside the mask.
    """
    _, height, width = masks.shape
    flat = masks.transpose(1, 2).flatten(1).cpu().numpy()
    encoded = []
    for pixels in flat:
        edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
        counts = np.diff(edges, prepend=0, append=height * width).tolist()
        encoded.append(
            {"size": [height, width], "counts": [0, *counts] if pixels[:1].any() else counts}
        )
    return encoded


def decode_rle(rle: dict[str, Any]) -> np.ndarray:
    """Return the (H, W) boolean mask of COCO's uncompressed run lengths."""
    height, width = rle["size"]
    counts = [int(count) for count in rle["counts"]]
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape(width, height).T


def suppress_overlaps(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """Return the indices of boxes to keep, the best score first (non-maximum suppression).

    A box is dropped if its overlap (intersection over union) with a better box that is kept exceeds
    the threshold. Of equal scores the earlier one comes first.

    Parameters
    ----------
    boxes : (N, 4) tensor
        Boxes.
    scores : (N,) tensor
        Their scores.
    threshold : float
        Largest overlap that is allowed.
    """
    boxes = boxes.float()
    order = scores.argsort(descending=True, stable=True)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        rest = boxes[order]
        low = torch.maximum(boxes[best, :2], rest[:, :2])
        high = torch.minimum(boxes[best, 2:], rest[:, 2:])
        common = (high - low).clamp(min=0).prod(dim=1)
        # Two boxes without area give not a number, which exceeds nothing: both are kept.
        overlap = common / (area[best] + area[order] - common)
        order = order[~(overlap > threshold)]
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device)
