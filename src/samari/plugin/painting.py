"""What a person is painting on a Labels layer just now: napari tells nobody when it is finished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Labels


class Held:
    """Keeps a person from painting on a layer for a while.

    Parameters
    ----------
    layer : napari.layers.Labels
    """

    def __init__(self, layer: Labels) -> None:
        self._layer = layer
        #: The layer's mode before; None while it can be painted on.
        self._mode: str | None = None

    def hold(self, held: bool) -> None:
        """Begin or end it; a stroke ends where it is, and the layer's mode comes back."""
        layer = self._layer
        if held and self._mode is None:
            finish(layer)
            self._mode = str(layer.mode)
        elif not held and self._mode is not None:
            layer.editable = True
            layer.mode, self._mode = self._mode, None
        if held:
            layer.editable = False


def on_screen(layer: Labels, dims: Dims, anywhere: int | None) -> bool:
    """Whether the slice on screen has pixels of a layer; one axis may be `anywhere`."""
    at = np.floor(np.asarray(layer.world_to_data(dims.point)) + 0.5)
    across = {axis - dims.ndim + layer.ndim for axis in dims.not_displayed} - {anywhere}
    return all(0 <= at[axis] < layer.data.shape[axis] for axis in across if axis >= 0)


def unfinished(layer: Labels, active: bool) -> bool:
    """Whether a stroke is not in the history yet, or a polygon of the active layer not painted."""
    if getattr(layer, "_block_history", False) or getattr(layer, "_staged_history", None):
        return True
    polygon = _overlay(layer, "polygon")
    return active and bool(getattr(polygon, "enabled", False) and getattr(polygon, "points", None))


def finish(layer: Labels) -> None:
    """End a stroke where it is, as if the mouse button were released, and drop a polygon."""
    commit = getattr(layer, "_commit_staged_history", None)
    if commit is not None:
        commit()
    drags = getattr(layer, "_mouse_drag_gen", None)
    if drags:
        drags.clear()
    stroke = _overlay(layer, "brush_stroke")
    if getattr(stroke, "active", False):
        stroke.active = False
    forget(layer)


def forget(layer: Labels) -> None:
    """Empty napari's histories and drop an unfinished polygon: the layer's pixels move."""
    for name in ("_undo_history", "_redo_history", "_staged_history"):
        held = getattr(layer, name, None)
        if held:
            held.clear()
    polygon = _overlay(layer, "polygon")
    if getattr(polygon, "points", None):
        polygon.points = []


def _overlay(layer: Labels, name: str) -> Any:
    return getattr(layer, "_overlays", {}).get(name)
