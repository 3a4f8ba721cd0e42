"""A layer on which the pending mask is edited with napari's own brush before it is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from samari.plugin.layers import make_mask
from samari.plugin.placement import lay
from samari.plugin.removal import take_away
from samari.plugin.strokes import read_stroke

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Labels
    from numpy.typing import NDArray

    from samari.engine.events import SessionEvent
    from samari.engine.pending import PendingPart
    from samari.engine.planes import PlaneIndex
    from samari.engine.prediction import Prediction
    from samari.engine.session import Session
    from samari.plugin.source import ImageSource
    from samari.plugin.strokes import Stroke

#: The layer reaches at least so many pixels beyond the mask, and as far as the mask is large.
_MARGIN = 96
#: The brush is this part of the side of a square as large as the mask, up to napari's largest.
_BRUSH, _LARGEST = 0.25, 40


class MaskBrush:
    """The brush on the pending mask of one Session.

    Every stroke becomes a step of the Session's history (`Session.paint`), and the layer shows what
    the Session says, so that undo, another point or another candidate are seen at once.

    Parameters
    ----------
    viewer : napari viewer
    source : ImageSource
    session : Session
    let_go : callable
        Called with the layer when it is taken away.

    Attributes
    ----------
    layer : napari.layers.Labels or None
        None while no mask is edited.
    plane : PlaneIndex or None
        The plane of the mask.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        source: ImageSource,
        session: Session,
        let_go: Callable[[Labels], object],
    ) -> None:
        self._viewer, self._source, self._session = viewer, source, session
        self._let_go = let_go
        self.plane: PlaneIndex | None = None
        self._corner = (0, 0)
        # Strokes made while the answer to another point is on its way.
        self._waiting: list[Stroke] = []
        self._writing = False
        self.layer: Labels | None = None

    def start(self, plane: PlaneIndex | None) -> bool:
        """Open the layer on the pending mask of a plane; False if there is none."""
        self.stop()
        part = None if plane is None else self._part_on(plane)
        answer = None if part is None else self._session.prediction(part)
        if plane is None or answer is None:
            return False
        self.plane = plane
        self.layer = make_mask(self._source)
        self._fit(answer)
        self._viewer.add_layer(self.layer)
        self._viewer.layers.selection.active = self.layer
        side = float(np.sqrt(np.count_nonzero(answer.crops[answer.chosen])))
        self.layer.brush_size = int(np.clip(round(_BRUSH * side), 1, _LARGEST))
        self.layer.mode = "paint"
        self.layer.events.paint.connect(self._on_paint)
        return True

    def stop(self) -> None:
        """Take the layer away; what was painted stays with the pending mask."""
        layer, self.layer = self.layer, None
        self.plane = None
        self._waiting.clear()
        if layer is not None:
            layer.events.paint.disconnect(self._on_paint)
            self._let_go(layer)
            take_away(self._viewer, layer)

    def cancel(self) -> None:
        """Take back all that was painted on this mask, as one step, and stop."""
        plane = self.plane
        self.stop()
        if plane is None:
            return
        pending = list(self._session.pending)
        for i, obj in enumerate(pending):
            part = obj.part_on(plane)
            if part is not None and part.prompts.painted is not None:
                plain = type(part)(plane, part.prompts.asked)
                pending[i] = obj.with_part(plain)
        self._session.set_pending(pending)

    def follow_image(self) -> None:
        """Lie on the image where it is now, at the same voxels."""
        if self.layer is not None and self.plane is not None:
            corner = self._session.planes.to_volume(self._corner, self.plane)
            lay(self.layer, self._source.transform(self._source.to_layer(corner)))

    def on_event(self, event: SessionEvent) -> bool:
        """Show what the Session says; True if the mask is gone and the layer with it."""
        if self.layer is None or self.plane is None or event.kind not in ("pending", "answer"):
            return False
        part = self._part_on(self.plane)
        if part is None:
            self.stop()
            return True
        answer = self._session.prediction(part)
        if answer is not None and not self._writing:
            if self._waiting:
                self._paint(answer)
            else:
                self._fit(answer)
        return False

    def _part_on(self, plane: PlaneIndex) -> PendingPart | None:
        """Return what the newest object that is prompted on a plane has there."""
        parts = [obj.part_on(plane) for obj in self._session.pending]
        return next((part for part in reversed(parts) if part is not None), None)

    def _on_paint(self, event: Any) -> None:
        if self.plane is None or self.layer is None:
            return
        stroke = read_stroke(event.value, self.layer.data)
        if stroke is None:
            return
        self._waiting.append(stroke)
        part = self._part_on(self.plane)
        answer = None if part is None else self._session.prediction(part)
        if answer is not None:
            self._paint(answer)

    def _paint(self, answer: Prediction) -> None:
        """Tell the Session what the mask is after the strokes."""
        assert self.plane is not None
        mask = answer.mask.copy()
        waiting, self._waiting = self._waiting, []
        self._writing = True
        try:
            for stroke in waiting:
                before, after = (self._flat(pixels) for pixels in (stroke.before, stroke.after))
                rows, cols = self._rows_and_cols(stroke)
                block = mask[rows, cols]
                block[before != after] = (after > 0)[before != after]
            self._session.paint(mask, self.plane)
        finally:
            self._writing = False

    def _rows_and_cols(self, stroke: Stroke) -> tuple[slice, slice]:
        """Return where on the plane a stroke lies."""
        assert self.plane is not None
        axes = [self._source.axes.index(letter) for letter in self.plane.view]
        rows, cols = (
            slice(stroke.box[axis].start + first, stroke.box[axis].stop + first)
            for axis, first in zip(axes, self._corner, strict=True)
        )
        return rows, cols

    def _flat(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return pixels of the layer as (rows, columns) of the plane."""
        assert self.plane is not None
        axes = [self._source.axes.index(letter) for letter in self.plane.view]
        return pixels.reshape([pixels.shape[axis] for axis in axes])

    def _fit(self, answer: Prediction) -> None:
        """Lay the layer around a mask, if it lies elsewhere or is too small, and show the mask."""
        layer, plane = self.layer, self.plane
        assert layer is not None
        assert plane is not None
        axes = [self._source.axes.index(letter) for letter in plane.view]
        held = tuple(layer.data.shape[axis] for axis in axes)
        y0, x0, y1, x1 = answer.bbox(answer.chosen) or (0, 0, 0, 0)
        top, left = self._corner
        inside = top <= y0 and left <= x0 and y1 <= top + held[0] and x1 <= left + held[1]
        if not inside or held == (1, 1):
            rows, cols = self._session.planes.shape_of(plane.view)
            margin = max(_MARGIN, y1 - y0, x1 - x0)
            top, left = max(0, y0 - margin), max(0, x0 - margin)
            held = min(rows, y1 + margin) - top, min(cols, x1 + margin) - left
            self._corner = top, left
        picture = answer.mask[top : top + held[0], left : left + held[1]]
        shape = [1] * self._source.layer.ndim
        shape[axes[0]], shape[axes[1]] = held
        if tuple(shape) == layer.data.shape and inside:
            if not np.array_equal(layer.data.reshape(held) > 0, picture):
                layer.data[...] = picture.reshape(shape)
                layer.refresh()
            return
        corner = self._source.to_layer(self._session.planes.to_volume((top, left), plane))
        layer.data = picture.astype(np.uint8).reshape(shape)
        step = self._source.displacement(layer, np.array(corner))
        layer.translate = np.array(self._source.transform()["translate"]) + step
