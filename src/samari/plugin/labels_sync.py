"""The layer that shows a Session's labels, kept equal to them, and the brush strokes on it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QTimer

from samari.plugin.layers import make_labels
from samari.plugin.placement import take_along
from samari.plugin.strokes import read_stroke

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.components import ViewerModel
    from napari.layers import Labels
    from numpy.typing import NDArray

    from samari.engine.events import SessionEvent
    from samari.engine.session import Session
    from samari.plugin.source import ImageSource
    from samari.plugin.strokes import Stroke


class LabelsSync:
    """The target layer of one Session.

    Parameters
    ----------
    viewer : napari viewer
    source : ImageSource
    session : Session
        Its labels are `layer`'s array, if a layer is given.
    replaced : callable
        Called when somebody else gave the layer another array: the Session has the old one.
    layer : napari.layers.Labels, optional
        An existing layer to add to; by default a new one, which is added to the viewer.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        source: ImageSource,
        session: Session,
        replaced: Callable[[], None],
        layer: Labels | None = None,
    ) -> None:
        self._viewer = viewer
        self._source = source
        self._session = session
        self._stale = False
        self._soon = QTimer()
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._show_all)
        self._travelling = False
        if layer is None:
            layer = make_labels(source, session.labels)
            viewer.add_layer(layer)
        self.layer: Labels = layer
        self._transform = source.transform()
        self._array = layer.data
        self._replaced = replaced
        self.layer.events.paint.connect(self._on_paint)
        self.layer.events.data.connect(self._on_data)

    @property
    def helpers(self) -> tuple[Labels, ...]:
        """Layers that belong to the target layer and are none themselves: none."""
        return ()

    def to_data(self, world: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the data coordinates of the labels at a place in the world."""
        return np.asarray(self.layer.world_to_data(world))

    def to_world(self, data: Sequence[float]) -> NDArray[np.float64]:
        """Return the world coordinates of data coordinates of the labels."""
        return np.asarray(self.layer.data_to_world(data))

    def is_shown(self) -> bool:
        """Whether the layer is still in the viewer."""
        return self.layer in self._viewer.layers

    def follow_image(self) -> None:
        """Go with the image; a layer that somebody laid elsewhere goes with it as far as it did."""
        former, self._transform = self._transform, self._source.transform()
        take_along(self.layer, former, self._transform, self._source.channel_axis)

    def put_back(self) -> None:
        """Add the layer again after the user deleted it: its objects were not forgotten."""
        if not self.is_shown():
            self._viewer.add_layer(self.layer)
            self._show_all()

    def on_event(self, event: SessionEvent) -> None:
        """Follow the Session; the screen is refreshed once a step, right after it.

        A step has enough to do: napari takes as long for a large plane as for all the rest.
        """
        if event.kind == "labels":
            self._stale |= event.replaced or self._on_screen(event.slices)
            if event.replaced:
                labels = self._session.labels
                bare = self.layer.ndim == labels.ndim
                self._array = labels if bare else self._source.layer_array(labels)
                self.layer.data = self._array
        elif event.kind == "history" and self._stale:
            self._soon.start()

    def close(self) -> None:
        """Let the layer go; it stays in the viewer."""
        if self._soon.isActive():
            self._show_all()
        self.layer.events.paint.disconnect(self._on_paint)
        self.layer.events.data.disconnect(self._on_data)

    def _travel(self, move: Callable[[], object]) -> None:
        """Let napari take back or do again a stroke that only napari understands."""
        self._travelling = True
        try:
            move()
        finally:
            self._travelling = False

    def _write(self, stroke: Stroke, *, forward: bool) -> None:
        stroke.write(self._session.labels, forward=forward)

    def _forget_in_napari(self, edits: Any) -> None:
        """Drop a stroke from napari's own history, which forgets all but the newest hundred.

        So the newest stroke there is always the newest one that only napari can take back.
        """
        held = getattr(self.layer, "_undo_history", None)
        if held and held[-1] is edits:
            held.pop()

    def _on_paint(self, event: Any) -> None:
        """Make a stroke of napari's brush, bucket or polygon a step of the one history."""
        if self._travelling:
            return
        stroke = read_stroke(event.value, self.layer.data)
        if stroke is None:
            self._session.record_edit(
                partial(self._travel, self.layer.undo),
                partial(self._travel, self.layer.redo),
                label=int(self.layer.selected_label),
            )
            return
        self._forget_in_napari(event.value)
        stroke = stroke.without_axis(self._source.channel_of(self.layer))
        self._session.record_edit(
            partial(self._write, stroke, forward=False),
            partial(self._write, stroke, forward=True),
            slices=stroke.box,
            change=(stroke.box, stroke.before, stroke.after),
        )

    def _on_data(self, event: Any = None) -> None:
        if self.layer.data is not self._array:
            self._replaced()

    def _on_screen(self, slices: tuple[slice, ...] | None) -> bool:
        """Whether what was written may be on screen: most of a stack is not, at any time."""
        dims = self._viewer.dims
        if slices is None or dims.ndisplay != 2 or any(dims.margin_left + dims.margin_right):
            return True
        layer = self.layer
        place = self._source.to_session(layer.world_to_data(dims.point))
        offset = dims.ndim - layer.ndim
        bare = self._source.channel_of(layer) is None
        axes = self._source.label_axes if bare else self._source.axes
        shown = {axes[axis - offset] for axis in dims.displayed if axis >= offset}
        # One more on each side: an oblique layer is cut between its planes.
        return all(
            letter in shown or extent.start - 2 < at < extent.stop + 1
            for letter, extent, at in zip(self._source.label_axes, slices, place, strict=True)
        )

    def _show_all(self) -> None:
        self._soon.stop()
        self._stale = False
        self.layer.refresh(extent=False)
