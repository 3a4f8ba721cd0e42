"""Tells a controller what happens in the viewer, and lets go of the viewer again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from samari.plugin.placement import PLACE
from samari.plugin.removal import told_of_removal

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image

#: Milliseconds without a further change after which the view counts as at rest.
REST_MS = 60


class ViewerWatch:
    """Connections to the events of one viewer and of the image in it.

    Parameters
    ----------
    viewer : napari viewer
    image : napari.layers.Image
        Whose planes are looked at; a hidden one shows none.
    view : callable
        Called when another plane may be on screen.
    rest : callable
        Called when the plane has stayed for a moment: scrolling through a stack passes many.
    removed : callable
        Called with a layer that was removed.
    told : callable
        Called when another layer became the active one, or the image got another contrast.
    moved : callable
        Called when the image was moved, or its voxels got another size; then `view` is.
    replaced : callable
        Called when the image got another array.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        view: Callable[[], None],
        rest: Callable[[], None],
        removed: Callable[[Any], None],
        told: Callable[[], None],
        moved: Callable[[], None],
        replaced: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._view, self._rest, self._removed, self._told = view, rest, removed, told
        self._moved, self._replaced = moved, replaced
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(REST_MS)
        self._timer.timeout.connect(self._on_rest)
        self._connections = [
            (viewer.dims.events.point, self._on_view),
            (viewer.dims.events.order, self._on_view),
            (viewer.dims.events.ndisplay, self._on_view),
            (image.events.visible, self._on_view),
            (viewer.layers.events.removed, self._on_removed),
            (viewer.layers.selection.events.active, self._on_told),
            (image.events.contrast_limits, self._on_told),
            (image.events.data, self._on_replaced),
            *((getattr(image.events, name), self._on_moved) for name in PLACE),
        ]
        for emitter, callback in self._connections:
            emitter.connect(callback)

    @property
    def at_rest(self) -> bool:
        """Whether `rest` was called since the last change of the view."""
        return not self._timer.isActive()

    def settle(self) -> None:
        """Call `rest` at once if it is due."""
        if not self.at_rest:
            self._timer.stop()
            self._on_rest()

    def close(self) -> None:
        """Disconnect from everything."""
        self._timer.stop()
        for emitter, callback in self._connections:
            emitter.disconnect(callback)
        self._connections.clear()

    def _on_view(self, event: Any = None) -> None:
        self._view()
        self._timer.start()

    def _on_rest(self) -> None:
        self._rest()

    def _on_removed(self, event: Any) -> None:
        with told_of_removal(self._viewer):
            self._removed(event.value)

    def _on_told(self, event: Any = None) -> None:
        self._told()

    def _on_moved(self, event: Any = None) -> None:
        self._moved()
        # The place that the viewer looks at may be another plane now.
        self._on_view()

    def _on_replaced(self, event: Any = None) -> None:
        self._replaced()
