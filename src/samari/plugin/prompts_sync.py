"""Keeps the prompt layers and a Session's pending objects the same, whichever is edited."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from samari.errors import InputError
from samari.plugin.layers import (
    BOX_COLOR,
    NEGATIVE,
    NEGATIVE_COLOR,
    POSITIVE,
    POSITIVE_COLOR,
    PointRow,
    ShapeRow,
    make_points,
    make_shapes,
    read_points,
    read_shapes,
    recolor,
    write_points,
    write_shapes,
)
from samari.plugin.placement import lay
from samari.plugin.prompt_rows import STROKES, PromptRows

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

    from samari.engine.pending import PendingPart
    from samari.engine.session import Session
    from samari.plugin.source import ImageSource

_DONE = ("added", "changed", "removed")


class PromptsSync:
    """The points and shapes layers of one Session.

    Rows of the layers belong to pending objects, the newest of which gets new points. When the
    user accepts before the mask is there, `seal` holds back what is drawn from then on, for the
    next object, until `release`.

    Parameters
    ----------
    viewer : napari viewer
    source : ImageSource
    session : Session
    refused : callable
        Called with the reason when prompts are ignored.
    pressed : callable
        Called when a press of the mouse begins a click, with what the newest object will have on
        its plane after it.

    Attributes
    ----------
    points, shapes : napari layers
        Shapes are not in the viewer before they are used: every layer there costs at each drawing.
    view : str
        Plane that new prompts act on.
    negative : bool
        Polarity of the next point.
    reading : bool
        True while the Session learns what the layers show.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        source: ImageSource,
        session: Session,
        refused: Callable[[str], None],
        pressed: Callable[[PendingPart], None],
    ) -> None:
        self._viewer = viewer
        self._source = source
        self._session = session
        self._refused = refused
        self._pressed = pressed
        self._rows = PromptRows(source, session.planes)
        self._seals: list[int] = []
        # What the layers showed when they were last read or written: a row that is not here was
        # drawn and refused.
        self._seen: tuple[list[PointRow], list[ShapeRow]] = ([], [])
        self._in_shapes_event = False
        self._later = QTimer()
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.write)
        self.view = session.view
        self.negative = False
        self.reading = False
        self._palette = POSITIVE_COLOR, NEGATIVE_COLOR, BOX_COLOR
        self.points = self._new_points()
        self.shapes = self._new_shapes()

    @property
    def sealed(self) -> bool:
        """Whether an accept is due."""
        return bool(self._seals)

    @property
    def settled(self) -> bool:
        """Whether the layers show what the Session has; False for an instant after a drawing."""
        return not self._later.isActive()

    def set_view(self, view: str) -> None:
        """Let prompts act on another view from now on."""
        if view != self.view:
            self.view = view
            self._set_defaults()

    def set_negative(self, negative: bool) -> None:
        """Choose the polarity of points added from now on."""
        self.negative = negative
        self._set_defaults()

    def set_palette(self, palette: tuple[str, str, str]) -> None:
        """Show positive points, negative points and boxes in these colors."""
        if palette != self._palette:
            self._palette = palette
            recolor(self.points, self.shapes, palette)

    def follow_image(self) -> None:
        """Lie on the image where it is now; the prompts stay on their voxels."""
        for layer in (self.points, self.shapes):
            lay(layer, self._source.transform())

    def put_back(self, kind: str) -> Any:
        """Return the "points" or "shapes" layer, added to the viewer if it is not there.

        Points lie above shapes, which begin as boxes.
        """
        layers = self._viewer.layers
        if kind == "points":
            if self.points not in layers:
                layers.append(self.points)
            return self.points
        if self.shapes not in layers:
            above = self.points in layers
            layers.insert(layers.index(self.points) if above else len(layers), self.shapes)
            # Not before: napari shows another mode as the chosen one then.
            self.shapes.mode = "add_rectangle"
        return self.shapes

    def replace_removed(self, layer: Any) -> bool:
        """Make a new layer for one that the user deleted; its prompts are gone with it."""
        if layer == self.points:
            self._release_layer(self.points)
            self.points = self._new_points()
            recolor(self.points, self.shapes, self._palette)
        elif layer == self.shapes:
            self._release_layer(self.shapes)
            self.shapes = self._new_shapes()
            recolor(self.points, self.shapes, self._palette)
        else:
            return False
        self.read()
        return True

    def read(self) -> None:
        """Make the Session's pending objects what the layers show."""
        points, shapes = read_points(self.points), read_shapes(self.shapes)
        given = (list(points), list(shapes))
        for shape in [shape for shape in shapes if shape.kind in STROKES]:
            shapes.remove(shape)
            points += [replace(p, member=self._newest()) for p in self._rows.stroke_points(shape)]
        limit = self._seals[0] if self._seals else None
        reading = self._rows.read(
            [row for row in points if limit is None or row.member < limit],
            [row for row in shapes if limit is None or row.member < limit],
            self._session.pending,
            self.view,
        )
        held = self._held(points), self._held(shapes)
        self.reading = True
        try:
            self._session.set_pending(reading.pending)
        except InputError as error:
            reading.refused.append(str(error))
            self.write()
        else:
            rows = reading.points + held[0], reading.shapes + held[1]
            self._seen = rows
            if rows != given:
                self._replace(*rows)
            elif given[1] and self.shapes not in self._viewer.layers:
                self._put_back_quietly("shapes")
        finally:
            self.reading = False
        self._set_defaults()
        if reading.refused:
            self._refused(reading.refused[0])

    def write(self) -> None:
        """Make the layers show the Session's pending objects, and what is held back."""
        self._later.stop()
        points, shapes = self._rows.write(self._session.pending)
        held_points, held_shapes = (self._held(rows) for rows in self._seen)
        self._replace(points + held_points, shapes + held_shapes)
        self._set_defaults()

    def seal(self) -> None:
        """Let prompts added from now on belong to the next object."""
        members = self._members()
        start = self._seals[-1] if self._seals else 0
        if any(member >= start for member in members):
            self._seals.append(max(members) + 1)
            self._set_defaults()

    def release(self) -> None:
        """Go on with what was held back: the sealed objects were accepted or dropped."""
        if not self._seals:
            return
        base = self._seals[0]
        held_points, held_shapes = (self._held(rows) for rows in self._seen)
        points = [replace(row, member=row.member - base) for row in held_points]
        shapes = [replace(row, member=row.member - base) for row in held_shapes]
        self._seals = [seal - base for seal in self._seals[1:]]
        self._replace(points, shapes)
        self.read()

    def drop_held(self) -> None:
        """Forget the accepts that are due and what was drawn after them."""
        if self._seals:
            points, shapes = self._seen
            limit = self._seals[0]
            self._seals.clear()
            self._replace(
                [row for row in points if row.member < limit],
                [row for row in shapes if row.member < limit],
            )
            self._set_defaults()

    def close(self) -> None:
        """Let both layers go."""
        self._later.stop()
        self._release_layer(self.points)
        self._release_layer(self.shapes)

    def _held(self, rows: list[Any]) -> list[Any]:
        return [row for row in rows if self._seals and row.member >= self._seals[0]]

    def _newest(self) -> int:
        """Return the object that new points belong to."""
        start = self._seals[-1] if self._seals else 0
        return max((member for member in self._members() if member >= start), default=start)

    def _members(self) -> list[int]:
        members = [row.member for row in read_points(self.points)]
        return members + [row.member for row in read_shapes(self.shapes)]

    def _set_defaults(self) -> None:
        """Say what the next point or shape will be."""
        newest = self._newest()
        label = NEGATIVE if self.negative else POSITIVE
        self._default(self.points, {"label": label, "object": newest, "view": self.view})
        regions = {row.member for row in read_shapes(self.shapes)}
        following = newest + 1 if newest in regions else newest
        self._default(self.shapes, {"object": following, "view": self.view})

    def _default(self, layer: Any, wanted: dict[str, Any]) -> None:
        """Set the features of the next row, if they are others: napari takes milliseconds."""
        if _defaults(layer) != wanted:
            layer.feature_defaults = wanted

    def _replace(self, points: list[PointRow], shapes: list[ShapeRow]) -> None:
        """Rewrite what differs. Not inside an event of the shapes layer, which is not done yet."""
        self._seen = points, shapes
        if points != read_points(self.points):
            write_points(self.points, points)
        if shapes != read_shapes(self.shapes):
            if self._in_shapes_event:
                self._later.start(0)
            else:
                write_shapes(self.shapes, shapes)
        for kind, rows in (("points", points), ("shapes", shapes)):
            if rows:
                self._put_back_quietly(kind)

    def _put_back_quietly(self, kind: str) -> None:
        selection = self._viewer.layers.selection
        active = selection.active
        self.put_back(kind)
        if active is not None and selection.active != active:
            selection.active = active

    def _new_points(self) -> Any:
        layer = make_points(self._source, self.view)
        layer.events.data.connect(self._on_points)
        layer.mouse_drag_callbacks.insert(0, self._on_press)
        layer.mouse_double_click_callbacks.append(self._on_double_click)
        return layer

    def _new_shapes(self) -> Any:
        layer = make_shapes(self._source, self.view)
        layer.events.data.connect(self._on_shapes)
        return layer

    def _release_layer(self, layer: Any) -> None:
        if layer == self.points:
            layer.events.data.disconnect(self._on_points)
            layer.mouse_drag_callbacks.remove(self._on_press)
            layer.mouse_double_click_callbacks.remove(self._on_double_click)
        else:
            layer.events.data.disconnect(self._on_shapes)

    def _on_points(self, event: Any) -> None:
        if _action(event) in _DONE:
            self._read_visible(event)

    def _on_shapes(self, event: Any) -> None:
        if _action(event) in _DONE:
            self._in_shapes_event = True
            try:
                self._read_visible(event)
            finally:
                self._in_shapes_event = False

    def _read_visible(self, event: Any) -> None:
        """Read the layers; what was added while no plane was on screen is taken away again."""
        if _action(event) == "added":
            try:
                self._source.visible_plane(self._viewer)
            except InputError as error:
                if self._in_shapes_event:
                    self._later.start(0)
                else:
                    self.write()
                self._refused(str(error))
                return
        self.read()

    def _on_press(self, layer: Any, event: Any) -> None:
        """Give the point that this press is going to add its polarity; tell what it will ask."""
        if str(layer.mode) == "add":
            self._set_polarity(event)
            part = self._after_click(layer.world_to_data(event.position))
            if part is not None:
                self._pressed(part)

    def _after_click(self, position: Any) -> PendingPart | None:
        """Return what a click makes of the newest object's prompts; None if that is not known."""
        if self._seals:
            return None
        label = 0 if _defaults(self.points)["label"] == NEGATIVE else 1
        place = tuple(float(value) for value in position)
        points = [*read_points(self.points), PointRow(place, label, self._newest(), self.view)]
        shapes = read_shapes(self.shapes)
        reading = self._rows.read(points, shapes, self._session.pending, self.view)
        return None if reading.n_refused else reading.pending[-1].newest

    def _on_double_click(self, layer: Any, event: Any) -> None:
        """Add the point of every second quick click, which napari takes for a double click."""
        if str(layer.mode) == "add":
            self._set_polarity(event)
            layer.add(layer.world_to_data(event.position))

    def _set_polarity(self, event: Any) -> None:
        negative = self.negative != (event.button == 2 or "Control" in event.modifiers)
        label = NEGATIVE if negative else POSITIVE
        self._default(self.points, {**_defaults(self.points), "label": label})


def _defaults(layer: Any) -> dict[str, Any]:
    return {name: column.iloc[0] for name, column in layer.feature_defaults.items()}


def _action(event: Any) -> str:
    """Return "added", "changed", ... of an event of a layer's data."""
    return str(getattr(event.action, "value", event.action)).lower()
