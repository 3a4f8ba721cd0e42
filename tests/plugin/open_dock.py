"""Opens napari and the dock with the bundled model; run by test_opening.py in a fresh process."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

os.environ["NAPARI_CONFIG"] = str(Path(sys.argv[1]) / "settings.yaml")

WATCHED = ("torch", "safetensors", "samari.engine.predict")
#: Large libraries that are installed beside torch or come with it, and that no mask needs.
NEEDLESS = (
    "torch._dynamo",
    "torch._inductor",
    "torchvision",
    "transformers",
    "sympy",
    "huggingface_hub",
    "scipy.sparse",
    "matplotlib",
    "tensorflow",
    "h5py",
)


class Watcher:
    """Notes in which thread a module is looked for the first time; finds nothing itself."""

    def __init__(self) -> None:
        self.threads: dict[str, str] = {}
        self.order: list[str] = []

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Take a note."""
        if name in WATCHED and name not in self.threads:
            self.threads[name] = threading.current_thread().name
            self.order.append(name)


def main() -> None:
    """Print what happened as JSON."""
    import napari
    import numpy as np
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer()
    side = np.linspace(-2, 2, 96)
    disc = np.exp(-(side[:, None] ** 2 + side**2) * 4)
    viewer.add_image((disc * 255).astype(np.uint8), name="disc")
    QApplication.processEvents()
    before = set(sys.modules)
    watcher = Watcher()
    sys.meta_path.insert(0, watcher)  # type: ignore[arg-type]  # a finder of this kind will do

    from samari.plugin.inference import Inference

    encode = Inference.encode

    def noted(self: Any, *arguments: Any) -> Any:
        watcher.order.append("encode")
        return encode(self, *arguments)

    Inference.encode = noted  # type: ignore[method-assign]  # in this process only
    viewer.layers.events.inserted.connect(
        lambda event: watcher.order.append(type(event.value).__name__)
    )
    _dock, widget = viewer.window.add_plugin_dock_widget("samari")
    while widget.controller is None:
        QApplication.processEvents()
    controller = widget.controller
    controller.points.add([48.0, 48.0])
    assert controller.wait(60)
    new = set(sys.modules) - before
    print(
        json.dumps(
            {
                "threads": watcher.threads,
                "order": watcher.order,
                "needless": sorted(set(NEEDLESS) & new),
                "pixels": int(np.count_nonzero(controller.preview.data)),
            }
        )
    )
    viewer.close()


if __name__ == "__main__":
    main()
