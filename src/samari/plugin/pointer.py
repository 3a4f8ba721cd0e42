"""Where the mouse is now: on which place of the canvas, and what of the world is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from numpy.typing import NDArray

    #: The camera and the axes on screen.
    View = tuple[tuple[float, ...], float, tuple[int, ...]]


class Pointer:
    """The mouse on the canvas of one viewer.

    napari keeps the world position of the last event of the mouse. Camera and slice may have
    changed since, and the mouse may have left the canvas.

    Parameters
    ----------
    viewer : napari viewer

    Attributes
    ----------
    moves : int
        Grows with every move and click of the mouse on the canvas.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self.moves = 0
        self._viewer = viewer
        self._over = False
        self._pixel: tuple[float, ...] = ()
        # What napari said, and what was on screen, at the last event.
        self._said = self._position()
        self._view = self._present_view()
        viewer.events.mouse_over_canvas.connect(self._on_canvas)
        viewer.mouse_move_callbacks.append(self._on_move)
        viewer.mouse_wheel_callbacks.append(self._on_wheel)
        viewer.mouse_drag_callbacks.append(self._on_drag)

    def world(self) -> NDArray[np.float64] | None:
        """Return the place in the world that is under the mouse; None if that is no place."""
        viewer = self._viewer
        if viewer.dims.ndisplay != 2:
            return None
        # The slice may be another one since the mouse moved last.
        world = np.array(viewer.dims.point, dtype=float)
        shown = list(viewer.dims.displayed)
        if not self._pixel:
            there = self._scripted(shown)
        elif not self._over:
            there = None
        elif self._view == self._present_view():
            there = self._said[shown]
        else:
            there = self._under_pixel()
        if there is None:
            return None
        world[shown] = there
        return world

    def close(self) -> None:
        """Let the viewer go."""
        viewer = self._viewer
        viewer.events.mouse_over_canvas.disconnect(self._on_canvas)
        viewer.mouse_move_callbacks.remove(self._on_move)
        viewer.mouse_wheel_callbacks.remove(self._on_wheel)
        viewer.mouse_drag_callbacks.remove(self._on_drag)

    def _scripted(self, shown: list[int]) -> NDArray[np.float64] | None:
        """Return where a script has put the cursor of a viewer that no mouse was on."""
        said = self._position()
        same = len(said) != len(self._said) or np.array_equal(said[shown], self._said[shown])
        return None if same else said[shown]

    def _under_pixel(self) -> NDArray[np.float64] | None:
        """Return what the present camera shows at the place of the mouse, if that is known."""
        camera, canvas = self._viewer.scene.camera, self._viewer.canvas
        if canvas.grid.enabled:
            return None
        down, right = (str(side) for side in camera.orientation2d)
        signs = np.array([1 if down == "down" else -1, 1 if right == "right" else -1])
        away = np.array(self._pixel[::-1]) - np.array(canvas.size) / 2
        return np.array(camera.center[-2:]) + signs * away / camera.zoom

    def _position(self) -> NDArray[np.float64]:
        return np.array(self._viewer.cursor.position, dtype=float)

    def _present_view(self) -> View:
        camera = self._viewer.scene.camera
        return tuple(camera.center), float(camera.zoom), tuple(self._viewer.dims.displayed)

    def _note(self, event: Any, *, moved: bool) -> None:
        """Take note of an event of the mouse; one that does not move it is no move."""
        pixel = tuple(float(value) for value in event.pos)
        self.moves += moved or pixel != self._pixel
        self._over, self._pixel = self._viewer.cursor.viewbox is not None, pixel
        self._said, self._view = self._position(), self._present_view()

    def _on_move(self, viewer: Any, event: Any) -> None:
        if getattr(event, "pos", None) is not None:  # a script may tell of a move to nowhere
            self._note(event, moved=False)

    def _on_wheel(self, viewer: Any, event: Any) -> None:
        self._note(event, moved=True)

    def _on_drag(self, viewer: Any, event: Any) -> Iterator[None]:
        """Follow the mouse from the press of a button to its release."""
        self._note(event, moved=True)
        yield
        while event.type == "mouse_move":
            self._note(event, moved=True)
            yield
        self._note(event, moved=True)

    def _on_canvas(self, event: Any = None) -> None:
        """Forget the place when the mouse leaves; when it comes back, it says where it is."""
        if not self._viewer.mouse_over_canvas:
            self._over = False
