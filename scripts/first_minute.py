#!/usr/bin/env python
"""Draw the moving picture of the first minute, ``docs/images/first-minute.gif``.

A real napari with the dock, moved by mouse and key events; a frame is a screenshot with a caption
and the pointer, which screenshots leave out. Needs a screen; ``make pictures`` has one.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "first-minute.gif"
WINDOW = (1280, 760)
WIDTH = 900
SECONDS = 2.2

#: Data coordinates (Y, X) on scikit-image's `coins`.
FIRST, SECOND, CORRECTION = (198, 154), (124, 45), (104, 62)
BOXES = (((236, 144), (287, 200)), ((172, 251), (216, 296)))


class Film:
    """A viewer with the dock, a mouse and a keyboard, and the frames taken so far."""

    def __init__(self, viewer: Any, dock: Any) -> None:
        self.viewer = viewer
        self.controller = dock.controller
        self.native = viewer.window._qt_viewer.canvas.native
        self.frames: list[Image.Image] = []
        self._mouse: Any = None

    def at(self, point: tuple[float, float]) -> Any:
        """Return the place of a data point on the canvas."""
        from qtpy.QtCore import QPoint

        canvas = self.viewer.window._qt_viewer.canvas
        transform = canvas.view.transform * canvas.view.scene.transform
        row, col = self.controller.image.data_to_world(point)
        x, y, _, w = transform.map([col, row, 0, 1])
        return QPoint(round(x / w), round(y / w))

    def rest(self, milliseconds: int = 120) -> None:
        """Let the program answer and draw."""
        from qtpy.QtTest import QTest

        self.controller.wait(60)
        QTest.qWait(milliseconds)

    def move(self, point: tuple[float, float]) -> None:
        """Move the mouse."""
        from qtpy.QtTest import QTest

        self._mouse = self.at(point)
        QTest.mouseMove(self.native, self._mouse)
        self.rest(600)

    def click(self, point: tuple[float, float], *, right: bool = False) -> None:
        """Move the mouse and press a button."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        self.move(point)
        button = Qt.MouseButton.RightButton if right else Qt.MouseButton.LeftButton
        QTest.mouseClick(self.native, button, Qt.KeyboardModifier.NoModifier, self._mouse)
        self.rest()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Draw a box."""
        from qtpy.QtCore import QEvent, QPointF, Qt
        from qtpy.QtGui import QMouseEvent
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QApplication

        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        a, b = self.at(start), self.at(end)
        QTest.mouseMove(self.native, a)
        QTest.mousePress(self.native, left, none, a)
        for share in (0.3, 0.7, 1.0):
            place = QPointF(a + (b - a) * share)
            everywhere = QPointF(self.native.mapToGlobal(place.toPoint()))
            kind, still = QEvent.Type.MouseMove, Qt.MouseButton.NoButton
            event = QMouseEvent(kind, place, everywhere, still, left, none)
            QApplication.sendEvent(self.native, event)
            QTest.qWait(30)
        QTest.mouseRelease(self.native, left, none, b)
        self._mouse = b
        self.rest()

    def key(self, key: Any) -> None:
        """Press a key over the canvas."""
        from qtpy.QtTest import QTest

        QTest.keyClick(self.native, key)
        self.rest()

    def take(self, caption: str) -> None:
        """Take a frame."""
        shot = Image.fromarray(self.viewer.screenshot(canvas_only=False, flash=False)).convert(
            "RGB"
        )
        window = self.viewer.window._qt_window
        scale = shot.width / window.width()
        if self._mouse is not None:
            corner = self.native.mapTo(window, self._mouse)
            _draw_pointer(shot, corner.x() * scale, corner.y() * scale)
        shot = shot.resize(
            (WIDTH, round(shot.height * WIDTH / shot.width)), Image.Resampling.LANCZOS
        )
        self.frames.append(_with_caption(shot, f"{len(self.frames) + 1}.  {caption}"))

    def save(self, path: Path) -> None:
        """Write the frames as one moving picture."""
        # The octree keeps the few coloured pixels; a median cut gives all colours to the grey ones.
        flat = [frame.quantize(192, method=Image.Quantize.FASTOCTREE) for frame in self.frames]
        flat[0].save(
            path,
            save_all=True,
            append_images=flat[1:],
            duration=round(1000 * SECONDS),
            loop=0,
            optimize=True,
        )


def _draw_pointer(picture: Image.Image, x: float, y: float) -> None:
    arrow = [(0, 0), (0, 21), (5, 16), (9, 25), (13, 23), (9, 15), (16, 15)]
    ImageDraw.Draw(picture).polygon(
        [(x + dx, y + dy) for dx, dy in arrow], fill="white", outline="black"
    )


def _with_caption(picture: Image.Image, caption: str) -> Image.Image:
    out = Image.new("RGB", (picture.width, picture.height + 40), "#20242c")
    out.paste(picture, (0, 40))
    font = ImageFont.load_default(20)
    ImageDraw.Draw(out).text((14, 8), caption, fill="white", font=font)
    return out


def main() -> None:
    """Play the first minute and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    output: Path = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        # Neither the user's window geometry nor the user's journals.
        os.environ["NAPARI_CONFIG"] = os.path.join(folder, "settings.yaml")
        os.environ["SAMARI_JOURNALS"] = os.path.join(folder, "journals")
        film = play()
        output.parent.mkdir(parents=True, exist_ok=True)
        film.save(output)
        film.viewer.close()


def play() -> Film:
    """Do what the captions say."""
    import napari
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest
    from skimage.data import coins

    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW)
    viewer.add_image(coins(), name="coins")
    _, dock = viewer.window.add_plugin_dock_widget("samari")
    while dock.controller is None:
        QTest.qWait(10)
    film = Film(viewer, dock)
    film.rest(300)
    viewer.reset_view(margin=0)
    film.rest(300)
    film.take("Open an image and the dock: the bundled model reads it at once")
    film.move(FIRST)
    film.take("Move the mouse: the outline shows what a click would take")
    film.click(FIRST)
    film.take("Click: the mask")
    film.key(Qt.Key.Key_Return)
    film.take("Enter: an object in the Labels layer, and a row in the table")
    film.click(SECOND)
    film.click(CORRECTION, right=True)
    film.take("Right-click what does not belong to it, Q tries another mask")
    film.key(Qt.Key.Key_Return)
    film.key(Qt.Key.Key_W)
    for start, end in BOXES:
        film.drag(start, end)
    film.take("W: boxes. Draw as many as you like")
    film.key(Qt.Key.Key_Return)
    film.key(Qt.Key.Key_W)
    film.move(FIRST)
    film.take("Enter accepts them all. K opens an object again, U deletes it, Ctrl+Z takes it back")
    return film


if __name__ == "__main__":
    main()
