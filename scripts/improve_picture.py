#!/usr/bin/env python
"""Draw ``docs/images/improve.png``: the dock after *Improve the model with my labels*.

scikit-image's `coins`, labelled by a threshold as another tool might. Needs a screen;
``make pictures`` has one.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "improve.png"
WINDOW = (1280, 960)


def labelled(image: Any) -> Any:
    """Return the bright things of an image that do not touch its border, numbered."""
    bright = ndimage.binary_fill_holes(ndimage.gaussian_filter(image, 1.5) > 115)
    bright = ndimage.binary_opening(bright, iterations=4)
    labels, count = ndimage.label(bright)
    rim = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    sizes = np.bincount(labels.ravel())
    gone = [i for i in range(count + 1) if i in rim or not 500 < sizes[i] < 5000]
    return np.where(np.isin(labels, gone), 0, labels)


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Process events until a condition holds."""
    from qtpy.QtCore import QCoreApplication

    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("improve_picture: it took too long")
        QCoreApplication.processEvents()
        time.sleep(0.01)


def main() -> None:
    """Draw the picture."""
    os.environ["SAMARI_MODELS"] = tempfile.mkdtemp()
    import napari
    from skimage.data import coins

    from samari.plugin.dock import SamariDock

    image = coins()
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(*WINDOW)
    viewer.add_image(image, name="coins")
    target = viewer.add_labels(labelled(image), name="coins by a threshold")
    dock = SamariDock(viewer)
    viewer.window.add_dock_widget(dock, name="Samari", area="right")
    until(lambda: dock.controller is not None, 60)
    dock.ui.target.chosen.emit(target)
    until(lambda: dock.controller is not None and not dock.controller.busy, 60)
    viewer.reset_view()
    dock.improve.start.click()
    until(lambda: not dock.improve.running, 900)
    until(lambda: dock.controller.labels_layer in viewer.layers, 5)
    end = time.monotonic() + 1
    until(lambda: time.monotonic() > end, 5)
    viewer.window._qt_window.grab().save(str(TARGET))
    print(f"{TARGET}: {len(np.unique(target.data)) - 1} objects. {dock.improve.note.text()}")
    viewer.close()


if __name__ == "__main__":
    main()
