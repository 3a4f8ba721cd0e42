"""A program that annotates and is killed: ``python crashing_window.py IMAGE.npy``.

Accepts objects and paints; prints a line when what it did is on the screen, and waits for its end.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

from samari.plugin.controller import annotate

if __name__ == "__main__":
    application = QApplication([])
    viewer = ViewerModel()
    viewer.add_image(np.load(sys.argv[1]), name="cells")
    controller = annotate(viewer)
    for point in ((20, 20), (60, 70), (90, 30)):
        controller.points.add(list(point))
        controller.wait()
        controller.accept()
    controller.labels_layer.paint((40, 100), 7)
    controller.undo()
    controller.redo()
    application.processEvents()
    np.save(Path(sys.argv[1]).with_name("labels.npy"), controller.session.labels)
    # Longer than a line takes to the disk, much shorter than a person to the next click.
    time.sleep(0.3)
    print("done", flush=True)
    time.sleep(60)
