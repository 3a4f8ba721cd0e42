"""``samari demo``: a real napari, a real image, the prompts a user would make, a label TIFF."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from samari.errors import SamariError

if TYPE_CHECKING:
    import argparse

    import napari

    from samari.plugin.controller import Controller

__all__ = ["add_parser", "run"]

# Prompts on scikit-image's `coins`, data coordinates (Y, X) in pixels.
POINTS = ((124, 45), (126, 102), (197, 44), (198, 154), (263, 244))
BOXES = ((175, 80, 216, 123), (172, 251, 216, 296), (236, 144, 287, 200))
PROMPT_SECONDS = 60
DEFAULT_MODEL = "samari-tiny"


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command ``demo`` and its options."""
    parser = commands.add_parser(
        "demo",
        help="open napari, segment a few objects of a sample image and save them",
        description="Open napari with a sample image, prompt a few objects through the prompt "
        "layers, accept them and save the labels. The window stays open. Without a screen the "
        "demo runs under xvfb-run and ends by itself.",
    )
    parser.add_argument(
        "-o", "--output", default="samari-demo.ome.tif", metavar="LABELS.tif", help="label TIFF"
    )
    parser.add_argument("--screenshot", metavar="FILE.png", help="save a picture of the window")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a name, folder or weights file")
    parser.add_argument("--close", action="store_true", help="close the window at the end")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo, on a virtual screen where there is no other.

    Returns
    -------
    int
        0 when every prompt gave an object and the saved file holds them all.

    Raises
    ------
    SamariError
        If there is no screen and no ``xvfb-run``, or fewer objects came out than were prompted.
    """
    if _has_screen():
        return _annotate_coins(arguments)
    screen = shutil.which("xvfb-run")
    if screen is None:
        raise SamariError(
            "there is no screen (DISPLAY is not set) and no xvfb-run; "
            "install it (Debian: apt-get install xvfb) or run the demo on a desktop"
        )
    words = ["demo", "--close", "--output", arguments.output, "--model", arguments.model]
    if arguments.screenshot:
        words += ["--screenshot", arguments.screenshot]
    server = [screen, "-a", "-s", "-screen 0 1600x1200x24"]
    return subprocess.run([*server, sys.executable, "-m", "samari", *words], check=False).returncode


def _has_screen() -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _annotate_coins(arguments: argparse.Namespace) -> int:
    import napari
    import numpy as np
    from skimage.data import coins

    from samari.engine.export import read_labels

    started = time.perf_counter()
    output = Path(arguments.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer()
    viewer.window.resize(1400, 900)
    viewer.add_image(coins(), name="coins")
    controller = _open_dock(viewer, arguments.model)
    for point in POINTS:
        controller.points.add(point)
        controller.wait(PROMPT_SECONDS)
        controller.accept()
    for y0, x0, y1, x1 in BOXES:
        corners = [(y0, x0), (y0, x1), (y1, x1), (y1, x0)]
        controller.shapes.add([corners], shape_type="rectangle")
        controller.wait(PROMPT_SECONDS)
        controller.accept()
    controller.save(output)
    controller.wait(PROMPT_SECONDS)

    count = len(np.unique(read_labels(output).labels)) - 1
    print(f"{count} objects in {time.perf_counter() - started:.1f} s")
    print(f"labels: {output.resolve()}")
    if count != len(POINTS) + len(BOXES):
        raise SamariError(f"{len(POINTS) + len(BOXES)} objects were prompted, {count} were saved")
    if arguments.screenshot:
        _picture(viewer, controller.labels_layer, Path(arguments.screenshot))
    if arguments.close:
        viewer.close()
    else:
        napari.run()
    return 0


def _open_dock(viewer: napari.Viewer, model: str) -> Controller:
    """Open the dock as the menu does, and return its controller once it has picked the image."""
    from qtpy.QtWidgets import QApplication

    _, dock = viewer.window.add_plugin_dock_widget("samari")
    deadline = time.monotonic() + PROMPT_SECONDS
    while dock.controller is None:
        if time.monotonic() > deadline:
            raise SamariError(f"the dock did not pick the image within {PROMPT_SECONDS} s")
        QApplication.processEvents()
    controller: Controller = dock.controller
    if model != DEFAULT_MODEL:
        controller.set_model(model)
    return controller


def _picture(viewer: napari.Viewer, labels: napari.layers.Labels, path: Path) -> None:
    """Save the window as a user sees it, with the outlines of the objects."""
    from qtpy.QtWidgets import QApplication

    labels.contour = 2
    labels.opacity = 1.0
    viewer.reset_view()
    QApplication.processEvents()
    viewer.screenshot(str(path), canvas_only=False, flash=False)
