#!/usr/bin/env python
"""Draw the pictures of the stack tutorial, ``docs/images/stack-*.png``.

A real napari with the dock and a real stack, moved by mouse and key events. The stack is
``plantseg3d/1135_mini.npz`` of a data folder (PlantSeg's test resources, MIT licence): it does not
ship with the package. Needs a screen: ``make pictures STACKS=FOLDER`` has one.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from first_minute import Film
from PIL import Image

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images"
STACK = "plantseg3d/1135_mini.npz"
WINDOW = (1280, 900)

#: Plane and data coordinates (Y, X) of three nuclei on it.
PLANE = 50
NUCLEI = ((35, 52), (68, 62), (8, 92))


class StackFilm(Film):
    """A film of a stack: points (Z, Y, X), and rows of the table."""

    def __init__(self, viewer: Any, dock: Any) -> None:
        super().__init__(viewer, dock)
        self.dock = dock

    def at(self, point: tuple[float, ...]) -> Any:
        """Return the place of a data point on the canvas."""
        from qtpy.QtCore import QPoint

        canvas = self.viewer.window._qt_viewer.canvas
        transform = canvas.view.transform * canvas.view.scene.transform
        world = self.controller.image.data_to_world(point)
        row, col = (world[axis] for axis in self.viewer.dims.displayed)
        x, y, _, w = transform.map([col, row, 0, 1])
        return QPoint(round(x / w), round(y / w))

    def row(self, label: int, *, add: bool = False) -> None:
        """Click on the row of an object, or add it to those that are selected."""
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest

        view = self.dock.objects.view
        row = self.dock.objects.model.row_of(label)
        place = QPoint(20, view.rowViewportPosition(row) + view.rowHeight(row) // 2)
        keys = Qt.KeyboardModifier.ControlModifier if add else Qt.KeyboardModifier.NoModifier
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, keys, place)
        self._mouse = None

    def go_to(self, plane: int) -> None:
        """Turn to a plane of the stack."""
        self.viewer.dims.set_current_step(0, plane)
        self.rest(300)

    def save_all(self, folder: Path) -> None:
        """Write each frame as a picture of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, frame in enumerate(self.frames, 1):
            flat = frame.quantize(128, method=Image.Quantize.FASTOCTREE)
            flat.save(folder / f"stack-{number}.png", optimize=True)


def main() -> None:
    """Annotate the stack and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help=f"folder with {STACK}")
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    arguments = parser.parse_args()
    with np.load(arguments.data / STACK) as file:
        stack = file["image"]
    with tempfile.TemporaryDirectory() as folder:
        # Neither the user's window geometry nor the user's journals.
        os.environ["NAPARI_CONFIG"] = os.path.join(folder, "settings.yaml")
        os.environ["SAMARI_JOURNALS"] = os.path.join(folder, "journals")
        film = play(stack, Path(folder))
        film.save_all(arguments.output)
        film.viewer.close()


def play(stack: Any, folder: Path) -> StackFilm:
    """Do what the captions say."""
    import napari
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW)
    viewer.add_image(stack, name="ovule", axis_labels=("z", "y", "x"))
    _, dock = viewer.window.add_plugin_dock_widget("samari")
    while dock.controller is None:
        QTest.qWait(10)
    film = StackFilm(viewer, dock)
    film.go_to(PLANE)
    viewer.reset_view(margin=0)
    film.rest(300)
    film.take("Open the stack and the dock, and go to a plane on which nuclei are large")
    for place in NUCLEI:
        film.click((PLANE, *place))
        film.key(Qt.Key.Key_Return)
    film.take("One click and Enter for each nucleus")
    film.row(1)
    for label in range(2, len(NUCLEI) + 1):
        film.row(label, add=True)
    QTest.keyClick(film.native, Qt.Key.Key_G)
    run = film.controller.propagation
    while run.busy and (run._run is None or run._run.report.planes < 9):
        QTest.qWait(10)
    film.take("G follows the selected rows through the stack; go on clicking meanwhile")
    while run.busy:
        QTest.qWait(10)
    film.go_to(PLANE - 4)
    film.take("Every plane has its mask; the table shows the lowest confidence of each object")
    film.key(Qt.Key.Key_N)
    film.take("N goes to the plane that deserves a look")
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, NUCLEI[0][0])
    viewer.reset_view(margin=0)
    film.rest(600)
    film.take("Across the stack: prompts and G work here too")
    os.chdir(folder)
    film.controller.save_in_background("ovule labels.ome.tif")
    viewer.dims.order = (0, 1, 2)
    viewer.dims.ndisplay = 3
    film.controller.image.visible = False
    viewer.reset_view(margin=0)
    viewer.scene.camera.angles = (-20, 35, -130)
    viewer.scene.camera.zoom *= 1.3
    while "Saved" not in film.controller.status:
        QTest.qWait(10)
    film.rest(600)
    film.take(
        "In 3D; Save labels... wrote an OME-TIFF, with the voxel size, and the prompts beside it"
    )
    return film


if __name__ == "__main__":
    main()
