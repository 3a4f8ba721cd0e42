"""The first line of a journal: which image and which labels a session began with."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.journal_lines import VERSION, now
from samari.engine.new_labels import new_labels
from samari.engine.runs import array_of, value_runs
from samari.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from samari.engine.annotation import Annotation
    from samari.engine.objects import SegmentedObject
    from samari.engine.planes import ImagePlanes

#: Labels that were there at the beginning are part of the journal up to so many bytes.
_EMBEDDED = 1 << 25
#: About so many values of an array are its fingerprint.
_SAMPLED = 1 << 16


def fingerprint(array: Any) -> str | None:
    """Return a hash of evenly spaced values of an array in memory; None of any other.

    An array on disk or in a graph of computations is not read: its shape has to do.
    """
    if not isinstance(array, np.ndarray) or isinstance(array, np.memmap):
        return None
    step = max(1, round((array.size / _SAMPLED) ** (1 / max(1, array.ndim))))
    sample = np.ascontiguousarray(array[(slice(None, None, step),) * array.ndim])
    head = repr((array.shape, sample.dtype.str.lstrip("<>=|"))).encode()
    little = sample.astype(sample.dtype.newbyteorder("<"), copy=False)
    return hashlib.blake2b(head + little.tobytes(), digest_size=16).hexdigest()


def image_json(planes: ImagePlanes, name: str | None) -> dict[str, Any]:
    """Return what tells an image from others, without reading one that is not in memory."""
    return {
        "name": None if name is None else str(name),
        "axes": planes.axes,
        "rgb": bool(planes.rgb),
        "shape": list(map(int, planes.image.shape)),
        "dtype": str(planes.image.dtype),
        "fingerprint": fingerprint(planes.image),
    }


def opening_of(
    session: Annotation, *, limits: Any, model: str, overwrite: bool, empty: bool
) -> Callable[[], dict[str, Any]]:
    """Remember how a session begins; return a function that makes the line of it.

    `empty` says that its labels are all background. The function may be called later, and in
    another thread: it holds a copy of the labels.
    """
    planes, labels = session.planes, session.labels
    value: dict[str, Any] = {
        "line": "open",
        "version": VERSION,
        "time": now(),
        "image": image_json(planes, session.name),
        "channel": None if planes.channel is None else int(planes.channel),
        "contrast_limits": None if limits is None else [float(limit) for limit in limits],
        "scale": _listed(session.scale),
        "units": _listed(session.units),
        "translate": _listed(session.translate),
        "model": model,
        "overwrite": bool(overwrite),
    }
    dtype = np.dtype(labels.dtype)
    began: dict[str, Any] = {"dtype": str(dtype), "from": "background"}
    copy = None
    if not empty:
        small = np.prod(labels.shape, dtype=np.int64) * dtype.itemsize <= _EMBEDDED
        copy = np.array(labels) if small else None
        began |= {"from": "runs" if small else "elsewhere", "fingerprint": fingerprint(labels)}

    def line() -> dict[str, Any]:
        from samari import __version__

        runs = {} if copy is None else {"runs": value_runs(copy)}
        return {**value, "samari": __version__, "labels": {**began, **runs}}

    return line


def limits_used(
    value: dict[str, Any], records: Iterable[SegmentedObject | None]
) -> tuple[float, ...] | None:
    """Return the contrast limits of a journal's session; None if nothing was found with any.

    Where none were given the session found its own, from all of an image in memory, from a part of
    one on disk: each object that a model made tells which.

    Parameters
    ----------
    value : dict
        The first line.
    records : iterable of SegmentedObject or None
        Rows of the object table, as the steps wrote them.
    """
    if value["contrast_limits"] is not None:
        return tuple(value["contrast_limits"])
    used = (record.contrast_limits for record in records if record is not None)
    return next((limits for limits in used if limits is not None), None)


def check_opening(value: dict[str, Any], name: str) -> None:
    """Raise a JournalError unless this is the first line of a journal that can be read here."""
    if value["line"] != "open" or not isinstance(value.get("version"), int):
        raise JournalError(f"{name} is no journal of Samari: its first line does not open one")
    if value["version"] > VERSION:
        raise JournalError(
            f"the journal {name} has version {value['version']}, this Samari reads up to "
            f"{VERSION}; it was written by Samari {value.get('samari')}: update Samari"
        )


def check_image(value: dict[str, Any], planes: ImagePlanes, name: str, *, content: bool) -> None:
    """Raise a JournalError unless an image is the one that a journal begins with.

    Parameters
    ----------
    value : dict
        The first line.
    planes : ImagePlanes
    name : str
        Of the journal, for messages.
    content : bool
        Whether values that differ are an error too, besides another shape.
    """
    there, here = value["image"], image_json(planes, None)
    for field in ("shape", "axes", "rgb"):
        if there[field] != here[field]:
            raise JournalError(
                f"the journal {name} belongs to an image of {field} {there[field]}, this one has "
                f"{here[field]}; open {_named(there)} that it was made on"
            )
    if content and not same_values(value, planes):
        raise JournalError(
            f"the journal {name} belongs to another image of the same shape: the values differ; "
            f"open {_named(there)} that it was made on, or let the model answer on this one "
            "(Session.replay, or samari replay without --stored)"
        )


def same_values(value: dict[str, Any], planes: ImagePlanes) -> bool:
    """Return whether an image has the values of the one in a journal's first line.

    True too where one of them was too large to be looked at.
    """
    prints = value["image"]["fingerprint"], image_json(planes, None)["fingerprint"]
    return None in prints or prints[0] == prints[1]


def _named(image: dict[str, Any]) -> str:
    return f"the image {image['name']!r}" if image["name"] else "the image"


def initial_labels(value: dict[str, Any], planes: ImagePlanes, labels: Any, name: str) -> Any:
    """Return the labels that a journal begins with, in `labels` if these are given.

    Raises
    ------
    JournalError
        If it does not hold them, and they were not given.
    """
    began = value["labels"]
    shape = planes.label_shape
    if began["from"] == "elsewhere":
        if labels is None:
            raise JournalError(
                f"the journal {name} began with labels that are too large to be in it; give them "
                f"as labels=..."
            )
        return labels
    if began["from"] == "background":
        return new_labels(shape, began["dtype"]) if labels is None else labels
    return array_of(began["runs"], shape, began["dtype"]) if labels is None else labels


def _listed(values: Any) -> list[Any] | None:
    return None if values is None else [v if isinstance(v, str) else float(v) for v in values]
