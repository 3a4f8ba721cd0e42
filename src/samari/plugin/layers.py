"""Makes the layers that Samari adds, and reads and rewrites the prompts on them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Points, Shapes
from napari.utils.colormaps import DirectLabelColormap

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from samari.plugin.source import ImageSource

POSITIVE, NEGATIVE = "positive", "negative"
#: Bright enough on fluorescence, dark enough on bright field, and told apart by red-green blind.
POSITIVE_COLOR, NEGATIVE_COLOR, BOX_COLOR = "#35d07f", "#f0468c", "#ffd23f"
#: Of the pending masks, one after the other: a light fill, and the full color for contours, whose
#: label is higher by EDGE.
PREVIEW_COLORS = ("#ffd23f", "#4cc9f0", "#ff8c42", "#b388ff", "#8ce99a", "#ff6b9d")
_FILL_ALPHA, EDGE = "40", 100
#: Labels of the preview layer beside those: the contour of what a click would take, and the contour
#: and the inside of the accepted object under the cursor.
HOVER_EDGE, OBJECT_EDGE, OBJECT_FILL = 251, 252, 253
_HOVER_COLORS: dict[int | None, str] = {
    HOVER_EDGE: "#ffd23f",
    OBJECT_EDGE: "#ffffff",
    OBJECT_FILL: "#ffffff40",
}


@dataclass(frozen=True)
class PointRow:
    """A row of the points layer: where (data coordinates), polarity, pending object, view."""

    position: tuple[float, ...]
    label: int
    member: int
    view: str


@dataclass(frozen=True)
class ShapeRow:
    """A shape: its vertices (n, ndim) in data coordinates, type, pending object, view."""

    vertices: tuple[tuple[float, ...], ...]
    kind: str
    member: int
    view: str


def make_points(source: ImageSource, view: str) -> Points:
    """Return an empty points layer for prompts; polarity is in the feature column ``label``."""
    ndim = source.layer.ndim
    return Points(
        np.empty((0, ndim)),
        ndim=ndim,
        name=f"{source.layer.name} points",
        features={
            "label": np.array([], dtype=object),
            "object": np.array([], dtype=int),
            "view": np.array([], dtype=object),
        },
        feature_defaults={"label": POSITIVE, "object": 0, "view": view},
        face_color="label",
        face_color_cycle={POSITIVE: POSITIVE_COLOR, NEGATIVE: NEGATIVE_COLOR},
        border_color="white",
        border_width=0.05,
        size=_extent(source) / 40,
        # A prompt is a mark and no part of the specimen: about the same size at every zoom.
        canvas_size_limits=(10, 14),
        **source.transform(),
    )


def make_shapes(source: ImageSource, view: str) -> Shapes:
    """Return an empty shapes layer for boxes, polygons, ellipses and scribbles."""
    return Shapes(
        None,
        ndim=source.layer.ndim,
        name=f"{source.layer.name} shapes",
        features={"object": np.array([], dtype=int), "view": np.array([], dtype=object)},
        feature_defaults={"object": 0, "view": view},
        edge_color=BOX_COLOR,
        face_color="transparent",
        edge_width=line_width(source),
        opacity=1.0,
        **source.transform(),
    )


def make_labels(source: ImageSource, labels: Any) -> Labels:
    """Return the layer that shows a Session's label array and shares its memory."""
    return Labels(
        source.layer_array(labels),
        name=f"{source.layer.name} objects",
        opacity=0.5,
        **source.transform(),
    )


def make_preview(source: ImageSource) -> Labels:
    """Return an empty preview layer: pending masks, one pixel large until there is one."""
    colors: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    for number, color in enumerate(PREVIEW_COLORS, start=1):
        colors[number] = f"{color}{_FILL_ALPHA}"
        colors[number + EDGE] = color
    colors.update(_HOVER_COLORS)
    layer = Labels(
        np.zeros((1,) * source.layer.ndim, dtype=np.uint8),
        name=f"{source.layer.name} preview",
        colormap=DirectLabelColormap(color_dict=colors),
        opacity=1.0,
        **source.transform(),
    )
    layer.editable = False
    return layer


def make_mask(source: ImageSource) -> Labels:
    """Return a layer, one pixel large, on which the pending mask can be painted."""
    layer = Labels(
        np.zeros((1,) * source.layer.ndim, dtype=np.uint8),
        name=f"{source.layer.name} mask",
        colormap=DirectLabelColormap(
            color_dict={None: "transparent", 0: "transparent", 1: PREVIEW_COLORS[0]}
        ),
        opacity=0.5,
        **source.transform(),
    )
    layer.selected_label = 1
    return layer


def recolor(points: Points, shapes: Shapes, palette: tuple[str, str, str]) -> None:
    """Show positive points, negative points and boxes in these colors."""
    positive, negative, box = palette
    points.face_color_cycle = {POSITIVE: positive, NEGATIVE: negative}
    shapes.current_edge_color = box
    if len(shapes.data):
        shapes.edge_color = box


def line_width(source: ImageSource) -> float:
    """Return the width of box edges in data units: about two pixels of a typical window."""
    return max(0.5, _extent(source) / 400)


def _extent(source: ImageSource) -> float:
    """Return the larger side of the image's planes, in pixels."""
    return float(max(source.data.shape[source.axes.index(letter)] for letter in "YX"))


def read_points(layer: Points) -> list[PointRow]:
    """Return the rows of a points layer, in the order in which they were added."""
    features = layer.features
    return [
        PointRow(
            tuple(float(value) for value in position),
            0 if str(label) == NEGATIVE else 1,
            _whole(member),
            str(view),
        )
        for position, label, member, view in zip(
            layer.data, features["label"], features["object"], features["view"], strict=True
        )
    ]


def read_shapes(layer: Shapes) -> list[ShapeRow]:
    """Return the shapes of a layer, in the order in which they were added."""
    features = layer.features
    return [
        ShapeRow(
            tuple(tuple(float(value) for value in vertex) for vertex in vertices),
            str(kind),
            _whole(member),
            str(view),
        )
        for vertices, kind, member, view in zip(
            layer.data, layer.shape_type, features["object"], features["view"], strict=True
        )
    ]


def write_points(layer: Points, rows: Sequence[PointRow]) -> None:
    """Replace all points without an event: nobody is to mistake it for the user's."""
    fewer = len(rows) < len(layer.data)
    with layer.events.data.blocker(), _undrawn(layer):
        if layer.selected_data:
            layer.selected_data = set()
        layer.data = np.array([row.position for row in rows]).reshape(len(rows), layer.ndim)
        # New rows get the defaults, which often are what is wanted: napari takes milliseconds.
        if read_points(layer) != list(rows):
            if fewer:
                # New colors look up the points of the last drawing, some of which are gone.
                layer.set_view_slice()
            layer.features = {
                "label": _objects(NEGATIVE if row.label == 0 else POSITIVE for row in rows),
                "object": np.array([row.member for row in rows], dtype=int),
                "view": _objects(row.view for row in rows),
            }
    layer.refresh()


def _undrawn(layer: Points) -> AbstractContextManager[None]:
    """Keep napari from drawing half of a change: two drawings are a third of what it costs."""
    block = getattr(layer, "_block_refresh", None)  # napari has it for its own use
    return nullcontext() if block is None else block()


def write_shapes(layer: Shapes, rows: Sequence[ShapeRow]) -> None:
    """Replace all shapes without an event."""
    mode = layer.mode
    with layer.events.data.blocker():
        layer.selected_data = set()
        layer.data = []
        if rows:
            layer.add(
                [np.array(row.vertices) for row in rows],
                shape_type=[row.kind for row in rows],
                edge_width=layer.current_edge_width,
                edge_color=layer.current_edge_color,
                face_color="transparent",
            )
        layer.features = {
            "object": np.array([row.member for row in rows], dtype=int),
            "view": _objects(row.view for row in rows),
        }
    if layer.mode != mode:
        layer.mode = mode
    layer.refresh()


def rectangle(low: Sequence[float], high: Sequence[float], axes: tuple[int, int]) -> Any:
    """Return the four vertices of a rectangle between two corners, in the plane of two axes."""
    rows, cols = axes
    corners = []
    for row, col in ((low, low), (low, high), (high, high), (high, low)):
        vertex = [float(value) for value in low]
        vertex[rows], vertex[cols] = float(row[rows]), float(col[cols])
        corners.append(tuple(vertex))
    return tuple(corners)


def _objects(values: Iterable[str]) -> NDArray[np.object_]:
    listed = list(values)
    array = np.empty(len(listed), dtype=object)
    array[:] = listed
    return array


def _whole(value: Any) -> int:
    """Return a feature value as an int; a row pasted by the user may lack it (NaN): 0."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
