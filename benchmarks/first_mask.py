"""Time the dock in a real napari window: ``python benchmarks/first_mask.py`` (needs a screen).

From the opening of the dock to the first mask on screen, loading torch and the model included, and
from a further click to its mask, on a 512x512 image with the bundled model.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time

import numpy as np

SIDE = 512


def main() -> None:
    """Print the time to the first mask, and median and range of further clicks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=20, help="further clicks")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # napari saves the geometry of its window: not into the user's settings.
        os.environ["NAPARI_CONFIG"] = os.path.join(folder, "settings.yaml")
        measure(arguments.n)


def measure(clicks: int) -> None:
    """Open napari and the dock, click, and print."""
    import napari
    from qtpy.QtWidgets import QApplication
    from skimage.data import camera

    viewer = napari.Viewer()
    viewer.add_image(np.asarray(camera())[:SIDE, :SIDE], name="camera")
    QApplication.processEvents()
    start = time.perf_counter()
    _dock, widget = viewer.window.add_plugin_dock_widget("samari")
    while widget.controller is None:  # the dock takes up the image in the next round of events
        QApplication.processEvents()
    controller = widget.controller
    controller.points.add([200.0, 250.0])
    assert controller.wait(60), "no answer within a minute"
    first = time.perf_counter() - start
    assert controller.candidates is not None
    times = []
    for place in np.random.default_rng(0).uniform(0, SIDE - 1, (clicks, 2)):
        start = time.perf_counter()
        controller.points.add(place)
        assert controller.wait(60), "no answer within a minute"
        times.append(1e3 * (time.perf_counter() - start))
        controller.discard()
    print(f"opening the dock to the first mask: {first:.2f} s (once, load of the model included)")
    print(
        f"a click to its mask: {np.median(times):.0f} ms, {min(times):.0f} to {max(times):.0f}, "
        f"n = {clicks}"
    )
    viewer.close()


if __name__ == "__main__":
    main()
