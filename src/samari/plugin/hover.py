"""The contour of what a click would take follows the mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.masks import box_of
from samari.engine.prompts import PlanePrompts
from samari.errors import InputError
from samari.plugin.layers import HOVER_EDGE, OBJECT_EDGE, OBJECT_FILL
from samari.plugin.outlines import Outline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel

    from samari.engine.events import SessionEvent
    from samari.engine.planes import PlaneIndex
    from samari.engine.prediction import Prediction
    from samari.engine.session import Session
    from samari.plugin.inference import Inference
    from samari.plugin.object_actions import ObjectActions
    from samari.plugin.preview import Preview
    from samari.plugin.source import ImageSource

#: Where the box of an object is not known, or its labels are on disk, it is looked for so many
#: pixels around the cursor.
_AROUND = 256


class Hover:
    """Shows what is under the cursor of one viewer, as long as nothing is pending.

    Over the background that is the contour of the mask that a click would give; over an accepted
    object, the object. Nothing of it enters labels, history or answers of the session.

    Parameters
    ----------
    owner : ObjectActions
        Says which tool is active and which object is under the cursor.
    viewer : napari viewer
    source : ImageSource
    session : Session
    inference : Inference
    preview : Preview

    Attributes
    ----------
    label : int
        The accepted object that is highlighted, 0 for none.
    """

    def __init__(
        self,
        owner: ObjectActions,
        viewer: ViewerModel,
        source: ImageSource,
        session: Session,
        inference: Inference,
        preview: Preview,
    ) -> None:
        self.label = 0
        self._owner = owner
        self._viewer = viewer
        self._source = source
        self._session = session
        self._inference = inference
        self._preview = preview
        self._enabled = True
        self._asking: PlaneIndex | None = None
        # Whether the mouse came to a place that has to be encoded first.
        self._waiting = False
        self._connections: list[tuple[Any, Any]] = [
            (viewer.events.mouse_over_canvas, self._on_canvas),
            (viewer.layers.selection.events.active, self._on_active),
            (source.layer.events.set_data, self._on_image),
        ]
        for emitter, callback in self._connections:
            emitter.connect(callback)
        viewer.mouse_move_callbacks.append(self._on_move)
        viewer.mouse_drag_callbacks.append(self._on_drag)
        session.connect(self._on_session)
        inference.ahead.listen(self._on_answer)
        inference.when_encoded = self._on_encoded

    @property
    def enabled(self) -> bool:
        """Whether the mouse is followed."""
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled = enabled
        if not enabled:
            self.clear()

    def clear(self) -> None:
        """Show nothing until the mouse moves again."""
        self._asking = None
        self._waiting = False
        self.label = 0
        self._inference.ahead.stop()
        self._preview.hover(None, None)

    def close(self) -> None:
        """Let the viewer go."""
        for emitter, callback in self._connections:
            emitter.disconnect(callback)
        self._connections.clear()
        self._viewer.mouse_move_callbacks.remove(self._on_move)
        self._viewer.mouse_drag_callbacks.remove(self._on_drag)
        self._session.disconnect(self._on_session)
        self._inference.ahead.listen(None)
        self._inference.when_encoded = None

    def _on_move(self, viewer: Any = None, event: Any = None) -> None:
        """Look at what is under the cursor now; napari tells no moves while a button is down."""
        if not self._enabled or self._session.pending:
            return
        plane = self._source.shown_plane(self._viewer, self._session.planes)
        owner = self._owner
        ours = (owner.points, owner.shapes, owner.labels_layer, self._source.layer)
        if plane is None or self._viewer.layers.selection.active not in ours:
            self.clear()
            return
        label = owner.object_under_cursor()
        if label:
            self._show_object(plane, label)
            return
        prompts = self._click(plane)
        if prompts is None:
            waiting = self._waiting
            self.clear()
            self._waiting = waiting
            return
        self.label = 0
        self._asking = plane
        self._inference.ahead.ask(plane, prompts)

    def _click(self, plane: PlaneIndex) -> PlanePrompts | None:
        """Return the prompts that a click would give, None if it would give none."""
        owner = self._owner
        if owner.tool != "points" or str(owner.points.mode) != "add" or owner.negative:
            return None
        planes = self._session.planes
        # As a click on the points layer is read, so that its answer is the one looked up here.
        position = owner.points.world_to_data(self._viewer.cursor.position)
        point = self._source.to_session(tuple(float(value) for value in position))
        try:
            if planes.plane_at(point, plane.view) != plane:
                return None
        except InputError:
            return None
        place = planes.to_plane(point, plane.view)
        self._waiting = not self._inference.is_encoded(plane, place)
        if self._waiting:
            self._inference.encode_in_passing(plane, place)
            return None
        return PlanePrompts().with_point(place, 1)

    def _show_object(self, plane: PlaneIndex, label: int) -> None:
        if label == self.label and self._asking is None:
            return
        self._asking = None
        self._inference.ahead.stop()
        self.label = label
        self._preview.hover(plane, self._object(plane, label))

    def _object(self, plane: PlaneIndex, label: int) -> Outline | None:
        """Return the part of an object that lies on a plane."""
        planes, labels = self._session.planes, self._session.labels
        axes = [planes.label_axes.index(letter) for letter in plane.view]
        box = self._session.store.census.box(label) if isinstance(labels, np.ndarray) else None
        if box is not None:
            spans = [box[axis] for axis in axes]
        else:
            cursor = self._source.to_session(self._owner.to_labels(self._viewer.cursor.position))
            spans = [
                slice(max(0, int(cursor[axis]) - _AROUND), int(cursor[axis]) + _AROUND)
                for axis in axes
            ]
        found = np.asarray(labels[planes.label_slices(plane, *spans)]) == label
        inner = box_of(found)
        if inner is None:
            return None
        y0, x0, y1, x1 = inner
        corner = (spans[0].start + y0, spans[1].start + x0)
        return Outline(corner, found[y0:y1, x0:x1], OBJECT_EDGE, OBJECT_FILL)

    def _on_answer(self, plane: PlaneIndex, prediction: Prediction) -> None:
        if self._asking == plane:
            self._preview.hover(plane, Outline.of(prediction, HOVER_EDGE, 0))

    def _on_encoded(self) -> None:
        """Look again if the mouse waits where something was encoded."""
        if self._waiting:
            self._on_move()

    def _on_drag(self, viewer: Any, event: Any) -> Iterator[None]:
        """Show nothing while something is dragged."""
        yield
        while event.type == "mouse_move":
            self.clear()
            yield

    def _on_canvas(self, event: Any = None) -> None:
        if not self._viewer.mouse_over_canvas:
            self.clear()

    def _on_active(self, event: Any = None) -> None:
        self.clear()

    def _on_image(self, event: Any = None) -> None:
        """Believe no earlier answer: another slice is shown, or the data have changed."""
        self._inference.ahead.forget()
        self.clear()

    def _on_session(self, event: SessionEvent) -> None:
        """Believe the next move only: what is under the cursor may have changed."""
        if event.kind in ("labels", "pending"):
            self.clear()
