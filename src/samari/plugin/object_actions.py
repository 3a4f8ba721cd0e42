"""What a user does to objects that are accepted: reopen, delete, join, look at, and paint."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from qtpy.QtCore import Signal

from samari.engine.places import centre_of, worst_plane
from samari.errors import SamariError
from samari.plugin.bindings import Bindings
from samari.plugin.controller_state import ControllerState, one_step
from samari.plugin.label_count import LabelCount
from samari.plugin.mask_brush import MaskBrush
from samari.plugin.pointer import Pointer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from samari.engine.planes import PlaneIndex
    from samari.plugin.workshop import Workshop

_POINT_AT = "Point at an object with the mouse, or click on its row; buttons mean all selected rows"


class _Aim(NamedTuple):
    """The object that was looked at, 0 for none, and what was to be seen when it was."""

    label: int
    moves: int
    plane: PlaneIndex | None
    middle: tuple[float, float]


class ObjectActions(ControllerState):
    """The part of a controller that works on accepted objects.

    Keys mean the object under the mouse; as long as neither the mouse nor the view has moved since
    an object was looked at, that one. Buttons name the labels of rows of the objects table.

    Attributes
    ----------
    objects_changed : Signal
        Emitted with the labels (frozenset) whose record or size changed, None for anything.
    looked_at : Signal
        Emitted with the label of the object that was brought to the middle of the screen.
    """

    objects_changed = Signal(object)
    looked_at = Signal(int)

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Image | None,
        model: str | Path,
        labels: Labels | None,
        workshop: Workshop | None,
        axes: str = "",
    ) -> None:
        super().__init__(viewer, layer, model, labels, workshop, axes)
        # What J joins to: the object that was accepted, reopened or looked at last.
        self._last = 0
        self._looked: tuple[float, int] | None = None
        self._aim = _Aim(0, -1, None, (0.0, 0.0))
        self._bindings = Bindings(self)
        self._brush = MaskBrush(self._viewer, self._source, self.session, self._bindings.unbind)
        self._count = LabelCount(self.session, self._workshop.files, self._on_counted)
        self._pointer = Pointer(self._viewer)
        self.closed.connect(self._pointer.close)

    @property
    def last_object(self) -> int:
        """Label of the object that was accepted, reopened or looked at last; 0 for none."""
        return self._last

    @property
    def brushing(self) -> bool:
        """Whether the pending mask is being edited with the brush."""
        return self._brush.layer is not None

    @property
    def brush_layer(self) -> Labels | None:
        """The layer on which the pending mask is painted, None while the brush is not out."""
        return self._brush.layer

    def object_under_cursor(self) -> int:
        """Return the label of the accepted object under the mouse, 0 if there is none.

        None is where the mouse is not on the canvas.
        """
        world = self._pointer.world()
        if world is None or not self._labels.is_shown():
            return 0
        position = self._source.to_session(self._labels.to_data(world))
        index = tuple(math.floor(value + 0.5) for value in position)
        labels = self.session.labels
        if not all(0 <= i < size for i, size in zip(index, labels.shape, strict=True)):
            return 0
        return int(labels[index])

    def reopen(self, label: int = 0) -> None:
        """Make an accepted object pending again: its prompts come back, Enter replaces it.

        An object without prompts, from another tool or a brush, starts from its mask on the plane
        on screen; so does one that has no prompts on this plane.
        """
        label = self._meant(label)
        if not label or self._busy_accepting():
            return
        self._labels.put_back()
        record = self.session.objects.get(label)
        parts = record.parts if record is not None and record.reopens_from_prompts else ()
        # A plane that was propagated has no prompts of its own.
        here = any(part.plane == self._plane and not part.prompts.is_empty for part in parts)
        plane = None if here else self._plane
        if self._done(lambda: self.session.reopen(label, plane)):
            self._last = label
            self.set_tool("points")
            self._say(f"Object {label} is open: correct it, Enter replaces it")

    def delete(self, label: int | Iterable[int] = 0) -> None:
        """Make an accepted object, or several in one step, background; undo brings them back."""
        labels = self._all_meant(label)
        if not labels or self._busy_accepting():
            return
        self._labels.put_back()
        if self._done(lambda: self.session.delete(labels)):
            self._say(f"{_named(labels)} deleted")

    def join(self, label: int | Iterable[int] = 0, into: int = 0) -> None:
        """Make an object, or several in one step, a part of another one, by default the last."""
        labels = self._all_meant(label)
        into = into or self._last
        if not labels or self._busy_accepting():
            return
        if not into:
            self._say("Accept, reopen or look at an object first: the next one is joined to it")
            return
        if labels == [into]:
            self._say(f"Point at the object that is to be a part of object {into}")
            return
        self._labels.put_back()
        if self._done(lambda: self.session.merge(into, labels)):
            self._last = into
            are = "is now a part" if len(labels) == 1 else "are now parts"
            self._say(f"{_named(labels)} {are} of object {into}")

    def next_object(self) -> None:
        """Look at the next object that deserves it: the lowest score first, then round again.

        Objects without a score, from another tool or a brush, come after all others.
        """
        known = {*self.session.objects, *self.session.store.census}
        keys = [(self._doubt(label), label) for label in known]
        if not keys:
            self._say("There are no objects to look at yet")
            return
        after = [key for key in keys if self._looked is not None and key > self._looked]
        key = min(after or keys)
        if self.look_at(key[1]):
            self._looked = key

    def look_at(self, label: int) -> bool:
        """Bring an object to the middle of the screen; False if it has no pixel."""
        middle = centre_of(self.session, label, self.session.view)
        if middle is None:
            self._say(f"Object {label} has no pixels")
            return False
        viewer, layer = self._viewer, self.labels_layer
        channel = self._source.channel_of(layer)
        world = self._labels.to_world(middle if channel is None else self._source.to_layer(middle))
        offset = viewer.dims.ndim - layer.ndim
        displayed = viewer.dims.displayed
        across = [
            axis
            for axis in range(offset, viewer.dims.ndim)
            if axis not in displayed and axis - offset != channel
        ]
        if across:
            viewer.dims.set_point(across, [float(world[axis - offset]) for axis in across])
        if min(displayed) >= offset:
            shown = [float(world[axis - offset]) for axis in displayed]
            center = tuple(viewer.scene.camera.center)
            viewer.scene.camera.center = (*center[: len(center) - len(shown)], *shown)
        self._last = label
        self._looked = self._doubt(label), label
        self._say(self._described(label))
        self.looked_at.emit(label)
        plane = self._visible_plane()
        self._aim = _Aim(label, self._pointer.moves, plane, self._looked_at(plane))
        return True

    def select(self, labels: Iterable[int]) -> None:
        """Take note of the rows that are selected in the objects table."""
        if list(labels) != [self._aim.label]:
            self._aim = self._aim._replace(label=0)

    def brush(self) -> None:
        """Edit the pending mask with napari's brush, or go back to clicks; both before Enter."""
        if self.brushing:
            self._end_brush()
        elif self._busy_accepting():
            return
        elif self._brush.start(self._plane):
            self._bindings.bind(self._brush.layer, "mask")
            self._preview.layer.visible = False
            self._say("Paint what belongs to the object; the eraser takes away. Enter accepts")
        else:
            self._say("There is no mask on this plane to paint on: click on an object first")

    def set_palette(self, palette: tuple[str, str, str]) -> None:
        """Show positive points, negative points and boxes in these colors."""
        self._prompts.set_palette(palette)

    def set_tool(self, kind: str) -> None:
        """Make a layer ready to draw on; the controller says how."""
        raise NotImplementedError

    def _end_brush(self) -> None:
        """Let the brush's layer go; what was painted stays with the pending mask."""
        self._put_brush_away()
        self.set_tool("points")

    def _put_brush_away(self) -> None:
        if self.brushing:
            self._brush.stop()
        self._preview.layer.visible = True

    def _meant(self, label: int) -> int:
        """Return the label that a key or a button means; 0, and a note, if there is none."""
        found = label or self._pointed_at()
        if not found:
            self._say(_POINT_AT)
        return found

    def _all_meant(self, label: int | Iterable[int]) -> list[int]:
        """Return the labels that a key or a button means; none, and a note, if there are none."""
        labels = list(label) if isinstance(label, Iterable) else [self._meant(label)]
        return [one for one in labels if one]

    def _pointed_at(self) -> int:
        """Return the object that a key means, 0 for none.

        After `look_at` that is the object that was looked at, even once it is gone: what lies under
        a mouse at rest is there by chance.
        """
        aim, plane = self._aim, self._visible_plane()
        rests = aim.moves == self._pointer.moves and aim.plane == plane is not None
        if not rests or not np.allclose(aim.middle, self._looked_at(plane), rtol=0, atol=1):
            return self.object_under_cursor()
        meant = self._labels.is_shown() and self._last == aim.label and self._may_exist(aim.label)
        return aim.label if meant else 0

    def _may_exist(self, label: int) -> bool:
        """Whether there is such an object, or nobody has counted yet: then planning will see."""
        return label in self.session.objects or self.session.store.census.pixels(label) != 0

    def _busy_accepting(self) -> bool:
        """Whether an accept waits for its answer: objects cannot be changed under it."""
        if self._prompts.sealed:
            self._say("The mask that was accepted is on its way; then try again")
        return self._prompts.sealed

    def _doubt(self, label: int) -> float:
        record = self.session.objects.get(label)
        score = None if record is None else record.score
        return math.inf if score is None else score

    def _described(self, label: int) -> str:
        doubt = self._doubt(label)
        if math.isinf(doubt):
            return f"Object {label}"
        worst, planes = worst_plane(self.session, label), self.session.planes
        where = "" if worst is None or len(planes.label_axes) == 2 else planes.name_of(worst)
        return f"Object {label}, score {doubt:.2f}" + (f" on {where}" if where else "")

    def _on_counted(self) -> None:
        self.objects_changed.emit(None)

    def _done(self, action: Callable[[], object]) -> bool:
        """Do something; False, and a notification, if it could not be done."""
        return self._try(lambda: (action(), True)) is not None

    @one_step
    def _try(self, action: Callable[[], Any]) -> Any:
        """Return what an action returns, or None and a notification if it could not be done."""
        try:
            return action()
        except SamariError as error:
            self._on_error(error)
            return None


def _named(labels: list[int]) -> str:
    """Return what a note calls objects."""
    return f"Object {labels[0]}" if len(labels) == 1 else f"{len(labels):,} objects"
