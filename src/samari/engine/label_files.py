"""Reading label TIFFs: Samari's own exactly, all others as well as their tags allow."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from samari.engine.label_dtype import stored_axes
from samari.engine.tiff import opened_tiff, read_tiff
from samari.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Of the map annotation in the OME-XML that holds what OME has no field for.
NAMESPACE = "samari/labels"
_SOFTWARE = "samari labels"


@dataclass(frozen=True)
class LabelFile:
    """The contents of a label file.

    Attributes
    ----------
    labels : ndarray of bool or int
        Shape by `axes`; dtype of the file, or the smallest unsigned one for whole-numbered floats.
    axes : str
        Letters of TCZYX.
    scale, translate : tuple of float, or None
        One an axis, in `units`; None where the file says nothing.
    units : tuple of str, or None
        One an axis, e.g. "micrometer".
    """

    labels: NDArray[Any]
    axes: str
    scale: tuple[float, ...] | None = None
    units: tuple[str, ...] | None = None
    translate: tuple[float, ...] | None = None


def label_software() -> str:
    """Return what the Software tag of our label files says."""
    from samari import __version__

    return f"{_SOFTWARE} {__version__}"


def is_label_file(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a label TIFF that Samari saved; reads its first page's tags only.

    False, not an error, for whatever is no readable TIFF.
    """
    if not os.path.isfile(path):
        return False
    try:
        with opened_tiff(path) as tiff:
            return str(tiff.pages.first.software).startswith(_SOFTWARE)
    except InputError:
        return False


def read_labels(path: str | os.PathLike[str]) -> LabelFile:
    """Read labels from a TIFF.

    A file of `save_labels` comes back with the axes, voxel size, units and translate it was saved
    with. For others (OME-TIFF, ImageJ, plain) see `read_tiff`; their stage positions are not taken
    as translate, because napari does not place images by them either.

    Raises
    ------
    InputError
        If the file is missing or damaged, or holds colours or fractions instead of labels.
    """
    with opened_tiff(path) as tiff:
        exact = _annotation(tiff.ome_metadata if tiff.is_ome else None)
        if exact is not None and math.prod(exact["shape"]) == tiff.series[0].size:
            return _restored(tiff.asarray(series=0), exact)
    image = read_tiff(path)
    if image.rgb:
        raise InputError(f"{path} is a colour image, not labels")
    return LabelFile(
        _whole_numbers(np.asarray(image.image), path), image.axes, image.scale, image.units
    )


def _annotation(xml: str | None) -> dict[str, Any] | None:
    """Return what `save_labels` noted, or None if it is not there or was damaged."""
    try:
        root = ElementTree.fromstring(xml or "<none/>")
        for annotation in root.iter():
            if annotation.get("Namespace") == NAMESPACE:
                pairs = ((entry.get("K"), entry.text) for entry in annotation.iter())
                entries = {key: json.loads(text or "null") for key, text in pairs if key}
                return entries if {"axes", "shape"} <= set(entries) else None
    except (ElementTree.ParseError, ValueError):
        pass
    return None


def _restored(stored: NDArray[Any], exact: dict[str, Any]) -> LabelFile:
    """Return labels in the axes they were saved with, single-element axes included."""
    axes, shape = exact["axes"], exact["shape"]
    order = stored_axes(axes)
    labels = stored.reshape([shape[axes.index(letter)] for letter in order])
    labels = labels.transpose([order.index(letter) for letter in axes])
    scale, units, translate = (
        None if exact.get(key) is None else tuple(exact[key])
        for key in ("scale", "units", "translate")
    )
    return LabelFile(np.ascontiguousarray(labels), axes, scale, units, translate)


def _whole_numbers(labels: NDArray[Any], path: str | os.PathLike[str]) -> NDArray[Any]:
    """Return `labels` as integers: Fiji and CellProfiler save many labels as 32-bit floats."""
    if labels.dtype.kind in "bui":
        return labels
    if not np.isfinite(labels).all() or labels.min() < 0 or (labels % 1).any():
        raise InputError(
            f"{path} holds {labels.dtype} values that are no labels (whole numbers >= 0)"
        )
    return labels.astype(np.min_scalar_type(int(labels.max())))
