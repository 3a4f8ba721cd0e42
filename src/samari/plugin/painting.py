"""What a person is painting on a Labels layer just now: napari tells nobody when it is finished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Labels


def in_stroke(layer: Labels) -> bool:
    """Whether a stroke has begun and is not in the history yet."""
    return bool(getattr(layer, "_block_history", False) or getattr(layer, "_staged_history", None))


def in_polygon(layer: Labels) -> bool:
    """Whether a polygon has vertices and is not painted yet."""
    polygon = _polygon(layer)
    return bool(getattr(polygon, "enabled", False) and getattr(polygon, "points", None))


def forget(layer: Labels) -> None:
    """Empty napari's histories and drop an unfinished polygon: the layer's pixels move."""
    for name in ("_undo_history", "_redo_history", "_staged_history"):
        held = getattr(layer, name, None)
        if held:
            held.clear()
    polygon = _polygon(layer)
    if getattr(polygon, "points", None):
        polygon.points = []


def _polygon(layer: Labels) -> Any:
    return getattr(layer, "_overlays", {}).get("polygon")
