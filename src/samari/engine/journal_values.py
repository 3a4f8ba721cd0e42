"""What a journal says of prompts, objects and pixels, as JSON values and back.

Numbers are written by Python's `repr`, so every float comes back as it was, in any locale (trap
42). Whatever is no such value raises a `KeyError`, `TypeError` or `ValueError` when it is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import find_objects

from samari.engine.history import Opaque
from samari.engine.objects import ObjectPart, SegmentedObject
from samari.engine.painting import Painting
from samari.engine.pending import PendingObject, PendingPart
from samari.engine.plane_mask import PlaneMask
from samari.engine.planes import PlaneIndex
from samari.engine.prompts import PlanePrompts
from samari.engine.runs import crop_of, mask_of, plane_runs, runs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from samari.engine.label_arrays import Box
    from samari.engine.labels import LabelEdit
    from samari.engine.state import Change

    Json = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Pixels:
    """Pixels of the labels that got one value.

    Attributes
    ----------
    box : tuple of slice
        One slice an axis.
    mask : ndarray of bool
        Of the shape of the box.
    label : int
    """

    box: Box
    mask: NDArray[np.bool_]
    label: int


def pixels_of(change: Change) -> list[Pixels]:
    """Return what a step wrote into the labels, in the order in which it did."""
    return [pixels for edit in change.edits for pixels in _pixels_of_edit(edit)]


def _pixels_of_edit(edit: LabelEdit | Opaque) -> Iterator[Pixels]:
    if not isinstance(edit, Opaque):
        if edit.count:
            box = edit.bbox
            shape = [axis.stop - axis.start for axis in box]
            yield Pixels(box, edit.mask.reshape(shape), edit.label)
        return
    if edit.change is None:
        return
    box, before, after = edit.change
    changed = np.ones(after.shape, bool) if before is None else np.asarray(before != after)
    if (changed & (after <= 0)).any():
        for label in np.unique(after[changed & (after <= 0)]).tolist():
            yield Pixels(box, changed & (after == label), label)
    present, numbers = np.unique(np.where(changed & (after > 0), after, 0), return_inverse=True)
    first = int(present[0] == 0)
    places = find_objects(numbers.reshape(after.shape).astype(np.int32) + (1 - first))
    for label, place in zip(present[first:].tolist(), places, strict=True):
        part = tuple(
            slice(outer.start + inner.start, outer.start + inner.stop)
            for outer, inner in zip(box, place, strict=True)
        )
        yield Pixels(part, changed[place] & (after[place] == label), label)


def pixels_json(pixels: Pixels) -> Json:
    """Return pixels as JSON values."""
    return {
        "at": [[axis.start, axis.stop] for axis in pixels.box],
        "label": pixels.label,
        "runs": runs_of(pixels.mask),
    }


def read_pixels(value: Json) -> Pixels:
    """Return the pixels that `pixels_json` wrote."""
    box = tuple(slice(int(start), int(stop)) for start, stop in value["at"])
    shape = [axis.stop - axis.start for axis in box]
    return Pixels(box, mask_of(value["runs"], shape), int(value["label"]))


def mask_json(mask: NDArray[np.bool_]) -> Json:
    """Return a mask as JSON values."""
    return {"shape": list(mask.shape), "runs": runs_of(mask)}


def read_mask(value: Json) -> NDArray[np.bool_]:
    """Return the mask that `mask_json` wrote."""
    return mask_of(value["runs"], value["shape"])


def plane_mask_json(mask: PlaneMask) -> Json:
    """Return a mask prompt as JSON values: those of `mask_json` of its whole plane."""
    return {
        "shape": list(mask.shape),
        "runs": plane_runs(mask.crop, mask.corner, mask.shape[1]),
    }


def read_plane_mask(value: Json) -> PlaneMask:
    """Return the mask prompt that `plane_mask_json` wrote."""
    return PlaneMask(*crop_of(value["runs"], value["shape"]), tuple(value["shape"]))


def prompts_json(prompts: PlanePrompts) -> Json:
    """Return prompts as JSON values; what is empty is left out."""
    painted = prompts.painted
    found = {
        "points": [list(point) for point in prompts.points],
        "labels": list(prompts.labels),
        "box": None if prompts.box is None else list(prompts.box),
        "mask": None if prompts.mask is None else plane_mask_json(prompts.mask),
        "choices": list(prompts.choices),
        "painted": None
        if painted is None
        else {
            "corner": list(painted.corner),
            "added": mask_json(painted.added),
            "removed": mask_json(painted.removed),
        },
    }
    return {key: value for key, value in found.items() if value not in (None, [])}


def read_prompts(value: Json) -> PlanePrompts:
    """Return the prompts that `prompts_json` wrote."""
    mask, painted = value.get("mask"), value.get("painted")
    return PlanePrompts(
        points=tuple(tuple(point) for point in value.get("points", ())),
        labels=tuple(value.get("labels", ())),
        box=value.get("box"),
        mask=None if mask is None else read_plane_mask(mask),
        choices=tuple(value.get("choices", ())),
        painted=None
        if painted is None
        else Painting(
            tuple(painted["corner"]), read_mask(painted["added"]), read_mask(painted["removed"])
        ),
    )


def plane_json(plane: PlaneIndex) -> Json:
    """Return a plane as JSON values."""
    return {"view": plane.view, "index": list(plane.index)}


def read_plane(value: Json) -> PlaneIndex:
    """Return the plane that `plane_json` wrote."""
    return PlaneIndex(str(value["view"]), tuple(value["index"]))


def pending_json(pending: PendingObject) -> Json:
    """Return a pending object as JSON values."""
    found: Json = {
        "parts": [
            {"plane": plane_json(part.plane), "prompts": prompts_json(part.prompts)}
            for part in pending.parts
        ]
    }
    if pending.replaces is not None:
        found["replaces"] = pending.replaces
        found["scope"] = [plane_json(plane) for plane in pending.scope]
    return found


def read_pending(value: Json) -> PendingObject:
    """Return the pending object that `pending_json` wrote."""
    parts = tuple(
        PendingPart(read_plane(part["plane"]), read_prompts(part["prompts"]))
        for part in value["parts"]
    )
    scope = tuple(read_plane(plane) for plane in value.get("scope", ()))
    replaces = value.get("replaces")
    return PendingObject(parts, None if replaces is None else int(replaces), scope)


def record_json(record: SegmentedObject) -> Json:
    """Return a row of the object table as JSON values."""
    limits, crop = record.contrast_limits, record.crop
    return {
        "label": record.label,
        "parts": [
            {
                "plane": plane_json(part.plane),
                "prompts": prompts_json(part.prompts),
                "candidate": int(part.candidate),
                "score": float(part.score),
            }
            for part in record.parts
        ],
        "model": record.model,
        "model_hash": record.model_hash,
        "contrast_limits": None if limits is None else [float(limit) for limit in limits],
        "channel": record.channel,
        "crop": None if crop is None else [int(number) for number in crop],
        "merged": [record_json(other) for other in record.merged],
    }


def read_record(value: Json) -> SegmentedObject:
    """Return the row that `record_json` wrote."""
    limits, crop = value["contrast_limits"], value["crop"]
    return SegmentedObject(
        label=int(value["label"]),
        parts=tuple(
            ObjectPart(
                read_plane(part["plane"]),
                read_prompts(part["prompts"]),
                int(part["candidate"]),
                float(part["score"]),
            )
            for part in value["parts"]
        ),
        model=str(value["model"]),
        model_hash=str(value["model_hash"]),
        contrast_limits=None if limits is None else (float(limits[0]), float(limits[1])),
        channel=value["channel"],
        crop=None if crop is None else tuple(int(number) for number in crop),
        merged=tuple(read_record(other) for other in value["merged"]),
    )
