"""Shows pending masks, or what a click would take: a small Labels layer, laid where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QTimer

from samari.plugin.layers import EDGE, PREVIEW_COLORS, make_preview
from samari.plugin.outlines import Outline
from samari.plugin.placement import lay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Labels
    from numpy.typing import NDArray

    from samari.engine.masks import Box
    from samari.engine.planes import PlaneIndex
    from samari.engine.prediction import Prediction
    from samari.engine.session import Session
    from samari.plugin.source import ImageSource

#: The layer's sides are powers of two from this on, or the plane's, and its corner lies on a grid
#: of half of it, so that the next mask mostly needs no other size or place: that takes napari
#: longer than so many pixels.
_LEAST = 512


class Preview:
    """The preview layer of one Session.

    The layer holds the masks of the plane on screen, and is placed by its `translate`: what it
    costs does not depend on the size of the image.

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
        self._hovered: Outline | None = None
        #: Where the layer lies: the plane, its row and column there, and its rows and columns.
        self._place: tuple[PlaneIndex | None, int, int, int, int] = (None, 0, 0, 0, 0)
        self.layer: Labels = make_preview(source)
        self._soon = QTimer()
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._refresh)

    def reserve(self, plane: PlaneIndex | None, near: tuple[float, float]) -> None:
        """Lay the layer around a point of a plane, for the masks that may come there."""
        if plane is not None:
            row, col = (round(value) for value in near)
            place = self._choose_place(plane, (row, col, row + 1, col + 1))
            self._lay(plane, place[:2], np.zeros(place[2:], np.uint8))

    def show(self, plane: PlaneIndex | None) -> None:
        """Show the pending masks on a plane, nothing if it is None.

        While an answer is on its way, what is shown stays: masks change, they do not blink. The
        layer is put back if it was deleted, and never becomes the active one.
        """
        found, complete = ([], True) if plane is None else self._predictions(plane)
        same = self._hovered is None and (plane, found) == self._shown
        if same or (plane == self._shown[0] and not complete):
            return
        self._shown = (plane, found)
        self._hovered = None
        outlines = [Outline.of(prediction, number + EDGE, number) for number, prediction in found]
        self._update(plane, [outline for outline in outlines if outline is not None])

    def hover(self, plane: PlaneIndex | None, outline: Outline | None) -> None:
        """Show what a click would take, or what is under the cursor; None: nothing of the kind.

        Pending masks go first, and so does what is shown until their answers come.
        """
        if self._session.pending or (outline is None and self._hovered is None):
            return
        self._hovered = outline
        self._shown = (plane, [])
        self._update(plane, [] if outline is None else [outline])

    def follow_image(self) -> None:
        """Lie on the image where it is now, at the same voxels."""
        plane, row, col = self._place[:3]
        self._origin = np.array(self._source.transform()["translate"])
        at = None if plane is None else self._at(plane, row, col)
        lay(self.layer, self._source.transform(at))

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

    def _update(self, plane: PlaneIndex | None, outlines: Sequence[Outline]) -> None:
        if plane is None or not outlines:
            if self.layer.data.any():
                self.layer.data[...] = 0
                self._soon.start()
            return
        if self.layer not in self._viewer.layers:
            self.layer = make_preview(self._source)
            self._place = (None, 0, 0, 0, 0)
            self.insert()
        boxes = [outline.box for outline in outlines]
        whole = (*np.min(boxes, axis=0)[:2].tolist(), *np.max(boxes, axis=0)[2:].tolist())
        y, x, height, width = self._choose_place(plane, whole)
        picture = np.zeros((height, width), np.uint8)
        for outline in outlines:
            outline.draw(picture, (y, x), self._contour_width())
        self._lay(plane, (y, x), picture)

    def _choose_place(self, plane: PlaneIndex, box: Box) -> tuple[int, int, int, int]:
        """Return row, column, height and width of a part of the plane that holds a box.

        That is where the layer is, or as large as it is, if this will do.
        """
        before, *place = self._place
        held = (place[0], place[1], place[0] + place[2], place[1] + place[3])
        fits = held[0] <= box[0] and held[1] <= box[1] and box[2] <= held[2] and box[3] <= held[3]
        limits = self._session.planes.shape_of(plane.view)
        same_view = before is not None and before.view == plane.view
        corner, sides = [], []
        for axis in (0, 1):
            low, high, limit = box[axis], box[axis + 2], limits[axis]
            needed = min(limit, max(_LEAST, 1 << (high - low - 1).bit_length()))
            present = place[2 + axis]
            keep = same_view and needed <= present <= 4 * needed
            sides.append(present if keep else needed)
            first = (low + high - sides[-1]) // 2 // (_LEAST // 2) * (_LEAST // 2)
            # The middle on a grid, but all of the box within, and nothing beyond the plane.
            first = max(min(first, low), high - sides[-1])
            corner.append(max(0, min(first, limit - sides[-1])))
        if same_view and fits and sides == place[2:]:
            corner = place[:2]
        return corner[0], corner[1], sides[0], sides[1]

    def _lay(self, plane: PlaneIndex, corner: tuple[int, int], picture: NDArray[np.uint8]) -> None:
        """Show a picture at a place of a plane; napari draws anew as rarely as it allows.

        Where only the pixels differ, it does so right after the step that changed them: a step has
        enough to do, and may change them twice.
        """
        self._place = (plane, *corner, *picture.shape)
        axes = [self._source.axes.index(letter) for letter in plane.view]
        shape = [1] * self._source.layer.ndim
        shape[axes[0]], shape[axes[1]] = picture.shape
        at = self._at(plane, *corner)
        translate = self._origin + self._source.displacement(self.layer, np.array(at))
        stays = np.array_equal(self.layer.translate, translate)
        if self.layer.data.shape != tuple(shape):
            self.layer.data = picture.reshape(shape)
        else:
            self.layer.data[...] = picture.reshape(shape)
            if stays:
                self._soon.start()
        if not stays:
            self.layer.translate = translate

    def _at(self, plane: PlaneIndex, row: int, col: int) -> tuple[float, ...]:
        """Return the data coordinates, as layers of the whole image have them, of a pixel."""
        return self._source.to_layer(self._session.planes.to_volume((row, col), plane))

    def _refresh(self) -> None:
        self.layer.refresh(extent=False, thumbnail=False)
