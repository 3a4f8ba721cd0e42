"""Opens label TIFFs as Labels that lie on their image, and OME-TIFF images at their voxel size.

napari asks which reader to take for every file whose name matches the patterns of two. So the
manifest claims OME-TIFFs and files named labels, and no ordinary TIFF; and whichever of these is
given to this reader opens, so that the choice cannot be wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from samari.engine.export import is_label_file, read_labels
from samari.engine.images import read_image
from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    LayerData = tuple[Any, dict[str, Any], str]
    Reader = Callable[[str | Sequence[str]], list[LayerData]]

_ENDINGS = (".tif", ".tiff")


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the reader if every path is a TIFF that is there, else None."""
    paths = [path] if isinstance(path, str) else list(path)
    tiffs = all(str(p).lower().endswith(_ENDINGS) and Path(p).is_file() for p in paths)
    return read if paths and tiffs else None


def read(path: str | Sequence[str]) -> list[LayerData]:
    """Return one layer for every file, with voxel size, position, units and axis labels.

    Files that Samari saved, and others whose name says labels, become Labels; the rest images.
    """
    paths = [path] if isinstance(path, str) else list(path)
    return [_layer(str(p)) for p in paths]


def _layer(path: str) -> LayerData:
    if is_label_file(path):
        return _labels(path)
    if "labels" in Path(path).name.lower():
        try:
            return _labels(path)
        except InputError:  # an image of labels in colour, or of fractions
            return _image(path)
    return _image(path)


def _labels(path: str) -> LayerData:
    found = read_labels(path)
    meta = _meta(path, found.axes, found.scale, found.units)
    if found.translate is not None:
        meta["translate"] = found.translate
    return found.labels, meta, "labels"


def _image(path: str) -> LayerData:
    found = read_image(path)
    meta = _meta(path, found.axes, found.scale, found.units)
    return found.image, {**meta, "rgb": found.rgb}, "image"


def _meta(
    path: str, axes: str, scale: Sequence[float] | None, units: Sequence[str] | None
) -> dict[str, Any]:
    """Return name and place of a layer. Voxel sizes come without the channel axis; it gets 1."""
    name = Path(path).name
    for ending in (".tiff", ".tif", ".ome"):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    meta: dict[str, Any] = {"name": name, "axis_labels": tuple(axes.lower())}
    channel = axes.find("C")
    for field, values, neutral in (("scale", scale, 1.0), ("units", units, "pixel")):
        if values is not None:
            listed: list[Any] = list(values)
            if len(listed) == len(axes) - 1 and channel >= 0:
                listed.insert(channel, neutral)
            meta[field] = tuple(listed)
    return meta
