"""How well a mask or a segmentation agrees with the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Overlaps at which `segmentation_accuracy` counts, as in COCO's average precision.
THRESHOLDS = tuple(np.arange(0.5, 1.0, 0.05).round(2).tolist())


def iou(guess: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks; of two empty ones 1."""
    union = np.count_nonzero(guess | truth)
    return np.count_nonzero(guess & truth) / union if union else 1.0


def boundary_f(guess: NDArray[np.bool_], truth: NDArray[np.bool_], tolerance: float = 1.5) -> float:
    """F-score of the outlines: what share of each lies close to the other (Martin et al. 2004).

    Parameters
    ----------
    guess, truth : ndarray of bool, shape (H, W)
    tolerance : float
        Distance in pixels that counts as close; 1.5 includes diagonal neighbours.

    Returns
    -------
    float
        0 to 1; of two empty masks 1.
    """
    held = np.nonzero(guess | truth)
    if not len(held[0]):
        return 1.0
    # One pixel around: an outline at the plane's edge is one, too.
    window = tuple(slice(axis.min(), axis.max() + 1) for axis in held)
    edges = [_outline(np.pad(mask[window], 1)) for mask in (guess, truth)]
    if not (edges[0].any() and edges[1].any()):
        return 0.0
    near = [ndimage.distance_transform_edt(~edge) <= tolerance for edge in edges]
    precision, recall = (float(near[1 - i][edges[i]].mean()) for i in (0, 1))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return mask & ~ndimage.binary_erosion(mask)


def clicks_to(goal: float, after: Sequence[float], most: int = 10) -> int:
    """Return the number of clicks until the IoU is at least `goal` (NoC); `most` if it never is.

    Parameters
    ----------
    goal : float
    after : sequence of float
        IoU after the first click, the second and so on.
    most : int
        Clicks at which the annotator gives up.
    """
    for number, value in enumerate(after[:most], start=1):
        if value >= goal:
            return number
    return most


def segmentation_accuracy(found: NDArray[np.integer], truth: NDArray[np.integer]) -> float:
    """Return the mean over `THRESHOLDS` of TP / (TP + FP + FN), the score of DSB 2018 (mSA).

    Parameters
    ----------
    found, truth : ndarray of int, shape (H, W)
        Labels; 0 is background.

    Returns
    -------
    float
        0 to 1; 1 if both are empty.
    """
    ids_found, of_found = np.unique(found, return_inverse=True)
    ids_truth, of_truth = np.unique(truth, return_inverse=True)
    shared = np.zeros((len(ids_found), len(ids_truth)))
    np.add.at(shared, (of_found.ravel(), of_truth.ravel()), 1)
    sizes = shared.sum(1)[:, None] + shared.sum(0)[None] - shared
    overlap = (shared / sizes)[np.ix_(ids_found > 0, ids_truth > 0)]
    count = sum(overlap.shape)
    if not count:
        return 1.0
    # Above a half, no label can match two.
    hits = [np.count_nonzero(overlap > threshold - 1e-9) for threshold in THRESHOLDS]
    return float(np.mean([hit / (count - hit) for hit in hits]))
