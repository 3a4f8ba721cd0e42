"""Time the dock in a real napari window: ``python benchmarks/first_mask.py`` (needs a screen).

On a 512x512 image with the bundled model: from the call that opens the dock to the first mask, the
import of torch and the load of the model included, in fresh processes; and from further presses of
the mouse to their masks, out of the blue and after the mouse has rested there as a user's does (the
answer is then known before the click). A mask counts when the preview layer holds it, and again
when the canvas has painted it. Between events the window is as idle as a user's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 512
#: Seconds after which an answer counts as lost.
LIMIT = 60


def main() -> None:
    """Measure in fresh processes, and print medians and ranges."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=5, help="openings, one in each process")
    parser.add_argument("-n", type=int, default=20, help="further clicks in each process")
    parser.add_argument("--floor", action="store_true", help="time torch and napari alone as well")
    parser.add_argument("--here", action="store_true", help="measure once, in this process")
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure_floor() if arguments.floor else measure(arguments.n)))
        return
    results, floors = [], []
    for _ in range(arguments.processes):
        results.append(_in_a_fresh_process("-n", str(arguments.n)))
        if arguments.floor:
            floors.append(_in_a_fresh_process("--floor"))
    for part in ("torch", "layers", "all") if floors else ():
        _print(f"without Samari: {part}", [1e3 * floor[part] for floor in floors])
    for kind in ("held", "painted"):
        first = [result["first"][kind] for result in results]
        clicks = [click for result in results for click in result["clicks"][kind]]
        print(f"mask {kind}:")
        _print("  opening the dock to the first mask", [1e3 * seconds for seconds in first])
        _print("  a press of the mouse to its mask", [1e3 * seconds for seconds in clicks])
        clicks = [click for result in results for click in result["hovered"][kind]]
        _print("  the same, the mouse having rested there", [1e3 * seconds for seconds in clicks])
    added = [1e3 * seconds for result in results for seconds in result["event"]]
    _print("the mouse event alone, napari's part included", added)
    loads = ", ".join(f"{result['load']:.1f}" for result in results)
    print(f"{os.cpu_count()} cores; processes that wanted one meanwhile: {loads}")


def _print(what: str, times: list[float]) -> None:
    print(
        f"{what}: median {np.median(times):.0f} ms, {min(times):.0f} to {max(times):.0f}, "
        f"n = {len(times)}"
    )


def _in_a_fresh_process(*options: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        # napari saves the geometry of its window: not into the user's settings.
        environment = {
            **os.environ,
            "NAPARI_CONFIG": os.path.join(folder, "settings.yaml"),
            # Of what was encoded in an earlier run nothing is known.
            "SAMARI_CACHE": os.path.join(folder, "cache"),
        }
        done = subprocess.run(
            [sys.executable, __file__, "--here", *options],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


class Stopwatch:
    """Waits in Qt's event loop for the preview to hold a mask and for the canvas to paint it."""

    def __init__(self, viewer: Any) -> None:
        from qtpy.QtCore import QEventLoop, QTimer

        self._loop = QEventLoop()
        self._limit = QTimer()
        self._limit.setSingleShot(True)
        self._limit.timeout.connect(self._loop.quit)
        self._layer: Any = None
        self._start = 0.0
        self.held: float | None = None
        self.painted: float | None = None
        self._canvas = viewer.window._qt_viewer.canvas._scene_canvas
        self._canvas.events.draw.connect(self._on_draw, position="last")

    def watch(self, layer: Any) -> None:
        """Take the preview layer to look at."""
        self._layer = layer
        layer.events.set_data.connect(self._on_data)

    def start(self) -> None:
        """Begin to measure."""
        self.held = self.painted = None
        self._start = time.perf_counter()

    def since(self) -> float:
        """Return the seconds since `start`."""
        return time.perf_counter() - self._start

    def wait(self, until: Callable[[], bool]) -> None:
        """Let events be processed until a condition holds, looked at after each of them."""
        from qtpy.QtCore import QEventLoop

        self._limit.start(1000 * LIMIT)
        while not until():
            assert self._limit.isActive(), "no answer within a minute"
            self._loop.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)

    def _on_data(self, event: Any = None) -> None:
        # Pending masks are filled; what the mouse shows before a click is a contour alone.
        if self.held is None and np.any(self._layer.data == 1):
            self.held = self.since()

    def _on_draw(self, event: Any = None) -> None:
        if self.held is not None and self.painted is None:
            self.painted = self.since()


def _napari_at_rest() -> tuple[Any, Any]:
    """Return (viewer, layer) of napari showing an image, before the dock is opened."""
    import napari
    from qtpy.QtWidgets import QApplication
    from skimage.data import camera

    viewer = napari.Viewer()
    image = viewer.add_image(np.asarray(camera())[:SIDE, :SIDE], name="camera")
    for _ in range(20):
        QApplication.processEvents()
        time.sleep(0.02)
    return viewer, image


def measure_floor() -> dict[str, float]:
    """Import torch, add the layers that a mask takes to napari, and return seconds."""
    viewer, image = _napari_at_rest()
    watch = Stopwatch(viewer)
    watch.start()
    import torch  # noqa: F401

    imported = watch.since()
    viewer.add_labels(np.zeros(image.data.shape, np.uint8), name="labels")
    preview = viewer.add_labels(np.zeros(image.data.shape, np.uint8), name="preview")
    viewer.add_points(np.zeros((0, 2)), features={"label": []}, name="points")
    watch.watch(preview)
    preview.data = np.ones(image.data.shape, np.uint8)
    watch.wait(lambda: watch.painted is not None)
    done = watch.since()
    viewer.close()
    return {"torch": imported, "layers": done - imported, "all": done}


def measure(clicks: int) -> dict[str, Any]:
    """Open napari and the dock, click, and return seconds."""
    from qtpy.QtWidgets import QApplication

    viewer, image = _napari_at_rest()
    watch = Stopwatch(viewer)
    watch.start()
    _dock, widget = viewer.window.add_plugin_dock_widget("samari")
    watch.wait(lambda: widget.controller is not None)
    controller = widget.controller
    watch.watch(controller.preview)
    controller.points.add([200.0, 250.0])
    watch.wait(lambda: watch.painted is not None)
    first = {"held": watch.held, "painted": watch.painted}
    result: dict[str, Any] = {"first": first, "event": []}
    places = np.random.default_rng(0).uniform(0.1 * SIDE, 0.9 * SIDE, (clicks, 2))
    for kind, rested in (("clicks", False), ("hovered", True)):
        times: dict[str, list[float | None]] = {"held": [], "painted": []}
        for place in places + rested:
            controller.discard()
            controller.wait(LIMIT)
            where = _where(viewer, image, place)
            if rested:
                _hover(viewer, where)
                controller.wait(LIMIT)
            for _ in range(5):
                QApplication.processEvents()
                time.sleep(0.02)
            watch.start()
            _press(viewer, where)
            result["event"].append(watch.since())
            watch.wait(lambda: watch.painted is not None)
            times["held"].append(watch.held)
            times["painted"].append(watch.painted)
            assert len(controller.points.data) == 1
        result[kind] = times
    viewer.close()
    return {**result, "load": os.getloadavg()[0]}


def _where(viewer: Any, image: Any, place: Any) -> Any:
    """Return the pixel of the canvas at a data point of the image."""
    from qtpy.QtCore import QPoint

    canvas = viewer.window._qt_viewer.canvas
    row, column = image.data_to_world(place)
    transform = canvas.view.transform * canvas.view.scene.transform
    x, y, _, w = transform.map([column, row, 0, 1])
    return QPoint(round(x / w), round(y / w))


def _hover(viewer: Any, where: Any) -> None:
    """Move the mouse there, no button pressed."""
    from qtpy.QtCore import QEvent, QPointF, Qt
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    native = viewer.window._qt_viewer.canvas.native
    everywhere, none = QPointF(native.mapToGlobal(where)), Qt.MouseButton.NoButton
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(where),
        everywhere,
        none,
        none,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(native, event)


def _press(viewer: Any, where: Any) -> None:
    """Press and release the left button."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    native = viewer.window._qt_viewer.canvas.native
    QTest.mouseClick(native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, where)


if __name__ == "__main__":
    main()
