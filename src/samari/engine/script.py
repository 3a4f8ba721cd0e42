"""A session as a Python script: what was done, in the calls that do it again."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from samari.engine.journal_opening import limits_used
from samari.engine.journal_values import pixels_of
from samari.engine.label_arrays import as_box
from samari.engine.pending import PendingPart, prompted
from samari.engine.runs import runs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from samari.engine.pending import PendingObject
    from samari.engine.planes import ImagePlanes, PlaneIndex
    from samari.engine.prompts import PlanePrompts, Point
    from samari.engine.recorded import Recorded
    from samari.engine.state import Change

    Writer = Callable[[Sequence[Change], ImagePlanes], Iterator[str]]

#: What a script imports, where it uses it.
_NAMES = {
    "Segmenter": "samari",
    "PendingObject": "samari.engine.pending",
    "PendingPart": "samari.engine.pending",
    "PlaneIndex": "samari.engine.planes",
    "PlanePrompts": "samari.engine.prompts",
    "PlaneMask": "samari.engine.plane_mask",
    "Painting": "samari.engine.painting",
    "Limits": "samari.engine.propagate",
    "mask_of": "samari.engine.runs",
    "read_labels": "samari.engine.export",
}

#: What would end the docstring or begin an escape in it.
_TAME = str.maketrans({'"': "'", "\\": "/", "\n": " "})

_HEAD = '''\
"""{title}

Made by Samari {version}. Run it with the image and the name of the result:

    python THIS_SCRIPT.py IMAGE LABELS.ome.tif
"""

import sys

{imports}
IMAGE = sys.argv[1] if len(sys.argv) > 1 else {image!r}
OUTPUT = sys.argv[2] if len(sys.argv) > 2 else {output!r}

s = Session(
    read_image(IMAGE).image,
{options})
'''


def script_of(session: Recorded, image: str, output: str, labels: str) -> str:
    """Return the script of a session; see `Session.to_script`.

    Parameters
    ----------
    session : Session
    image, output, labels : str
        Names of files; empty for names made from that of the image.
    """
    from samari import __version__

    runs = session.journal.runs(session.history)
    body = list(_body(runs, session.planes, session.journal.opening["model"]))
    options = _options(session, runs, labels)
    text = "\n".join([*options, *body])
    imports: dict[str, list[str]] = {"samari": ["Session"], "samari.engine.images": ["read_image"]}
    for name, module in _NAMES.items():
        if f"{name}(" in text:
            imports.setdefault(module, []).append(name)
    stem = Path(image).name or session.name or "image.tif"
    return _HEAD.format(
        title=f"The objects of {stem}, made again from their prompts.".translate(_TAME),
        version=__version__,
        image=image or stem,
        output=output or f"{stem.split('.')[0]}-labels.ome.tif",
        imports="".join(
            f"from {module} import {', '.join(names)}\n"
            for module, names in sorted(imports.items())
        ),
        options="".join(f"    {option},\n" for option in options),
    ) + "".join(f"{line}\n" for line in [*body, "", "s.save(OUTPUT)"])


def _options(session: Recorded, runs: Sequence[Sequence[Change]], labels: str) -> list[str]:
    """Return the keywords of the session."""
    opening = session.journal.opening
    changes = (change for run in runs for change in run)
    records = (record for change in changes for _, _, record in change.records)
    values = {
        "model": opening["model"],
        "axes": session.planes.axes,
        "rgb": session.planes.rgb or None,
        "channel": session.planes.channel,
        "contrast_limits": limits_used(opening, records),
        "scale": session.scale,
        "units": session.units,
        "translate": session.translate,
        "name": session.name,
    }
    found = [f"{name}={value!r}" for name, value in values.items() if value is not None]
    if opening["labels"]["from"] != "background":
        found.append(f"labels=read_labels({labels or 'labels.ome.tif'!r}).labels")
    return found


def _body(runs: Sequence[Sequence[Change]], planes: ImagePlanes, model: str) -> Iterator[str]:
    """Return the lines of all steps."""
    view, overwrite = "YX", False
    for run in runs:
        change = run[0]
        used = change.details.get("model", model)
        if used != model:
            model = used
            yield f"s.segmenter = Segmenter({model!r})"
        if change.name == "accept":
            wanted = bool(change.details.get("overwrite"))
            if wanted != overwrite:
                overwrite = wanted
                yield f"s.overwrite = {wanted}"
            calls, view = _prompts(change.pending[0], planes, view)
            yield from calls
            yield "s.accept()"
        elif change.name == "everything":
            yield from _everything(run)
        else:
            yield from WRITERS.get(change.name, _pixels)(run, planes)


def _prompts(
    pending: Sequence[PendingObject], planes: ImagePlanes, view: str
) -> tuple[list[str], str]:
    """Return the calls that make some objects pending, the plainest that do, and the view then."""
    made: tuple[PendingObject, ...] = ()
    calls: list[str] = []
    now = view
    for part in [part for obj in pending for part in obj.parts]:
        if part.plane.view != now:
            now = part.plane.view
            calls.append(f"s.view = {now!r}")
        made = _plain_calls(part, planes, made, calls)
    if made == tuple(pending):
        return calls, now
    objects = ",\n    ".join(_object(obj) for obj in pending)
    return [f"s.set_pending([\n    {objects},\n])"], view


def _plain_calls(
    part: PendingPart,
    planes: ImagePlanes,
    made: tuple[PendingObject, ...],
    calls: list[str],
) -> tuple[PendingObject, ...]:
    """Append `add_box`, `add_point` and `choose` for a part; return what they make pending."""
    prompts, plane = part.prompts, part.plane
    step = 0
    if prompts.box is not None:
        y0, x0, y1, x1 = prompts.box
        corners = [planes.to_volume(corner, plane) for corner in ((y0, x0), (y1, x1))]
        calls.append(f"s.add_box({_numbers(corners[0])}, {_numbers(corners[1])})")
        box = prompts.box
        made = prompted(made, plane, lambda p: p.with_box(box), region=True)
        made = _chosen(made, prompts.choice(0), calls)
        step = 1
    for point, label in zip(prompts.points, prompts.labels, strict=True):
        where = _numbers(planes.to_volume(point, plane))
        calls.append(f"s.add_point({where}{'' if label else ', label=0'})")
        made = prompted(made, plane, partial(_with_point, point, label), region=False)
        made = _chosen(made, prompts.choice(step), calls)
        step += 1
    return made


def _with_point(point: Point, label: int, prompts: PlanePrompts) -> PlanePrompts:
    return prompts.with_point(point, label)


def _chosen(
    made: tuple[PendingObject, ...], choice: int | None, calls: list[str]
) -> tuple[PendingObject, ...]:
    if choice is None:
        return made
    calls.append(f"s.choose({choice})")
    newest = made[-1].newest
    part = PendingPart(newest.plane, newest.prompts.with_choice(choice))
    return (*made[:-1], made[-1].with_part(part))


def _object(obj: PendingObject) -> str:
    """Return a pending object as an expression."""
    parts = ", ".join(
        f"PendingPart({_plane(part.plane)}, {_prompt_value(part.prompts)})" for part in obj.parts
    )
    more = ""
    if obj.replaces is not None:
        scope = "".join(f"{_plane(plane)}, " for plane in obj.scope)
        more = f", replaces={obj.replaces}, scope=({scope})"
    return f"PendingObject(({parts},){more})"


def _prompt_value(prompts: PlanePrompts) -> str:
    fields = [
        f"{name}={getattr(prompts, name)!r}"
        for name in ("points", "labels", "box", "choices")
        if getattr(prompts, name)
    ]
    if prompts.mask is not None:
        mask = prompts.mask
        fields.append(f"mask=PlaneMask({_mask(mask.crop)}, {mask.corner}, {mask.shape})")
    if prompts.painted is not None:
        added, removed = prompts.painted.added, prompts.painted.removed
        corner = prompts.painted.corner
        fields.append(f"painted=Painting({corner!r}, {_mask(added)}, {_mask(removed)})")
    return f"PlanePrompts({', '.join(fields)})"


def _plane(plane: PlaneIndex) -> str:
    return f"PlaneIndex({plane.view!r}, {plane.index!r})"


def _mask(mask: NDArray[np.bool_]) -> str:
    return f"mask_of({runs_of(mask)}, {mask.shape})"


def _numbers(values: Sequence[float]) -> str:
    """Return a position; whole numbers without a fraction, which are as exact."""
    return f"({', '.join(str(int(v)) if v == int(v) else repr(float(v)) for v in values)})"


def _everything(parts: Sequence[Change]) -> Iterator[str]:
    """Write one automatic run: as the call it was, or object by object if not all of it is left."""
    details = parts[0].details
    objects = [record for change in parts for _, _, record in change.records if record is not None]
    if "thresholds" in details and len(objects) == details.get("objects"):
        seen = dict.fromkeys(record.parts[0].plane for record in objects)
        options = {"points_per_side": details["points_per_side"], **(details["thresholds"] or {})}
        named = "".join(f", {name}={value!r}" for name, value in options.items())
        yield f"s.segment_everything([{', '.join(map(_plane, seen))}]{named})"
        return
    for record in objects:
        part = record.parts[0]
        yield (
            f"s.set_pending([PendingObject((PendingPart({_plane(part.plane)}, "
            f"{_prompt_value(part.prompts)}),))])"
        )
        yield "s.accept()"


def _pixels(run: Sequence[Change], planes: ImagePlanes) -> Iterator[str]:
    """Write a hand edit, or what only later versions can do again: the pixels themselves."""
    for pixels in [pixels for change in run for pixels in pixels_of(change)]:
        box = as_box(pixels.box, planes.label_shape)
        corner = tuple(axis.start for axis in box)
        yield f"s.brush({_mask(pixels.mask)}, {pixels.label}, {corner})"


def _delete(run: Sequence[Change], planes: ImagePlanes) -> Iterator[str]:
    yield f"s.delete({run[0].details['label']})"


def _merge(run: Sequence[Change], planes: ImagePlanes) -> Iterator[str]:
    yield f"s.merge({run[0].details['kept']}, {run[0].details['gone']})"


def _propagate(run: Sequence[Change], planes: ImagePlanes) -> Iterator[str]:
    details = run[-1].details
    if "limits" not in details:  # cancelled, or something else was done beside it
        yield from _pixels(run, planes)
        return
    limits = ", ".join(f"{name}={value!r}" for name, value in details["limits"].items())
    yield (
        f"s.propagate({details['labels']}, {details['axis']!r}, {tuple(details['range'])}, "
        f"limits=Limits({limits}))"
    )


#: How a step is written, by its name; all others are written pixel by pixel.
WRITERS: dict[str, Writer] = {
    "delete": _delete,
    "merge": _merge,
    "propagate": _propagate,
}
