"""Opens label TIFFs that Samari saved as Labels that lie on their image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from samari.engine.export import is_label_file, read_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    LayerData = tuple[Any, dict[str, Any], str]
    Reader = Callable[[str | Sequence[str]], list[LayerData]]

_ENDINGS = (".tif", ".tiff")


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the reader if every path is a label TIFF of Samari's, else None.

    Others are left to napari, so that nobody is asked which reader to take for an ordinary TIFF.
    """
    paths = [path] if isinstance(path, str) else list(path)
    ours = all(str(p).lower().endswith(_ENDINGS) and is_label_file(p) for p in paths)
    return read if paths and ours else None


def read(path: str | Sequence[str]) -> list[LayerData]:
    """Return one Labels layer for every file, with voxel size, position, units and axis labels."""
    paths = [path] if isinstance(path, str) else list(path)
    return [_layer(p) for p in paths]


def _layer(path: str) -> LayerData:
    from pathlib import Path

    found = read_labels(path)
    name = Path(path).name
    for ending in (".tiff", ".tif", ".ome"):
        name = name.removesuffix(ending)
    meta: dict[str, Any] = {"name": name, "axis_labels": tuple(found.axes.lower())}
    for field in ("scale", "translate", "units"):
        value = getattr(found, field)
        if value is not None:
            meta[field] = value
    return found.labels, meta, "labels"
