"""What accept, delete, merge and reopen do to labels, object table and pending objects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from samari.engine.objects import ObjectPart, SegmentedObject
from samari.engine.pending import PendingObject, PendingPart, mask_prompts
from samari.engine.plane_mask import PlaneMask
from samari.engine.planes import PlaneIndex
from samari.errors import InputError, LabelsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samari.engine.label_arrays import Box
    from samari.engine.planes import ImagePlanes
    from samari.engine.prediction import Prediction
    from samari.engine.state import SessionState, Transaction

#: Planes that a message names one by one.
_NAMED = 3


@dataclass(frozen=True)
class Origin:
    """What all objects accepted now have in common; see `SegmentedObject`."""

    model: str
    model_hash: str
    contrast_limits: tuple[float, float] | None
    channel: int | None


def accept(
    change: Transaction,
    planes: ImagePlanes,
    predictions: Sequence[Sequence[Prediction]],
    origin: Origin,
    *,
    overwrite: bool = False,
) -> list[int]:
    """Write all pending objects, each with its own id, and record where they came from.

    Traps 4, 21, 22 and 28: one id an object on all its planes; earlier objects and painted pixels
    stay, also those of the objects accepted in the same call.

    Parameters
    ----------
    change : Transaction
    planes : ImagePlanes
    predictions : sequence of sequence of Prediction
        For every pending object, for every part of it.
    origin : Origin
    overwrite : bool
        Whether pixels of other objects are taken, those of the same call excepted. Objects that
        lose all their pixels are forgotten with the same step.

    Returns
    -------
    list of int
        Labels, in the order of the pending objects.

    Raises
    ------
    LabelsError
        If a mask is empty or wholly covered by other objects, or an id does not fit.
    """
    labels: list[int] = []
    taken: set[int] = set()
    for obj, answers in zip(change.state.pending, predictions, strict=True):
        label = obj.replaces if obj.replaces is not None else change.state.store.next_label()
        if obj.replaces is not None:
            for plane in dict.fromkeys((*obj.scope, *obj.planes)):
                change.relabel(label, 0, planes.label_slices(plane))
        masks = [
            (
                planes.label_slices(part.plane, slice(y0, y1), slice(x0, x1)),
                answer.crops[answer.chosen],
            )
            for part, answer in zip(obj.parts, answers, strict=True)
            for y0, x0, y1, x1 in [answer.bbox(answer.chosen) or (0, 0, 0, 0)]
        ]
        keep = labels if overwrite else None
        edits = [change.write(where, mask, label, keep=keep) for where, mask in masks]
        if not sum(edit.count for edit in edits):
            raise LabelsError(_why_nothing_was_written(change, planes, obj, masks))
        change.records[label] = _record(change, obj, label, answers, origin)
        labels.append(label)
        if overwrite:
            taken.update(*(edit.labels for edit in edits))
    for label in taken.difference(labels):
        if label in change.state.objects and change.state.store.extent(label) is None:
            change.records[label] = None
    change.pending = ()
    return labels


def delete(change: Transaction, labels: Sequence[int]) -> None:
    """Make all pixels of some objects background; their pending replacements go too.

    Raises
    ------
    InputError
        If one of them does not exist.
    """
    found = change.relabel(labels, 0).union(change.state.objects)
    for label in labels:
        if label not in found:
            raise InputError(f"there is no object {label} in the labels")
        change.records[label] = None
    gone = set(labels)
    change.pending = tuple(obj for obj in change.pending if obj.replaces not in gone)


def merge(change: Transaction, kept: int, gone: Sequence[int]) -> None:
    """Give an object the pixels and the origins of other ones.

    Raises
    ------
    InputError
        If one of them does not exist or is being edited, or is the object itself.
    """
    if kept in gone:
        raise InputError(f"object {kept} cannot be merged with itself; name two objects")
    store, objects = change.state.store, change.state.objects
    edited = {obj.replaces for obj in change.pending}
    for label in (kept, *gone):
        if label in edited:
            raise InputError(f"object {label} is being edited; accept or discard it, then merge")
    names = ", ".join(map(str, gone[:_NAMED]))
    if kept < 1 or store.extent(kept) is None:
        raise InputError(f"there is no object {kept} in the labels to merge object {names} into")
    found = change.relabel([label for label in gone if label > 0], kept)
    whole = change.records.get(kept) or objects.get(kept) or SegmentedObject(kept)
    for label in gone:
        if label not in found:
            raise InputError(
                f"there is no object {label} in the labels to merge into object {kept}"
            )
        part = objects.get(label) or SegmentedObject(label)
        change.records[label] = None
        if whole.parts or part.parts:
            whole = replace(whole, merged=(*whole.merged, part))
            change.records[kept] = whole


def reopened(
    state: SessionState, planes: ImagePlanes, label: int, view: str, plane: PlaneIndex | None
) -> PendingObject:
    """Return the pending object that an accepted one becomes again; nothing is changed.

    It has the prompts it was accepted with. An object that has none, or was merged, starts from its
    mask: mask prompt and box.

    Parameters
    ----------
    state : SessionState
    planes : ImagePlanes
    label : int
    view : str
        Which planes an object without prompts is cut into.
    plane : PlaneIndex or None
        Only this plane of the object; None for all.

    Raises
    ------
    InputError
        If there is no such object, or not on that plane.
    """
    record = state.objects.get(label)
    if record is not None and record.reopens_from_prompts:
        # Without prompts are planes that were propagated: they follow from the others.
        prompted = [part for part in record.parts if not part.prompts.is_empty]
        parts = [PendingPart(part.plane, part.prompts) for part in prompted]
        parts = [part for part in parts if plane in (None, part.plane)]
    else:
        parts = []
    if not parts and label > 0:
        slices = () if plane is None else planes.label_slices(plane)
        box = state.store.extent(label, slices)
        if box is not None:
            wanted = _planes_across(planes, box, view) if plane is None else [plane]
            found = (_part_from_mask(state, planes, label, p, box) for p in wanted)
            parts = [part for part in found if part is not None]
    if not parts:
        where = _on(planes, () if plane is None else (plane,)) or " in the labels"
        raise InputError(f"there is no object {label}{where}")
    return PendingObject(tuple(parts), replaces=label, scope=tuple(part.plane for part in parts))


def _record(
    change: Transaction,
    obj: PendingObject,
    label: int,
    answers: Sequence[Prediction],
    origin: Origin,
) -> SegmentedObject:
    """Return the new row of the object table; parts on planes that were not reopened stay."""
    old = change.state.objects.get(label) if obj.replaces is not None else None
    redone = {*obj.scope, *obj.planes}
    kept = [part for part in old.parts if part.plane not in redone] if old else []
    new = [
        ObjectPart(part.plane, part.prompts, answer.chosen, answer.score)
        for part, answer in zip(obj.parts, answers, strict=True)
    ]
    return SegmentedObject(
        label=label,
        parts=(*kept, *new),
        model=origin.model,
        model_hash=origin.model_hash,
        contrast_limits=origin.contrast_limits,
        channel=origin.channel,
        merged=old.merged if old is not None and not _lies_within(old.merged, redone) else (),
    )


def _lies_within(records: Sequence[SegmentedObject], planes: set[PlaneIndex]) -> bool:
    """Whether all pixels of some objects are known to come from prompts on these planes."""
    return all(
        record.parts
        and all(part.plane in planes for part in record.parts)
        and _lies_within(record.merged, planes)
        for record in records
    )


def _why_nothing_was_written(
    change: Transaction,
    planes: ImagePlanes,
    obj: PendingObject,
    masks: Sequence[tuple[tuple[int | slice, ...], NDArray[np.bool_]]],
) -> str:
    """Say why an object has no pixel of its own, and what to do."""
    mask_on = f"the mask{_on(planes, obj.planes)}"
    found: set[int] = set()
    for slices, mask in masks:
        found.update(np.unique(change.state.store.read(slices)[mask]).tolist())
    if not found:
        return (
            f"{mask_on} is empty: nothing was accepted; "
            f"add a positive point or a box, or discard the prompts"
        )
    known = sorted(label for label in found if label <= change.highest_before)
    others = f"object {' and '.join(map(str, known))}" if known else "another pending object"
    return (
        f"{mask_on} is wholly covered by {others}: nothing was accepted; "
        f"discard the prompts, or delete what covers them"
    )


def _on(planes: ImagePlanes, where: Sequence[PlaneIndex]) -> str:
    """Say on which planes, in a user's words; "" where the image has only one."""
    names = [name for plane in where if (name := planes.name_of(plane))]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f" on {'; '.join(names[:_NAMED])}{more}" if names else ""


def _planes_across(planes: ImagePlanes, box: Box, view: str) -> list[PlaneIndex]:
    """Return the planes of a view that a box of the labels crosses."""
    view = planes.canonical_view(view)
    across = [s for s, letter in zip(box, planes.label_axes, strict=True) if letter not in view]
    spans = [range(s.start, s.stop) for s in across]
    return [PlaneIndex(view, index) for index in product(*spans)]


def _part_from_mask(
    state: SessionState, planes: ImagePlanes, label: int, plane: PlaneIndex, box: Box
) -> PendingPart | None:
    """Return a part that starts from the pixels of a label in a box; None if it has none there."""
    within = [s for s, letter in zip(box, planes.label_axes, strict=True) if letter in plane.view]
    rows, cols = within
    mask = state.store.read(planes.label_slices(plane, rows, cols)) == label
    if not mask.any():
        return None
    whole = PlaneMask(mask, (rows.start, cols.start), planes.shape_of(plane.view))
    return PendingPart(plane, mask_prompts(whole))
