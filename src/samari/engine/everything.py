"""Automatic segmentation: a click on every point of a grid, and what of it becomes objects.

Source: Kirillov et al., "Segment Anything" (2023), appendix B, "Automatic mask generation".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from samari.engine.candidates import PlaneCandidates, pack
from samari.engine.commit import Origin
from samari.engine.masks import masks_of
from samari.engine.objects import ObjectPart, SegmentedObject
from samari.engine.pictures import PlanePicture
from samari.engine.planes import PlaneIndex
from samari.engine.prompts import PlanePrompts
from samari.engine.tiled import encode_tile
from samari.engine.tiles import TilePyramid
from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from numpy.typing import NDArray

    from samari.engine.candidates import Found, Selection, Thresholds
    from samari.engine.embedding import Embedding
    from samari.engine.frames import Frame
    from samari.engine.masks import Box
    from samari.engine.planes import ImagePlanes
    from samari.engine.predict import Segmenter
    from samari.engine.prediction import Prediction
    from samari.engine.state import Transaction

    Steps = Generator[tuple[int, int], None, "Everything"]

Kept = TypeVar("Kept")

POINTS_PER_SIDE = 32
#: Logits by which the threshold of a mask is moved to see how stable the mask is.
STABILITY_OFFSET = 1.0
#: Mask pixels that one batch of points may have.
_PIXELS_AT_ONCE = 2**26
#: Encoding a plane counts as much as this share of its points.
_ENCODING_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class Everything:
    """What was found on one or more planes; see `Session.everything_steps`.

    Attributes
    ----------
    planes : tuple of PlaneCandidates
        In the order in which the planes were asked for.
    origin : Origin
        Which model found it, in which intensities.
    points_per_side : int
        Points along each side of the grid.
    """

    planes: tuple[PlaneCandidates, ...]
    origin: Origin
    points_per_side: int = POINTS_PER_SIDE

    def __len__(self) -> int:
        """Return the number of candidates."""
        return sum(map(len, self.planes))

    @property
    def nbytes(self) -> int:
        """Memory of the candidates, in bytes."""
        return sum(plane.nbytes for plane in self.planes)


def planes_of(
    planes: ImagePlanes, view: str, wanted: PlaneIndex | Sequence[int] | Iterable | None
) -> tuple[PlaneIndex, ...]:
    """Return the planes that are meant.

    Parameters
    ----------
    planes : ImagePlanes
    view : str
        Which planes are meant where only their index is given.
    wanted : PlaneIndex, sequence of int, sequence of these, or None
        None means every plane of the view.

    Raises
    ------
    InputError
        If one of them is not a plane of the image.
    """
    if wanted is None:
        lengths = zip(planes.label_axes, planes.label_shape, strict=True)
        counts = tuple(length for letter, length in lengths if letter not in view)
        found = [PlaneIndex(view, index) for index in np.ndindex(counts)]
    elif isinstance(wanted, PlaneIndex):
        found = [wanted]
    else:
        listed = list(wanted)
        if all(isinstance(one, int | np.integer) for one in listed):
            listed = [tuple(listed)]
        found = [
            one if isinstance(one, PlaneIndex) else PlaneIndex(view, tuple(map(int, one)))
            for one in listed
        ]
    for plane in found:
        planes.check(plane)
    return tuple(dict.fromkeys(found))


def grid(shape: tuple[int, int], per_side: int) -> NDArray[np.float64]:
    """Return (n, 2) points (row, column), row by row, evenly spaced on a plane (H, W).

    At most one a pixel along each axis.

    Raises
    ------
    InputError
        If `per_side` is less than 1.
    """
    if per_side < 1:
        raise InputError(f"points_per_side={per_side} must be at least 1")
    lines = []
    for length in shape:
        count = min(per_side, length)
        lines.append((np.arange(count) + 0.5) * (length / count) - 0.5)
    rows, cols = np.meshgrid(*lines, indexing="ij")
    return np.stack([rows.ravel(), cols.ravel()], axis=1)


def steps(
    planes: ImagePlanes,
    segmenter: Callable[[], Segmenter],
    wanted: Sequence[PlaneIndex],
    per_side: int,
    keep: Callable[[PlaneCandidates], Kept],
) -> Generator[tuple[int, int], None, tuple[list[Kept], Origin]]:
    """Look for objects on planes, step by step; any thread may run it.

    Parameters
    ----------
    planes : ImagePlanes
    segmenter : callable
        Returns the model; called in the thread that runs the steps.
    wanted : sequence of PlaneIndex
    per_side : int
        Points a side of the grid.
    keep : callable
        What of a plane's candidates is kept.

    Yields
    ------
    (done, total) : tuple of int
        Parts of the work, after every block of the encoder and every batch of points.

    Returns
    -------
    list
        What `keep` gave, one a plane.
    Origin
    """
    model = segmenter()
    counts = [len(grid(planes.shape_of(plane.view), per_side)) for plane in wanted]
    costs = [count + _encoding_cost(count) for count in counts]
    before, total = 0, sum(costs)
    kept = []
    for plane, cost in zip(wanted, costs, strict=True):
        walk = _plane_steps(planes, model, plane, per_side)
        while True:
            try:
                done = next(walk)
            except StopIteration as end:
                kept.append(keep(end.value))
                break
            yield before + done, total
        before += cost
    origin = Origin(model.model_name, model.model_hash, planes.contrast_limits, planes.channel)
    return kept, origin


def _encoding_cost(count: int) -> int:
    return max(1, round(_ENCODING_SHARE * count))


def _plane_steps(
    planes: ImagePlanes, model: Segmenter, plane: PlaneIndex, per_side: int
) -> Generator[int, None, PlaneCandidates]:
    """Look for objects on one plane; yields how much of its cost is done."""
    shape = planes.shape_of(plane.view)
    points = grid(shape, per_side)
    cost = _encoding_cost(len(points))
    picture = PlanePicture(planes, plane)
    encoding = encode_tile(model, picture, TilePyramid(shape, model.picture_size).whole)
    while True:
        try:
            done, blocks = next(encoding)
        except StopIteration as end:
            embedding: Embedding = end.value
            break
        yield cost * done // blocks
    gathered = _Gathered(plane, shape)
    frame, at_once = _frame_and_batch(model, shape)
    for first in range(0, len(points), at_once):
        batch = points[first : first + at_once]
        prompts = [PlanePrompts((tuple(point),), (1,)) for point in batch.tolist()]
        answers = model.predict_many(embedding, prompts, True)
        for point, answer in zip(batch, answers, strict=True):
            gathered.add(point, answer, frame)
        yield cost + first + len(batch)
    return gathered.candidates()


def _frame_and_batch(model: Segmenter, shape: tuple[int, int]) -> tuple[Frame, int]:
    """Return how a plane lies in the model's frame, and how many points go together.

    The batch is as large as the decoder takes at a time, or smaller: its masks must not fill the
    memory, however large the plane is.
    """
    # Here, because they import torch, which a session does without until it asks the model.
    from samari.engine.decoding import CHUNK, CHUNK_ELSEWHERE
    from samari.engine.frames import FrameRule

    chunk = CHUNK.get(model.device.partition(":")[0], CHUNK_ELSEWHERE)
    fitting = _PIXELS_AT_ONCE // (3 * shape[0] * shape[1])
    return FrameRule.of(model.model.config).frame(shape), max(1, min(chunk, fitting))


class _Gathered:
    """The candidates of a plane, as they come."""

    def __init__(self, plane: PlaneIndex, shape: tuple[int, int]) -> None:
        self._plane, self._shape = plane, shape
        self._rows: list[tuple[NDArray[np.float64], int, float, float, int, Box]] = []
        self._packed: list[bytes] = []

    def add(self, point: NDArray[np.float64], answer: Prediction, frame: Frame) -> None:
        """Take the masks of a point that have any pixel."""
        for index, (own, box) in enumerate(zip(answer.crops, answer.boxes, strict=True)):
            if box is None:
                continue
            stability = stability_of(answer.logits[index], frame)
            size = int(np.count_nonzero(own))
            score = float(answer.scores[index])
            self._rows.append((point, index, score, stability, size, box))
            self._packed.append(pack(own))

    def candidates(self) -> PlaneCandidates:
        """Return all of them."""
        count = len(self._rows)
        points, candidates, scores, stabilities, sizes, boxes = (
            zip(*self._rows, strict=True) if count else [()] * 6
        )
        return PlaneCandidates(
            plane=self._plane,
            shape=self._shape,
            points=np.array(points, np.float64).reshape(count, 2),
            candidates=np.array(candidates, np.int16),
            scores=np.array(scores, np.float32),
            stabilities=np.array(stabilities, np.float32),
            sizes=np.array(sizes, np.int64),
            boxes=np.array(boxes, np.int32).reshape(count, 4),
            packed=tuple(self._packed),
        )


def stability_of(logits: NDArray[np.float32], frame: Frame) -> float:
    """Return how little a mask changes when its threshold moves by `STABILITY_OFFSET`.

    The size of the mask at the higher threshold over the size at the lower one, which contains it;
    both in pixels of the plane. See `samari.sam.masks.stability_scores`.

    Parameters
    ----------
    logits : ndarray of float32, shape (4 h, 4 w)
        Of a mask that is not empty.
    frame : Frame
    """
    # The weights of a resize add up to 1, so moving the logits moves the threshold.
    moved = np.stack([logits - STABILITY_OFFSET, logits + STABILITY_OFFSET])
    masks, _ = masks_of(moved, frame)
    inner, outer = (int(np.count_nonzero(mask)) for mask in masks)
    return inner / outer if outer else 0.0


def append(
    change: Transaction, planes: ImagePlanes, selections: Iterable[Selection], origin: Origin
) -> list[int]:
    """Give every chosen candidate an id of its own, on background only (traps 22 and 27).

    Returns
    -------
    list of int
        Labels, in the order of the selections.

    Raises
    ------
    LabelsError
        If an id does not fit the labels.
    """
    labels = []
    for selection in selections:
        for found in selection.objects:
            label = change.state.store.next_label()
            if append_one(change, planes, selection.plane, found, label, origin):
                labels.append(label)
    return labels


def details(per_side: int, thresholds: Thresholds, count: int) -> dict[str, Any]:
    """Return what a journal keeps of a run that chose `count` objects, to do it again."""
    return {"points_per_side": per_side, "thresholds": asdict(thresholds), "objects": count}


def append_one(
    change: Transaction,
    planes: ImagePlanes,
    plane: PlaneIndex,
    found: Found,
    label: int,
    origin: Origin,
) -> bool:
    """Make one chosen candidate an object; False if none of its pixels is free any more."""
    y0, x0, y1, x1 = found.box
    where = planes.label_slices(plane, slice(y0, y1), slice(x0, x1))
    if not change.write(where, found.mask, label).count:
        return False
    change.records[label] = SegmentedObject(
        label=label,
        parts=(ObjectPart(plane, found.prompts, found.candidate, found.score),),
        model=origin.model,
        model_hash=origin.model_hash,
        contrast_limits=origin.contrast_limits,
        channel=origin.channel,
    )
    return True
