"""Shows the pending masks: a small Labels layer, laid where the masks are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_erosion

from samari.plugin.layers import EDGE, PREVIEW_COLORS, make_preview

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from samari.engine.planes import PlaneIndex
    from samari.engine.prediction import Prediction
    from samari.engine.session import Session
    from samari.plugin.source import ImageSource

#: The layer's corners lie on a grid of this many pixels, so that refining a mask mostly needs no
#: other layer size; napari spends more time on that than on the pixels.
_GRID = 32


class Preview:
    """The preview layer of one Session.

    The layer is only as large as the pending masks of the plane on screen, and placed by its
    `translate`: what it costs does not depend on the size of the image.

    Parameters
    ----------
    viewer : napari viewer
    source : ImageSource
    session : Session
    """

    def __init__(self, viewer: ViewerModel, source: ImageSource, session: Session) -> None:
        self._viewer = viewer
        self._source = source
        self._session = session
        self._origin = np.array(source.transform()["translate"])
        self._shown: tuple[PlaneIndex | None, list[tuple[int, Prediction]]] = (None, [])
        self.layer: Labels = make_preview(source)

    def show(self, plane: PlaneIndex | None) -> None:
        """Show the pending masks on a plane, nothing if it is None.

        While an answer is on its way, what is shown stays: masks change, they do not blink. The
        layer is put back if it was deleted, and never becomes the active one.
        """
        found, complete = ([], True) if plane is None else self._predictions(plane)
        if (plane, found) == self._shown or (plane == self._shown[0] and not complete):
            return
        self._shown = (plane, found)
        if plane is None or not any(prediction.mask.any() for _, prediction in found):
            self._clear()
            return
        if self.layer not in self._viewer.layers:
            self.layer = make_preview(self._source)
            self.insert()
        self._draw(plane, found)

    def insert(self) -> None:
        """Add the layer to the viewer without making it the active one."""
        selection = self._viewer.layers.selection
        before, active = set(selection), selection.active
        self._viewer.add_layer(self.layer)
        selection.clear()
        selection.update(before)
        if active is not None:
            selection.active = active

    def _contour_width(self) -> int:
        """Return the width of contours in pixels of the image: about 2 on the screen."""
        return int(np.clip(round(2 / max(self._viewer.scene.camera.zoom, 1e-3)), 1, 8))

    def _clear(self) -> None:
        if self.layer.data.any():
            self.layer.data[...] = 0
            self.layer.refresh()

    def _predictions(self, plane: PlaneIndex) -> tuple[list[tuple[int, Prediction]], bool]:
        """Return (color, answer) of the pending objects on a plane, and whether none is lacking."""
        found = []
        complete = True
        for number, obj in enumerate(self._session.pending):
            part = obj.part_on(plane)
            if part is None:
                continue
            prediction = self._session.prediction(part)
            if prediction is None:
                complete = False
            else:
                found.append((number % len(PREVIEW_COLORS) + 1, prediction))
        return found, complete

    def _draw(self, plane: PlaneIndex, found: list[tuple[int, Prediction]]) -> None:
        boxes = [box for _, p in found if (box := p.bbox(p.chosen)) is not None]
        rows, cols = self._session.planes.shape_of(plane.view)
        y0, x0 = (min(box[i] for box in boxes) // _GRID * _GRID for i in (0, 1))
        y1, x1 = (-(-max(box[i] for box in boxes) // _GRID) * _GRID for i in (2, 3))
        y1, x1 = min(y1, rows), min(x1, cols)
        picture = np.zeros((y1 - y0, x1 - x0), np.uint8)
        for number, prediction in found:
            mask = prediction.mask[y0:y1, x0:x1]
            picture[mask] = number
            inner = binary_erosion(mask, iterations=self._contour_width(), border_value=1)
            picture[mask & ~inner] = number + EDGE
        corner = self._source.to_layer(self._session.planes.to_volume((y0, x0), plane))
        axes = [self._source.axes.index(letter) for letter in plane.view]
        shape = [1] * self._source.layer.ndim
        shape[axes[0]], shape[axes[1]] = picture.shape
        step = self._source.displacement(self.layer, np.array(corner))
        translate = self._origin + step
        if self.layer.data.shape == tuple(shape) and np.array_equal(
            self.layer.translate, translate
        ):
            self.layer.data[...] = picture.reshape(shape)
            self.layer.refresh()
        else:
            self.layer.data = picture.reshape(shape)
            self.layer.translate = translate
