"""Which labelled images are trained on, and which are held out to see what was gained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from samari.errors import InputError
from samari.train.evaluate import LEAST_AREA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from samari.train.data import Sample

#: Fewer objects teach nothing that holds for others; so many at least to train and to be held out.
LEAST_TRAINED, LEAST_HELD = 10, 4


def split(samples: Sequence[Sample], share: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Divide samples into those to train on and those held out.

    With four images or more, whole images are held out: neighbouring cells are too much alike. Of
    fewer, each is cut in two.

    Parameters
    ----------
    samples : sequence of Sample
    share : float
        To be held out.
    seed : int

    Returns
    -------
    (list of Sample, list of Sample)

    Raises
    ------
    InputError
        There are too few objects.
    """
    groups = sorted({sample.group for sample in samples})
    if len(groups) >= 4:
        order = np.random.default_rng(seed).permutation(len(groups))
        count = max(1, round(share * len(groups)))
        held_groups = {groups[i] for i in order[:count]}
        held = [sample for sample in samples if sample.group in held_groups]
        trained = [sample for sample in samples if sample.group not in held_groups]
    else:
        halves = [_cut(sample, share) for sample in samples]
        trained = [half[0] for half in halves]
        held = [half[1] for half in halves]
    counts = [sum(_count(sample) for sample in part) for part in (trained, held)]
    if counts[0] < LEAST_TRAINED or counts[1] < LEAST_HELD:
        raise InputError(
            f"{sum(counts)} objects in {len(groups)} images are too few to learn from: "
            f"{counts[0]} would be trained on and {counts[1]} held out, and it takes at least "
            f"{LEAST_TRAINED} and {LEAST_HELD}. Label more objects first"
        )
    return trained, held


def _cut(sample: Sample, share: float) -> tuple[Sample, Sample]:
    """Cut a sample in two, its right or lower end for what is held out.

    The cut goes through as few objects as can be, with about that share of them beyond it; those
    that it goes through are in neither part.
    """
    from skimage.measure import regionprops

    found = regionprops(sample.labels)
    axis, at = _best_cut([region.bbox for region in found], sample.labels.shape, share)
    crossing = [region.label for region in found if region.bbox[axis] < at < region.bbox[axis + 2]]
    labels = np.where(np.isin(sample.labels, crossing), 0, sample.labels)
    parts = []
    for name, span in (("trained", slice(0, at)), ("held", slice(at, None))):
        window = (span, slice(None)) if axis == 0 else (slice(None), span)
        parts.append(
            replace(
                sample,
                image=np.ascontiguousarray(sample.image[window]),
                labels=np.ascontiguousarray(labels[window]),
                key=f"{sample.key}/{name}",
            )
        )
    return parts[0], parts[1]


def _best_cut(
    boxes: list[tuple[int, ...]], shape: tuple[int, ...], share: float
) -> tuple[int, int]:
    """Return (axis, position) of the cut that loses fewest objects and misses the share least."""
    costs: list[tuple[float, int, int]] = []
    wanted = max(share * len(boxes), min(LEAST_HELD, len(boxes) / 2))
    for axis in (0, 1):
        lows, highs = (np.array([box[axis + side] for box in boxes]) for side in (0, 2))
        for at in range(1, shape[axis]):
            beyond = int((lows >= at).sum())
            lost = len(boxes) - beyond - int((highs <= at).sum())
            costs.append((lost + abs(beyond - wanted), axis, at))
    _, axis, at = min(costs)
    return axis, at


def _count(sample: Sample) -> int:
    ids, sizes = np.unique(sample.labels, return_counts=True)
    return int(((ids > 0) & (sizes >= LEAST_AREA)).sum())
