"""Saves a Labels layer from napari's File menu, as Samari's own Save does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samari.engine.axes import DEFAULT_AXES, check_axes
from samari.engine.export import save_labels
from samari.engine.journal import beside, copy_journal
from samari.engine.journal_file import is_held
from samari.errors import ExportError, InputError, SamariError
from samari.plugin import notices
from samari.plugin.journal_sync import KEY
from samari.plugin.large_labels import KEY as LARGE


def write_labels(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save a labels layer as an OME-TIFF with axes, voxel size and units, its journal beside it.

    Parameters
    ----------
    path : str
    data : array of int
    meta : dict
        The layer's metadata, as napari hands it to writers.

    Returns
    -------
    list of str
        The path that was written.

    Raises
    ------
    ExportError, InputError
        If it cannot be written, or the layer has more axes than a TIFF of labels.
    """
    large = (meta.get("metadata") or {}).get(LARGE)
    if large is not None:
        save_labels(path, large.array, **large.saved)
        _save_journal(meta["metadata"].get(KEY), path)
        return [path]
    ndim = len(data.shape)
    if ndim not in DEFAULT_AXES:
        raise InputError(f"labels with {ndim} axes cannot be saved; 2 to 5 axes are supported")
    units = [str(unit) for unit in meta.get("units") or ()]
    save_labels(
        path,
        data,
        _axes(meta.get("axis_labels"), tuple(data.shape)),
        scale=_floats(meta.get("scale"), ndim),
        translate=_floats(meta.get("translate"), ndim),
        units=units if len(units) == ndim and set(units) != {"pixel"} else None,
        name=meta.get("name"),
    )
    _save_journal((meta.get("metadata") or {}).get(KEY), path)
    return [path]


def _save_journal(journal: Any, path: str) -> None:
    """Put a copy of the layer's journal, if it has one, beside the file; if not, say so."""
    target = beside(path)
    if journal is None or Path(journal) == target or not Path(journal).is_file():
        return
    try:
        if is_held(target):
            raise ExportError(f"{target} is in use")
        copy_journal(journal, path)
    except SamariError as error:
        notices.warn(f"The labels were saved, but not their journal: {error}")


def _axes(labels: Any, shape: tuple[int, ...]) -> str:
    """Return the axes that a layer's axis labels name, else the default ones."""
    try:
        return check_axes("".join(str(label)[:1] for label in labels or ()), shape, "labels")
    except InputError:
        return DEFAULT_AXES[len(shape)]


def _floats(values: Any, ndim: int) -> list[float] | None:
    numbers = [] if values is None else [float(value) for value in values]
    return numbers if len(numbers) == ndim else None
