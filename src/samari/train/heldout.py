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
    fewer, each is cut in two, all planes of a stack at the same place.

    Parameters
    ----------
    samples : sequence of Sample
        Planes of one stack share their ``group``.
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
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.group, []).append(sample)
    if len(groups) >= 4:
        trained, held = _by_group(list(groups.values()), share, seed)
    else:
        trained, held = [], []
        for planes in groups.values():
            if planes[0].labels.size == 1:  # one pixel cannot be cut
                continue
            parts = _cut(planes, share)
            trained += parts[0]
            held += parts[1]
    counts = [sum(count_objects(sample) for sample in part) for part in (trained, held)]
    if counts[0] < LEAST_TRAINED or counts[1] < LEAST_HELD:
        total = sum(count_objects(sample) for sample in samples)
        raise InputError(
            f"too few objects to learn from: of {total} of at least {LEAST_AREA} pixels (in "
            f"{len(groups)} images) {counts[0]} would be trained on and {counts[1]} held out "
            f"({share:.0%}), and it takes at least {LEAST_TRAINED} and {LEAST_HELD}. Label more "
            "objects, or hold out another share"
        )
    return trained, held


def _by_group(
    groups: list[list[Sample]], share: float, seed: int
) -> tuple[list[Sample], list[Sample]]:
    """Hold out whole groups: as many as the share says, and more where they hold few objects."""
    order = np.random.default_rng(seed).permutation(len(groups))
    counts = [sum(count_objects(sample) for sample in group) for group in groups]
    wanted = min(max(1, round(share * len(groups))), len(groups) - 1)
    held: list[int] = []
    for i in order.tolist():
        enough = sum(counts[j] for j in held) >= LEAST_HELD
        if (len(held) >= wanted and enough) or len(held) == len(groups) - 1:
            break
        held.append(i)
    parts: tuple[list[Sample], list[Sample]] = ([], [])
    for i, group in enumerate(groups):
        parts[i in held].extend(group)
    return parts


def _cut(planes: list[Sample], share: float) -> tuple[list[Sample], list[Sample]]:
    """Cut the planes of an image in two, the right or lower end for what is held out.

    The cut goes through as few objects as can be, with about that share of them beyond it; those
    that it goes through are in neither part.
    """
    from scipy.ndimage import find_objects

    boxes = [
        (*(span.start for span in place), *(span.stop for span in place))
        for sample in planes
        for place in find_objects(sample.labels)
        if place is not None
    ]
    axis, at = _best_cut(boxes, planes[0].labels.shape, share)
    trained: list[Sample] = []
    held: list[Sample] = []
    for sample in planes:
        edge = np.take(sample.labels, [at - 1, at], axis=axis)
        first, second = np.moveaxis(edge, axis, 0)
        crossing = np.intersect1d(first, second)
        labels = np.where(np.isin(sample.labels, crossing[crossing > 0]), 0, sample.labels)
        for part, name, span in (
            (trained, "trained", slice(0, at)),
            (held, "held", slice(at, None)),
        ):
            window = (span, slice(None)) if axis == 0 else (slice(None), span)
            part.append(
                replace(
                    sample,
                    image=np.ascontiguousarray(sample.image[window]),
                    labels=np.ascontiguousarray(labels[window]),
                    key=f"{sample.key}/{name}",
                )
            )
    return trained, held


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


def count_objects(sample: Sample) -> int:
    """Return how many labels are large enough to be learnt from and scored."""
    ids, sizes = np.unique(sample.labels, return_counts=True)
    return int(((ids > 0) & (sizes >= LEAST_AREA)).sum())
