"""Automatic segmentation: a click on every point of a grid, and what of it becomes objects.

Source: Kirillov et al., "Segment Anything" (2023), appendix B, "Automatic mask generation".
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from samari.engine.commit import Origin
from samari.engine.everything_plane import Look, Plan
from samari.engine.objects import ObjectPart, SegmentedObject
from samari.engine.pictures import PlanePicture
from samari.engine.planes import PlaneIndex
from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from samari.engine.candidates import Found, PlaneCandidates, Selection, Thresholds
    from samari.engine.planes import ImagePlanes
    from samari.engine.predict import Segmenter
    from samari.engine.state import Transaction

    Steps = Generator[tuple[int, int], None, "Everything"]

Kept = TypeVar("Kept")

POINTS_PER_SIDE = 32
#: Pixels of a plane that can be looked at as a whole: choosing takes an array of four times as many
#: bytes.
MAX_PLANE = 2**28


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
    planes: ImagePlanes, view: str, wanted: PlaneIndex | int | Iterable[Any] | None
) -> tuple[PlaneIndex, ...]:
    """Return the planes that are meant.

    Parameters
    ----------
    planes : ImagePlanes
    view : str
        Which planes are meant where only their index is given.
    wanted : PlaneIndex, int, sequence of int, sequence of these, or None
        An int is the index along the only further axis. None means every plane of the view.

    Raises
    ------
    InputError
        If one of them is not a plane of the image.
    """
    if wanted is None:
        lengths = zip(planes.label_axes, planes.label_shape, strict=True)
        counts = tuple(length for letter, length in lengths if letter not in view)
        found = [PlaneIndex(view, index) for index in np.ndindex(counts)]
    else:
        listed = list(wanted) if isinstance(wanted, Iterable) else [wanted]
        if all(isinstance(one, int | np.integer) for one in listed):
            listed = [tuple(listed)]
        found = [planes.plane_of(one, view) for one in listed]
    for plane in found:
        planes.check(plane)
    return tuple(dict.fromkeys(found))


def check_size(planes: ImagePlanes, wanted: Iterable[PlaneIndex]) -> None:
    """Raise an InputError if a plane is too large to choose among what is found on it."""
    most = math.isqrt(MAX_PLANE)
    for plane in wanted:
        height, width = planes.shape_of(plane.view)
        if height * width > MAX_PLANE:
            raise InputError(
                f"a plane of {height} x {width} pixels is too large to look for everything on it; "
                f"cut out a part of at most {most} x {most}, or prompt its objects one by one"
            )


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
    views = dict.fromkeys(plane.view for plane in wanted)
    plans = {view: Plan(planes.shape_of(view), model.picture_size, per_side) for view in views}
    before, total = 0, sum(plans[plane.view].cost for plane in wanted)
    kept = []
    for plane in wanted:
        plan = plans[plane.view]
        walk = Look(plan, plane, PlanePicture(planes, plane), model).steps()
        while True:
            try:
                done = next(walk)
            except StopIteration as end:
                kept.append(keep(end.value))
                break
            yield before + done, total
        before += plan.cost
    origin = Origin(model.model_name, model.model_hash, planes.contrast_limits, planes.channel)
    return kept, origin


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
