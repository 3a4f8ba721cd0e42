"""Time the contour under the mouse: ``python benchmarks/hover.py`` (needs a screen).

From an event of the mouse over the canvas to the preview layer that holds the contour of what a
click there would take; in a real napari window, with the bundled model, on a 1024x1024 image. The
painting of the canvas is not part of it. For comparison the time that the same events take before
the dock is opened, and the decoder alone.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from typing import Any

import numpy as np

SIDE = 1024
#: Seconds after which an answer counts as lost.
LIMIT = 20.0


def main() -> None:
    """Print median and range."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=60, help="moves of the mouse")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # napari saves the geometry of its window: not into the user's settings.
        os.environ["NAPARI_CONFIG"] = os.path.join(folder, "settings.yaml")
        os.environ["SAMARI_CACHE"] = os.path.join(folder, "cache")
        measure(arguments.n)


def measure(count: int) -> None:
    """Open napari and the dock, move the mouse from place to place, and print."""
    import napari
    import skimage.data
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer()
    camera = np.asarray(skimage.data.camera())
    image = viewer.add_image(np.tile(camera, (2, 2))[:SIDE, :SIDE], name="camera")
    _rest()
    places = np.random.default_rng(0).uniform(0.1 * SIDE, 0.9 * SIDE, (count, 2))
    alone = []
    for place in places:
        start = time.perf_counter()
        _move(viewer, image, place)
        alone.append(time.perf_counter() - start)
        QApplication.processEvents()
    _dock, widget = viewer.window.add_plugin_dock_widget("samari")
    end = time.monotonic() + LIMIT
    while widget.controller is None or not widget.controller.wait(LIMIT):
        QApplication.processEvents()
        assert time.monotonic() < end, "the dock does not open"
    controller = widget.controller
    _rest()
    held: list[float] = []
    controller.preview.events.set_data.connect(lambda: held.append(time.perf_counter()))
    times, event_times = [], []
    for place in places:
        _rest(3)
        held.clear()
        start = time.perf_counter()
        _move(viewer, image, place)
        event_times.append(time.perf_counter() - start)
        while not held and time.perf_counter() < start + LIMIT:
            QApplication.processEvents()
            time.sleep(0.0005)
        if held:
            times.append(held[0] - start)
    assert not controller.session.pending
    _print("a move of the mouse to its contour in the preview layer", times)
    _print("  of it in the event of the mouse", event_times)
    _print("  the same events before the dock was opened", alone)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{SIDE}x{SIDE}, {cores} cores, processes that want one: {os.getloadavg()[0]:.1f}")
    viewer.close()


def _rest(rounds: int = 10) -> None:
    from qtpy.QtWidgets import QApplication

    for _ in range(rounds):
        QApplication.processEvents()
        time.sleep(0.02)


def _move(viewer: Any, image: Any, place: Any) -> None:
    """Send the event of a mouse that was moved over a data point of the image."""
    from qtpy.QtCore import QEvent, QPointF, Qt
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    canvas = viewer.window._qt_viewer.canvas
    row, column = image.data_to_world(place)
    transform = canvas.view.transform * canvas.view.scene.transform
    x, y, _, w = transform.map([column, row, 0, 1])
    where = QPointF(round(x / w), round(y / w))
    everywhere = QPointF(canvas.native.mapToGlobal(where.toPoint()))
    none = Qt.MouseButton.NoButton
    event = QMouseEvent(
        QEvent.Type.MouseMove, where, everywhere, none, none, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(canvas.native, event)


def _print(what: str, seconds: list[float]) -> None:
    ms = [1e3 * s for s in seconds]
    print(f"{what}: median {np.median(ms):.0f} ms, {min(ms):.0f} to {max(ms):.0f}, n = {len(ms)}")


if __name__ == "__main__":
    main()
